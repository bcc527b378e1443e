//go:build !release

package redisconn

import (
	"context"
	"net"
	"sync"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// HasEmbedded says whether this build has an embedded Redis.
const HasEmbedded = true

func embedded() (*redis.Options, func(), error) {
	server := &embeddedServer{redis: miniredis.NewMiniRedis()}
	server.redis.ClockTTL(true)
	// No socket: nothing else on this machine can reach it.
	return &redis.Options{Dialer: server.dial}, server.close, nil
}

// embeddedServer refuses who comes after its end: the client dials in the
// background, also while it is being closed, and miniredis would start over.
type embeddedServer struct {
	redis  *miniredis.Miniredis
	mu     sync.Mutex
	closed bool
}

func (s *embeddedServer) dial(context.Context, string, string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, net.ErrClosed
	}
	return s.redis.Dial()
}

func (s *embeddedServer) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.redis.Close()
}
