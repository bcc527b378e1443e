// Package httpserver runs listeners together and ends them gracefully.
package httpserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Listener is one address and what answers there.
type Listener struct {
	Name    string // for messages: "public", "operators"
	Setting string // the setting that names its address
	Addr    string // host:port
	Handler http.Handler
	TLS     *tls.Config // nil for plain HTTP
	// Limits cut off who is slow. Sockets that a handler takes over are bound
	// by none of them.
	Limits Limits
}

// Limits bound how long a connection may take for each part of an exchange; 0
// is the usual, save for Answer.
type Limits struct {
	Header  time.Duration // for a request's header
	Request time.Duration // for a request as a whole, its body included
	Answer  time.Duration // from a request's header to the end of its answer; 0 is no limit
	Idle    time.Duration // between two requests
}

const (
	usualHeader  = 5 * time.Second
	usualRequest = 30 * time.Second
	usualIdle    = 2 * time.Minute
)

// Group is several listeners that start and end together.
type Group struct {
	log     *slog.Logger
	servers []*http.Server
	bound   []net.Listener
	names   []string
}

// Listen binds every address, or none. The caller closes the group by Run.
func Listen(log *slog.Logger, listeners ...Listener) (*Group, error) {
	g := &Group{log: log}
	for _, l := range listeners {
		bound, err := net.Listen("tcp", l.Addr)
		if err != nil {
			g.closeAll()
			return nil, fmt.Errorf("%s listener: %w; choose another address with %s", l.Name, err, l.Setting)
		}
		g.bound = append(g.bound, bound)
		g.names = append(g.names, l.Name)
		g.servers = append(g.servers, &http.Server{
			Handler:           l.Handler,
			TLSConfig:         l.TLS,
			ReadHeaderTimeout: cmp.Or(l.Limits.Header, usualHeader),
			ReadTimeout:       cmp.Or(l.Limits.Request, usualRequest),
			WriteTimeout:      l.Limits.Answer,
			IdleTimeout:       cmp.Or(l.Limits.Idle, usualIdle),
			MaxHeaderBytes:    1 << 20,
			// "OPTIONS *" is the handler's to answer, like everything else.
			DisableGeneralOptionsHandler: true,
			ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		})
	}
	return g, nil
}

// Addr is the bound address of the listener of this name, or "".
func (g *Group) Addr(name string) string {
	for i, n := range g.names {
		if n == name {
			return g.bound[i].Addr().String()
		}
	}
	return ""
}

// Drain is how a group ends.
type Drain struct {
	Begin   func()        // called first: stop being ready
	Delay   time.Duration // between Begin and the closing of the listeners
	Timeout time.Duration // how long requests in flight get
}

// Run serves until ctx ends or a listener fails, then drains. It returns nil
// after a complete drain.
func (g *Group) Run(ctx context.Context, drain Drain) error {
	failed := make(chan error, len(g.servers))
	for i, server := range g.servers {
		go func() {
			if err := serve(server, g.bound[i]); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("%s listener: %w", g.names[i], err)
			}
		}()
	}
	var cause error
	select {
	case <-ctx.Done():
	case cause = <-failed:
	}
	if drain.Begin != nil {
		drain.Begin()
	}
	if cause == nil {
		time.Sleep(drain.Delay)
	}
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain.Timeout)
	defer cancel()
	ended := make(chan error, len(g.servers))
	for _, server := range g.servers {
		go func() {
			err := server.Shutdown(shutdown)
			if err != nil {
				_ = server.Close()
			}
			ended <- err
		}()
	}
	for range g.servers {
		if err := <-ended; err != nil && cause == nil {
			cause = fmt.Errorf("requests were still in flight after the shutdown time-out: %w", err)
		}
	}
	return cause
}

func serve(server *http.Server, l net.Listener) error {
	if server.TLSConfig != nil {
		return server.ServeTLS(l, "", "")
	}
	return server.Serve(l)
}

func (g *Group) closeAll() {
	for _, l := range g.bound {
		_ = l.Close()
	}
}
