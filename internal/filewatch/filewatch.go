// Package filewatch sees when a file changes, by looking at its content: that
// sees a symlink that was swapped, a rename and an editor's rewriting alike, on
// every kind of volume, network ones included, which tell no watcher of changes.
package filewatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// Content is what a look at a file found.
type Content struct {
	Data    []byte // one byte more than the most, where there is more
	Problem string // why there is none, without the file's path; "" for none
}

func (c Content) same(other Content) bool {
	return c.Problem == other.Problem && bytes.Equal(c.Data, other.Data)
}

// Read reads up to most bytes of a file, and one more where there is more. It
// reads nothing that only looks like a file: opening a pipe would wait for ever.
func Read(path string, most int64) Content {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return unreadable(err)
	case !info.Mode().IsRegular():
		return Content{Problem: "it is no file"}
	}
	file, err := os.Open(path)
	if err != nil {
		return unreadable(err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return unreadable(err)
	}
	return Content{Data: data}
}

// unreadable leaves out the path, which is a setting's value.
func unreadable(err error) Content {
	why := "reading it failed"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		why = "it does not exist"
	case errors.Is(err, fs.ErrPermission):
		why = "permission denied"
	}
	return Content{Problem: fmt.Sprintf("the file cannot be read (%s)", why)}
}

// File is one that is looked at again and again. It is safe for concurrent use.
type File struct {
	path string
	most int64

	looking sync.Mutex
	taken   Content // what was taken last, wrong or not
	seen    Content // by the last look
}

// Open takes a first look at a file of at most so many bytes.
func Open(path string, most int64) (*File, Content) {
	first := Read(path, most)
	return &File{path: path, most: most, taken: first, seen: first}, first
}

// Look looks once. A change is handed to take, one at a time, when the look
// before has seen the same, so that a file that is being written is not taken
// half.
func (f *File) Look(take func(Content)) {
	f.looking.Lock()
	defer f.looking.Unlock()
	now := Read(f.path, f.most)
	settled := now.same(f.seen)
	f.seen = now
	if !settled || now.same(f.taken) {
		return
	}
	f.taken = now
	take(now)
}

const lookEvery = time.Second

// Watch looks once a second until ctx ends.
func (f *File) Watch(ctx context.Context, take func(Content)) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f.Look(take)
		}
	}
}
