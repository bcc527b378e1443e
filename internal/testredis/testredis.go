// Package testredis starts real redis-server processes for tests.
package testredis

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is a redis-server process of one test. It listens on a Unix socket
// alone, so servers of tests that run side by side cannot meet.
type Server struct {
	URL string // unix://…

	t      testing.TB
	dir    string
	args   []string
	cmd    *exec.Cmd
	output bytes.Buffer
}

// Start starts a redis-server with further command-line args, and ends it with
// the test. A machine without redis-server fails the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	// t.TempDir may be too long a path for a socket.
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{URL: "unix://" + filepath.Join(dir, "s"), t: t, dir: dir, args: args}
	t.Cleanup(func() {
		s.Kill()
		_ = os.RemoveAll(dir)
	})
	s.Launch()
	return s
}

// Launch starts the process anew after Kill, on the same socket and folder.
func (s *Server) Launch() {
	s.t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		s.t.Fatal("redis-server is not installed; make deps installs it")
	}
	s.cmd = exec.Command(path, append([]string{
		"--port", "0", "--unixsocket", filepath.Join(s.dir, "s"), "--dir", s.dir, "--save", "", "--daemonize", "no",
	}, s.args...)...)
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	client := s.Client()
	deadline := time.Now().Add(20 * time.Second)
	for client.Ping(context.Background()).Err() != nil {
		if time.Now().After(deadline) {
			s.Kill()
			s.t.Fatalf("redis-server does not answer:\n%s", s.output.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Client returns a plain client, closed with the test.
func (s *Server) Client() *redis.Client {
	options, err := redis.ParseURL(s.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	client := redis.NewClient(options)
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

// Kill ends the process by signal 9 and waits for its end.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}
