//go:build real

package telemetry_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"farebox/internal/telemetry"
)

// kept is what was written elsewhere, and how the file was last said to be.
type kept struct {
	mu    sync.Mutex
	text  strings.Builder
	state string
}

func (k *kept) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.text.Write(p)
}

func (k *kept) set(state string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state = state
}
func (k *kept) Up()         { k.set("up") }
func (k *kept) Down(string) { k.set("down") }

func (k *kept) now() (text, state string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.text.String(), k.state
}

func TestAFullDiskLosesNoAuditLineAndHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Fatal("there is no /dev/full here, which stands for a full disk")
	}
	path := filepath.Join(t.TempDir(), "audit.log")
	elsewhere, log := &kept{}, &kept{}
	f, err := telemetry.OpenAuditFile(telemetry.AuditFileConfig{
		Path: path, Otherwise: elsewhere, State: elsewhere, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	write := func(line, where, state string) {
		t.Helper()
		if n, err := f.Write([]byte(line + "\n")); n != len(line)+1 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			there, now := elsewhere.now()
			if where == "file" { // /dev/full has no end
				data, _ := os.ReadFile(path)
				there = string(data)
			}
			if strings.Contains(there, line) && now == state {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is not %s: %q, state %s", line, where, there, now)
			}
		}
	}
	write("first", "file", "up")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	write("second", "elsewhere", "down")
	write("third", "elsewhere", "down")
	if text, _ := log.now(); strings.Count(text, "level=ERROR") != 1 || strings.Contains(text, path) {
		t.Errorf("log: %s", text)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write("fourth", "file", "up")
	if err := f.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, _ = f.Write([]byte("late\n"))
	if text, _ := elsewhere.now(); !strings.HasSuffix(text, "late\n") {
		t.Errorf("a line after the end is lost: %q", text)
	}
}
