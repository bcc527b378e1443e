package telemetry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// AuditFileConfig is what an AuditFile needs. Every field is required.
type AuditFileConfig struct {
	Path string
	// Otherwise takes the lines that the file does not.
	Otherwise io.Writer
	State     interface { // of the file; safe for concurrent use
		Up()
		Down(reason string)
	}
	Log *slog.Logger
}

// AuditFile appends lines to a file, in the background: a disk that is slow or
// full holds up no request. A file that was renamed or removed, as logrotate
// does it, is opened anew at the next line; one that was truncated goes on at
// its new end. It is safe for concurrent use.
type AuditFile struct {
	cfg  AuditFileConfig
	wake chan struct{} // lines wait, or it is closed
	done chan struct{} // closed when all is written

	mu     sync.Mutex
	lines  []byte // whole, and to be written
	closed bool

	// The writer's own.
	file *os.File    // nil where it is not open
	own  os.FileInfo // by which file is told from others; nil where it cannot be
	torn bool        // the last line may be there in part
	lost bool        // the last lines are not in the file
}

const (
	// auditQueue bounds what waits, some 8,000 lines.
	auditQueue = 4 << 20
	// auditPause is between two writes, so that lines that come at once share one.
	auditPause = 5 * time.Millisecond
	// auditRoom is what is kept for lines that come, once many have waited.
	auditRoom = 64 << 10
)

// OpenAuditFile opens the file, or makes one that its owner alone can read. The
// caller closes it.
func OpenAuditFile(cfg AuditFileConfig) (*AuditFile, error) {
	f := &AuditFile{cfg: cfg, wake: make(chan struct{}, 1), done: make(chan struct{})}
	if err := f.reopen(); err != nil {
		return nil, err
	}
	go f.run()
	return f, nil
}

// Write takes one line. It never waits for the file and never fails.
func (f *AuditFile) Write(line []byte) (int, error) {
	if !f.take(line) {
		_, _ = f.cfg.Otherwise.Write(line)
	}
	return len(line), nil
}

// take reports whether the line will be written.
func (f *AuditFile) take(line []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return false
	case len(f.lines)+len(line) > auditQueue:
		f.cfg.State.Down("the file is too slow")
		return false
	}
	f.lines = append(f.lines, line...)
	f.rouse()
	return true
}

func (f *AuditFile) rouse() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Close waits until all lines are written, or ctx ends. Lines that come later
// go elsewhere.
func (f *AuditFile) Close(ctx context.Context) error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.rouse()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *AuditFile) run() {
	defer close(f.done)
	var batch []byte
	for range f.wake {
		if cap(batch) > auditRoom {
			batch = nil
		}
		f.mu.Lock()
		batch, f.lines = f.lines, batch[:0]
		ended := f.closed
		f.mu.Unlock()
		if len(batch) > 0 {
			f.write(batch)
		}
		if ended {
			break
		}
		time.Sleep(auditPause)
	}
	if f.file != nil {
		_ = f.file.Close()
	}
}

// write appends whole lines, or hands them on.
func (f *AuditFile) write(lines []byte) {
	err := f.follow()
	if err == nil {
		if f.torn {
			lines = append([]byte{'\n'}, lines...)
		}
		var n int
		if n, err = f.file.Write(lines); n > 0 {
			f.torn = lines[n-1] != '\n'
		}
	}
	if err == nil {
		f.lost = false
		f.cfg.State.Up()
		return
	}
	if !f.lost {
		f.lost = true
		f.cfg.Log.Error("audit lines cannot be written to FAREBOX_AUDIT_FILE; they go here until they can", "error", plain(err))
	}
	f.cfg.State.Down("the file cannot be written")
	_, _ = f.cfg.Otherwise.Write(bytes.TrimPrefix(lines, []byte{'\n'}))
}

// follow opens the file anew where another stands at its path.
func (f *AuditFile) follow() error {
	if f.file != nil {
		if there, err := os.Stat(f.cfg.Path); err == nil && os.SameFile(there, f.own) {
			return nil
		}
	}
	return f.reopen()
}

func (f *AuditFile) reopen() error {
	const ownerAlone = 0o600
	file, err := os.OpenFile(f.cfg.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, ownerAlone)
	if f.file != nil {
		_ = f.file.Close()
	}
	if err != nil {
		f.file = nil
		return err
	}
	f.file, f.torn = file, false
	f.own, _ = file.Stat()
	return nil
}

// plain is the reason without the path.
func plain(err error) string {
	var ofPath *os.PathError
	if errors.As(err, &ofPath) {
		return ofPath.Err.Error()
	}
	return err.Error()
}

// auditFlush is how long the lines that are left may take at the end.
const auditFlush = 5 * time.Second

// CloseSoon is Close with a time of its own.
func (f *AuditFile) CloseSoon() {
	ctx, cancel := context.WithTimeout(context.Background(), auditFlush)
	defer cancel()
	if f.Close(ctx) != nil {
		f.cfg.Log.Error("some audit lines were not written to FAREBOX_AUDIT_FILE before the end")
	}
}
