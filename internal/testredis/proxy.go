package testredis

import (
	"bytes"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands between clients and a Server, and loses what it is told to.
// It is safe for concurrent use.
type Proxy struct {
	URL string // unix://…

	mu     sync.Mutex
	lose   float64
	cut    bool
	conns  map[net.Conn]struct{}
	lost   int
	server string
}

// Proxy starts a proxy to s, ended with the test.
func (s *Server) Proxy(t testing.TB) *Proxy {
	t.Helper()
	path := filepath.Join(s.dir, "p"+strconv.Itoa(rand.IntN(1_000_000)))
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{URL: "unix://" + path, conns: map[net.Conn]struct{}{}, server: filepath.Join(s.dir, "s")}
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
	p.lose = share
}

// Cut ends all connections and, while it is true, every new one.
func (p *Proxy) Cut(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	if cut {
		for conn := range p.conns {
			_ = conn.Close()
		}
	}
}

// Lost is how many replies were swallowed.
func (p *Proxy) Lost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

func (p *Proxy) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	if p.cut {
		p.mu.Unlock()
		return
	}
	p.conns[client] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, client)
		p.mu.Unlock()
	}()
	var script atomic.Bool // one was sent last
	go func() {
		defer server.Close()
		for buffer := make([]byte, 64<<10); ; {
			n, err := client.Read(buffer)
			if bytes.Contains(buffer[:n], []byte("\r\neval")) {
				script.Store(true)
			}
			if err != nil {
				return
			}
			if _, err := server.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil || script.Swap(false) && p.swallows() {
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (p *Proxy) swallows() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if rand.Float64() >= p.lose {
		return false
	}
	p.lost++
	return true
}
