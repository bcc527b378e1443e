package policy

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"

	"farebox/internal/filewatch"
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
type File struct {
	cfg     FileConfig
	file    *filewatch.File
	current atomic.Pointer[Policy]
}

// Open reads the policy file. An error is of type Faults where the file is
// wrong.
func Open(cfg FileConfig) (*File, error) {
	if cfg.Path == "" || cfg.Log == nil {
		return nil, errors.New("policy: a required field is missing")
	}
	f := &File{cfg: cfg}
	var first filewatch.Content
	f.file, first = filewatch.Open(cfg.Path, MaxSize)
	if err := f.load(first); err != nil {
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

// Watch looks at the file once a second until ctx ends.
func (f *File) Watch(ctx context.Context) { f.file.Watch(ctx, f.take) }

// Look looks at the file once, and loads a change that the look before has seen
// too.
func (f *File) Look() { f.file.Look(f.take) }

func (f *File) take(c filewatch.Content) {
	if err := f.load(c); err != nil {
		f.cfg.Log.Error("the policy file is wrong: the policy before it stays in force",
			"setting", "FAREBOX_POLICY_FILE", "file", filepath.Base(f.cfg.Path), "faults", err.Error())
		return
	}
	f.cfg.Log.Info("the policy file has changed and is in force", "file", filepath.Base(f.cfg.Path))
}

func (f *File) load(c filewatch.Content) error {
	p, err := readContent(c, f.cfg.TokenTypes)
	if err == nil {
		f.current.Store(p)
	}
	if f.cfg.Loaded != nil {
		f.cfg.Loaded(err)
	}
	return err
}

// ReadFile reads a policy file once. An error is of type Faults where the file
// is wrong.
func ReadFile(path string, tokenTypes []string) (*Policy, error) {
	return readContent(filewatch.Read(path, MaxSize), tokenTypes)
}

// readContent has Read say that the file is too large.
func readContent(c filewatch.Content, tokenTypes []string) (*Policy, error) {
	if c.Problem != "" {
		return nil, Faults{{Mend: c.Problem}}
	}
	return Read(c.Data, tokenTypes)
}
