// Package testredis starts real redis-server processes for tests.
package testredis

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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
	client *redis.Client
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
	if s.client == nil {
		s.client = s.Client()
	}
	deadline := time.Now().Add(20 * time.Second)
	for s.client.Ping(context.Background()).Err() != nil {
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

// Follow makes s a replica of primary and waits until it has all that is there.
func (s *Server) Follow(primary *Server) {
	s.t.Helper()
	host, port := primary.listenTCP()
	s.command("replicaof", host, port)
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(s.info(), "master_link_status:up") || s.offset("slave_repl_offset") < primary.offset("master_repl_offset") {
		if time.Now().After(deadline) {
			s.t.Fatalf("the replica does not follow:\n%s", s.info())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Promote makes a replica a primary, which forgets whom it followed.
func (s *Server) Promote() {
	s.t.Helper()
	s.command("replicaof", "no", "one")
}

// listenTCP has s listen on loopback too, since replicas connect by TCP alone.
func (s *Server) listenTCP() (host, port string) {
	s.t.Helper()
	if current := s.client.ConfigGet(context.Background(), "port").Val()["port"]; current != "0" {
		return "127.0.0.1", current
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	_, port, _ = net.SplitHostPort(free.Addr().String())
	_ = free.Close()
	s.command("config", "set", "bind", "127.0.0.1", "port", port)
	return "127.0.0.1", port
}

func (s *Server) command(words ...any) {
	s.t.Helper()
	if err := s.client.Do(context.Background(), words...).Err(); err != nil {
		s.t.Fatalf("%v: %v", words, err)
	}
}

func (s *Server) info() string {
	return s.client.Info(context.Background(), "replication").Val()
}

func (s *Server) offset(name string) int {
	_, rest, _ := strings.Cut(s.info(), "\n"+name+":")
	value, _, _ := strings.Cut(rest, "\r")
	n, _ := strconv.Atoi(value)
	return n
}
