// Package testredis starts real redis-server processes for tests: one alone, a
// primary with replicas, a cluster, sentinels; and stands between them and who
// talks to them, to lose, cut, hold and delay what it is told to.
//
// Its types are for one test's goroutine, save Proxy, which is safe for
// concurrent use.
package testredis

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is a redis-server process of one test. It listens on a Unix socket, so
// servers of tests that run side by side cannot meet, and on loopback too where
// another process has to find it.
type Server struct {
	URL string // unix://…

	t      testing.TB
	dir    string
	port   int // on loopback; 0 for none
	args   []string
	cmd    *exec.Cmd
	client *redis.Client
	output output
}

// output is what a process printed.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Start starts a redis-server with further command-line args, and ends it with
// the test. A machine without redis-server fails the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := prepare(t, 0, args...)
	s.Launch()
	return s
}

// StartTCP is Start for a server that listens on loopback from the beginning.
func StartTCP(t testing.TB, args ...string) *Server {
	t.Helper()
	s := prepare(t, freePort(t), args...)
	s.Launch()
	return s
}

func prepare(t testing.TB, port int, args ...string) *Server {
	t.Helper()
	// t.TempDir may be too long a path for a socket.
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{URL: "unix://" + filepath.Join(dir, "s"), t: t, dir: dir, port: port, args: args}
	t.Cleanup(func() {
		s.Kill()
		_ = os.RemoveAll(dir)
	})
	return s
}

// freePort is a port that nothing listens on. It lies below those that the
// system gives to outgoing connections, so that none of these takes it while
// its server is being started, or is down.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 10_000 + rand.IntN(22_000)
		listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Fatal("there is no free port")
	return 0
}

// Launch starts the process anew after Kill, on the same socket, port and
// folder: with what Save has written there, or empty.
func (s *Server) Launch() {
	s.t.Helper()
	s.launch("--port", strconv.Itoa(s.port), "--bind", "127.0.0.1",
		"--unixsocket", s.socket(), "--dir", s.dir, "--save", "", "--daemonize", "no",
		// A replica is there at once, and not after five seconds of waiting for others.
		"--repl-diskless-sync-delay", "0")
}

func (s *Server) launch(settings ...string) {
	s.t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		s.t.Fatal("redis-server is not installed; make deps installs it")
	}
	s.cmd = exec.Command(path, append(settings, s.args...)...)
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	if s.client == nil {
		s.client = s.Client()
	}
	s.await("redis-server answers", func() bool { return s.client.Ping(context.Background()).Err() == nil })
}

func (s *Server) socket() string { return filepath.Join(s.dir, "s") }

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

// Save writes a snapshot, which the next Launch begins with.
func (s *Server) Save() {
	s.t.Helper()
	s.command("save")
}

// Dump is all that the server holds, as a snapshot in which nothing is compressed;
// nil while it is down.
func (s *Server) Dump() []byte {
	s.t.Helper()
	if s.cmd == nil {
		return nil
	}
	s.command("config", "set", "rdbcompression", "no")
	// A replica that joins may be having one written just now.
	s.await("it is saved", func() bool { return s.client.Save(context.Background()).Err() == nil })
	dump, err := os.ReadFile(filepath.Join(s.dir, "dump.rdb"))
	if err != nil {
		s.t.Fatal(err)
	}
	return dump
}

// Forget takes the snapshot away, so that the next Launch begins empty.
func (s *Server) Forget() {
	s.t.Helper()
	if err := os.Remove(filepath.Join(s.dir, "dump.rdb")); err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
}

// Addr is where s listens on loopback, from now on if it did not before.
func (s *Server) Addr() string {
	s.t.Helper()
	if s.port == 0 {
		s.port = freePort(s.t)
		s.command("config", "set", "bind", "127.0.0.1", "port", strconv.Itoa(s.port))
	}
	return "127.0.0.1:" + strconv.Itoa(s.port)
}

// Follow makes s a replica of primary and waits until it has all that is there.
func (s *Server) Follow(primary *Server) {
	s.t.Helper()
	s.follow(primary, primary.Addr())
}

// FollowThrough is Follow by way of a proxy to primary, which can hold up what
// the primary tells s.
func (s *Server) FollowThrough(link *Proxy, primary *Server) {
	s.t.Helper()
	s.follow(primary, link.Addr)
}

func (s *Server) follow(primary *Server, addr string) {
	s.t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	s.command("replicaof", host, port)
	s.AwaitInStep(primary)
}

// AwaitInStep waits until a replica has all that its primary has now: while others
// write, it may never have what the primary has a moment later.
func (s *Server) AwaitInStep(primary *Server) {
	s.t.Helper()
	all := primary.offset("master_repl_offset")
	s.await("the replica follows", func() bool {
		return strings.Contains(s.Info("replication"), "master_link_status:up") && s.offset("slave_repl_offset") >= all
	})
}

// Promote makes a replica a primary, which forgets whom it followed.
func (s *Server) Promote() {
	s.t.Helper()
	s.command("replicaof", "no", "one")
}

// AwaitPrimary waits until others have made s a primary.
func (s *Server) AwaitPrimary() {
	s.t.Helper()
	s.await("the replica is promoted", func() bool { return strings.Contains(s.Info("replication"), "role:master") })
}

func (s *Server) command(words ...any) {
	s.t.Helper()
	if err := s.client.Do(context.Background(), words...).Err(); err != nil {
		s.t.Fatalf("%v: %v\n%s", words, err, s.output.String())
	}
}

// Info is a section of what the server says of itself, "" while it is down.
func (s *Server) Info(section string) string {
	return s.client.Info(context.Background(), section).Val()
}

// Calls is how many scripts the server has run since its start.
func (s *Server) Calls() (scripts int) {
	stats := s.Info("commandstats")
	for _, name := range []string{"evalsha", "eval"} {
		scripts += number(stats, "cmdstat_"+name+":calls=")
	}
	return scripts
}

func (s *Server) offset(name string) int { return number(s.Info("replication"), "\n"+name+":") }

// number is the one that follows a name in what a server says of itself.
func number(text, name string) int {
	_, rest, _ := strings.Cut(text, name)
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	n, _ := strconv.Atoi(rest[:max(end, 0)])
	return n
}

// await waits for something that this server brings about.
func (s *Server) await(what string, met func() bool) {
	s.t.Helper()
	await(s.t, what, met, func() string { return fmt.Sprintf("%s\n%s", s.Info("replication"), s.output.String()) })
}

func await(t testing.TB, what string, met func() bool, explain func() string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !met(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s\n%s", what, explain())
		}
	}
}
