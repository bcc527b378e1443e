package policy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// FileConfig is what a File needs. Path and Log are required.
type FileConfig struct {
	Path       string
	TokenTypes []string // those that the file may name
	// Loaded is told of every load, the first one too: nil, or Faults and then
	// the policy before stays in force; nil for nobody. It is not called
	// concurrently.
	Loaded func(error)
	Log    *slog.Logger
}

// File is a policy that follows its file. It is safe for concurrent use.
//
// The file is looked at once a second, by its content: that sees a symlink that
// was swapped, a rename and an editor's rewriting alike, on every kind of
// volume, network ones included, which tell no watcher of changes. A change is
// taken when two looks have seen the same, so that a file that is being written
// is not taken half.
type File struct {
	cfg     FileConfig
	current atomic.Pointer[Policy]

	looking sync.Mutex
	taken   content // what was loaded last, wrong or not
	seen    content // by the last look
}

// content is what a look at the file found.
type content struct {
	data    []byte
	problem string // why there is none
}

func (c content) same(other content) bool {
	return c.problem == other.problem && bytes.Equal(c.data, other.data)
}

const lookEvery = time.Second

// Open reads the policy file. An error is of type Faults where the file is
// wrong.
func Open(cfg FileConfig) (*File, error) {
	if cfg.Path == "" || cfg.Log == nil {
		return nil, errors.New("policy: a required field is missing")
	}
	f := &File{cfg: cfg}
	f.seen = f.read()
	if err := f.load(f.seen); err != nil {
		return nil, err
	}
	return f, nil
}

// DecideToken is Policy.DecideToken of the policy in force.
func (f *File) DecideToken(caller Caller, tokenType string) (Decision, error) {
	return f.current.Load().DecideToken(caller, tokenType)
}

// DecideAgent is Policy.DecideAgent of the policy in force.
func (f *File) DecideAgent(caller Caller, agentID string) (Decision, error) {
	return f.current.Load().DecideAgent(caller, agentID)
}

// Watch looks at the file until ctx ends.
func (f *File) Watch(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f.Look()
		}
	}
}

// Look looks at the file once, and loads a change that the look before has seen
// too.
func (f *File) Look() {
	f.looking.Lock()
	defer f.looking.Unlock()
	now := f.read()
	settled := now.same(f.seen)
	f.seen = now
	if !settled || now.same(f.taken) {
		return
	}
	if err := f.load(now); err != nil {
		f.cfg.Log.Error("the policy file is wrong: the policy before it stays in force",
			"setting", "FAREBOX_POLICY_FILE", "file", filepath.Base(f.cfg.Path), "faults", err.Error())
		return
	}
	f.cfg.Log.Info("the policy file has changed and is in force", "file", filepath.Base(f.cfg.Path))
}

func (f *File) load(c content) error {
	f.taken = c
	p, err := c.policy(f.cfg.TokenTypes)
	if err == nil {
		f.current.Store(p)
	}
	if f.cfg.Loaded != nil {
		f.cfg.Loaded(err)
	}
	return err
}

func (c content) policy(tokenTypes []string) (*Policy, error) {
	if c.problem != "" {
		return nil, Faults{{Mend: c.problem}}
	}
	return Read(c.data, tokenTypes)
}

// ReadFile reads a policy file once. An error is of type Faults where the file
// is wrong.
func ReadFile(path string, tokenTypes []string) (*Policy, error) {
	return readContent(path).policy(tokenTypes)
}

func (f *File) read() content { return readContent(f.cfg.Path) }

// readContent reads the file, and nothing that only looks like one: opening a
// pipe would wait for ever.
func readContent(path string) content {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return unreadable(err)
	case !info.Mode().IsRegular():
		return content{problem: "it is no file"}
	}
	file, err := os.Open(path)
	if err != nil {
		return unreadable(err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, MaxSize+1)) // Read says that it is too large
	if err != nil {
		return unreadable(err)
	}
	return content{data: data}
}

// unreadable leaves out the path, which is a setting's value.
func unreadable(err error) content {
	why := "reading it failed"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		why = "it does not exist"
	case errors.Is(err, fs.ErrPermission):
		why = "permission denied"
	}
	return content{problem: fmt.Sprintf("the file cannot be read (%s)", why)}
}
