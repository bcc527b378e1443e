package testredis

import (
	"bufio"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy stands between a Server and who talks to it, clients or a replica, and
// does to their commands and replies what it is told to. It follows the
// protocol, so that it knows each command's reply, also where several commands
// come at once or one comes in pieces. It is safe for concurrent use.
type Proxy struct {
	URL  string // unix://… or redis://…
	Addr string // the path, or the address on loopback

	mu     sync.Mutex
	freed  *sync.Cond // held or lags has ended, or a line
	socket string     // of the server
	lines  map[*line]struct{}
	share  float64 // of replies to lose
	nth    int     // the reply to lose, counted down; 0 for none
	cut    bool
	held   bool
	lags   bool
	delay  time.Duration
	calls  int
	lost   int
}

// line is one connection through a proxy.
type line struct {
	client, server net.Conn
	ended          bool
}

// Proxy starts a proxy to s on a Unix socket, ended with the test.
func (s *Server) Proxy(t testing.TB) *Proxy {
	t.Helper()
	path := filepath.Join(s.dir, "p"+strconv.Itoa(rand.IntN(1_000_000)))
	p := s.proxy(t, "unix", path)
	p.URL = "unix://" + path
	return p
}

// Link starts a proxy to s on loopback, where a replica too can talk to it.
func (s *Server) Link(t testing.TB) *Proxy {
	t.Helper()
	return s.link(t, freePort(t))
}

func (s *Server) link(t testing.TB, port int) *Proxy {
	t.Helper()
	p := s.proxy(t, "tcp", "127.0.0.1:"+strconv.Itoa(port))
	p.URL = "redis://" + p.Addr
	return p
}

func (s *Server) proxy(t testing.TB, network, address string) *Proxy {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: address, lines: map[*line]struct{}{}, socket: s.socket()}
	p.freed = sync.NewCond(&p.mu)
	var open sync.WaitGroup
	open.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { p.carry(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.Cut(true)
		open.Wait()
	})
	return p
}

// Lose has a share, 0 to 1, of the replies to scripts swallowed after these ran,
// and the connection closed. What a connection begins with is left alone.
func (p *Proxy) Lose(share float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.share = share
}

// LoseNth has the reply to the nth script from now on, counted from 1,
// swallowed after it ran, and the connection closed; that one alone. 0 is none.
func (p *Proxy) LoseNth(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nth = n
}

// Cut ends all connections and, while it is true, every new one.
func (p *Proxy) Cut(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	if cut {
		p.endAll()
	}
}

// Hold carries nothing while it is true, either way; connections stay.
func (p *Proxy) Hold(hold bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = hold
	p.freed.Broadcast()
}

// Lag is Hold for what a primary tells its replica: commands and replies pass.
func (p *Proxy) Lag(lag bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lags = lag
	p.freed.Broadcast()
}

// Delay has each reply come so much later.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Point ends all connections, and has new ones go to another server.
func (p *Proxy) Point(to *Server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.socket = to.socket()
	p.endAll()
}

// Calls is how many scripts' replies came.
func (p *Proxy) Calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// Lost is how many replies were swallowed.
func (p *Proxy) Lost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

func (p *Proxy) endAll() {
	for l := range p.lines {
		p.end(l)
	}
}

// end is called with mu held.
func (p *Proxy) end(l *line) {
	l.ended = true
	_ = l.client.Close()
	_ = l.server.Close()
	p.freed.Broadcast()
}

// connect is a new line, or nil where there is to be none.
func (p *Proxy) connect(client net.Conn) *line {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return nil
	}
	// A Unix socket takes a connection at once or never.
	server, err := net.Dial("unix", p.socket)
	if err != nil {
		return nil
	}
	l := &line{client: client, server: server}
	p.lines[l] = struct{}{}
	return l
}

// kind is what a command's reply is like.
type kind int

const (
	plain       kind = iota
	script           // may be swallowed
	replication      // the beginning of a stream that is no reply
)

func kindOf(command string) kind {
	switch {
	case strings.HasPrefix(command, "EVAL"):
		return script
	case command == "PSYNC" || command == "SYNC":
		return replication
	default:
		return plain
	}
}

func (p *Proxy) carry(client net.Conn) {
	defer client.Close()
	l := p.connect(client)
	if l == nil {
		return
	}
	sent := make(chan kind, 10_000)
	var commands sync.WaitGroup
	commands.Go(func() {
		p.carryCommands(l, sent)
		p.hangUp(l)
	})
	p.carryReplies(l, sent)
	p.hangUp(l)
	commands.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.lines, l)
}

func (p *Proxy) hangUp(l *line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(l)
}

func (p *Proxy) carryCommands(l *line, sent chan<- kind) {
	defer close(sent)
	for client := bufio.NewReader(l.client); ; {
		name, frame, err := readCommand(client)
		if err != nil {
			return
		}
		sent <- kindOf(name)
		if !p.pass(l, l.server, frame) {
			return
		}
		if kindOf(name) == replication {
			p.copy(l, l.server, client)
			return
		}
	}
}

func (p *Proxy) carryReplies(l *line, sent <-chan kind) {
	for server := bufio.NewReader(l.server); ; {
		first, err := server.Peek(1)
		if err != nil {
			return
		}
		reply := plain
		if first[0] != '>' { // what the server says unasked
			reply = <-sent
		}
		if reply == replication {
			p.copy(l, l.client, server)
			return
		}
		frame, err := readFrame(server, nil)
		if err != nil || reply == script && p.swallows() || !p.pass(l, l.client, frame) {
			return
		}
	}
}

// pass writes when it may, and reports whether it could.
func (p *Proxy) pass(l *line, to net.Conn, frame []byte) bool {
	p.mu.Lock()
	delay := p.delay
	p.mu.Unlock()
	if to == l.client && delay > 0 {
		time.Sleep(delay)
	}
	p.waitWhile(l, &p.held)
	_, err := to.Write(frame)
	return err == nil
}

func (p *Proxy) waitWhile(l *line, hindered *bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for *hindered && !l.ended {
		p.freed.Wait()
	}
}

// copy carries a stream.
func (p *Proxy) copy(l *line, to net.Conn, from io.Reader) {
	for buffer := make([]byte, 64<<10); ; {
		n, err := from.Read(buffer)
		p.waitWhile(l, &p.lags)
		if n > 0 && !p.pass(l, to, buffer[:n]) || err != nil {
			return
		}
	}
}

func (p *Proxy) swallows() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	isNth := p.nth == 1
	if p.nth > 0 {
		p.nth--
	}
	if !isNth && rand.Float64() >= p.share {
		return false
	}
	p.lost++
	return true
}
