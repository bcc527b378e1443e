package policy_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"farebox/internal/policy"
)

const (
	onlyScribe = "tokens:\n  realtime_scribe: {}\n"
	onlyBatch  = "tokens:\n  batch_scribe: {}\n"
	wrong      = "tokens:\n  canary: {}\n"
)

// followed is a policy file that is being followed, by looks of the test's own.
type followed struct {
	*policy.File
	path  string
	log   *strings.Builder
	loads []error
}

func follow(t *testing.T, path string) *followed {
	t.Helper()
	f := &followed{path: path, log: &strings.Builder{}}
	var err error
	f.File, err = policy.Open(policy.FileConfig{
		Path: path, TokenTypes: types, Log: slog.New(slog.NewTextHandler(f.log, nil)),
		Loaded: func(err error) { f.loads = append(f.loads, err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// want checks which of the two types is allowed.
func (f *followed) want(t *testing.T, when, allowed string, good bool) {
	t.Helper()
	for _, name := range []string{"realtime_scribe", "batch_scribe"} {
		if _, err := f.DecideToken(policy.Caller{}, name); (err == nil) != (name == allowed) {
			t.Errorf("%s: %s: %v", when, name, err)
		}
	}
	if last := f.loads[len(f.loads)-1]; (last == nil) != good {
		t.Errorf("%s: the last load: %v", when, last)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAChangeIsTakenWhenTwoLooksSawIt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, onlyScribe)
	f := follow(t, path)
	f.want(t, "at first", "realtime_scribe", true)
	write(t, path, "") // an editor truncates,
	f.Look()
	write(t, path, onlyBatch[:10]) // writes half,
	f.Look()
	f.want(t, "half-written", "realtime_scribe", true)
	write(t, path, onlyBatch) // and all.
	f.Look()
	f.want(t, "after one look", "realtime_scribe", true)
	f.Look()
	f.want(t, "after two", "batch_scribe", true)
	for range 3 {
		f.Look()
	}
	if len(f.loads) != 2 || strings.Count(f.log.String(), "\n") != 1 || !strings.Contains(f.log.String(), "level=INFO") {
		t.Errorf("loads %v, log:\n%s", f.loads, f.log)
	}
}

func TestAWrongChangeKeepsTheOldPolicyAndSaysSoOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, onlyScribe)
	f := follow(t, path)
	look := func() {
		for range 4 {
			f.Look()
		}
	}
	write(t, path, wrong+"plans: pro\n")
	look()
	f.want(t, "wrong", "realtime_scribe", false)
	log := f.log.String()
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "2:3: ") || !strings.Contains(log, "3:8: ") ||
		strings.Contains(log, "canary") || strings.Contains(log, filepath.Dir(path)) {
		t.Errorf("log:\n%s", log)
	}
	var faults policy.Faults
	if len(f.loads) != 2 || !errors.As(f.loads[1], &faults) || len(faults) != 2 {
		t.Errorf("loads = %v", f.loads)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	look()
	f.want(t, "gone", "realtime_scribe", false)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	look()
	f.want(t, "a pipe", "realtime_scribe", false)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, onlyScribe)
	look()
	f.want(t, "as it was", "realtime_scribe", true)
	if len(f.loads) != 5 || f.loads[4] != nil {
		t.Errorf("loads = %v", f.loads)
	}
}

// Kubernetes mounts a ConfigMap as links: the file's to ..data, and ..data's to
// a folder of one version, which is swapped by a rename.
func TestASymlinkThatIsSwappedIsFollowed(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	version := func(name, text string) {
		if err := os.Mkdir(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(root, name, "policy.yaml"), text)
		if err := os.Symlink(name, filepath.Join(root, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(root, "..data_tmp"), filepath.Join(root, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..1", onlyScribe)
	path := filepath.Join(root, "policy.yaml")
	if err := os.Symlink(filepath.Join("..data", "policy.yaml"), path); err != nil {
		t.Fatal(err)
	}
	f := follow(t, path)
	version("..2", onlyBatch)
	f.Look()
	f.Look()
	f.want(t, "swapped", "batch_scribe", true)
}

func TestAFileThatIsWrongAtFirstIsNoPolicy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, path := range map[string]string{"wrong": filepath.Join(dir, "wrong"), "missing": filepath.Join(dir, "missing"), "a folder": dir} {
		if name == "wrong" {
			write(t, path, wrong)
		}
		_, err := policy.Open(policy.FileConfig{Path: path, TokenTypes: types, Log: slog.New(slog.DiscardHandler)})
		var faults policy.Faults
		if !errors.As(err, &faults) || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecisionsGoOnWhileTheFileChanges(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, onlyScribe)
	f := follow(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var running sync.WaitGroup
	for range 2 {
		running.Go(func() { f.Watch(ctx) })
		running.Go(func() {
			for ctx.Err() == nil {
				_, scribe := f.DecideToken(policy.Caller{}, "realtime_scribe")
				_, agent := f.DecideAgent(policy.Caller{}, "agent_1")
				if agent == nil {
					t.Errorf("an agent is allowed that no file names, a scribe: %v", scribe)
					return
				}
			}
		})
	}
	for i := range 100 {
		write(t, path+".new", []string{onlyBatch, wrong, onlyScribe}[i%3])
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		f.Look()
		f.Look()
	}
	write(t, path, onlyBatch)
	f.Look()
	f.Look()
	cancel()
	running.Wait()
	f.want(t, "at last", "batch_scribe", true)
}
