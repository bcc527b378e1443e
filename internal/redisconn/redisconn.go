// Package redisconn opens the connection to Redis, embedded or real.
package redisconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"farebox/internal/secret"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/redis/go-redis/v9/maintnotifications"
)

// Config is how to reach Redis.
type Config struct {
	URL      secret.Text
	Embedded bool // an embedded Redis instead of URL
	CAFile   string
	CertFile string
	KeyFile  string
}

// Open returns a client and what closes it. It does not wait for the server:
// a Redis that is down at the start is no error. Errors never show the URL.
func Open(cfg Config) (client *redis.Client, closeAll func(), err error) {
	var options *redis.Options
	closeServer := func() {}
	if cfg.Embedded {
		options, closeServer = embedded()
	} else {
		if options, err = redis.ParseURL(cfg.URL.Reveal()); err != nil {
			return nil, nil, errors.New("REDIS_URL is no address of a Redis server")
		}
		if options.TLSConfig != nil {
			if err := addTLSFiles(options.TLSConfig, cfg); err != nil {
				return nil, nil, err
			}
		}
	}
	// A repeated write could hand one claim to two callers, or charge twice.
	options.MaxRetries = -1
	// Each call has a deadline of its own, far below these.
	options.ContextTimeoutEnabled = true
	options.DialTimeout = 2 * time.Second
	options.DialerRetries = 1
	options.PoolSize = 64
	options.MinIdleConns = 1
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	client = redis.NewClient(options)
	return client, func() {
		_ = client.Close()
		closeServer()
	}, nil
}

func embedded() (*redis.Options, func()) {
	server := &embeddedServer{redis: miniredis.NewMiniRedis()}
	server.redis.ClockTTL(true)
	// No socket: nothing else on this machine can reach it.
	return &redis.Options{Dialer: server.dial}, server.close
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

func addTLSFiles(config *tls.Config, cfg Config) error {
	config.MinVersion = tls.VersionTLS12
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return errors.New("FAREBOX_REDIS_CA_FILE cannot be read")
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return errors.New("FAREBOX_REDIS_CA_FILE holds no certificate")
		}
	}
	if cfg.CertFile != "" {
		certificate, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return errors.New("FAREBOX_REDIS_CERT_FILE and FAREBOX_REDIS_KEY_FILE are no certificate with its key")
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return nil
}

// LogTo has the library's own lines written to log from now on, for all
// connections. It is to be called once, before any is opened.
func LogTo(log *slog.Logger) { redis.SetLogger(libraryLog{log}) }

// libraryLog keeps go-redis' own lines in our log. They repeat what callers
// are told anyway, so they are for debugging.
type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Printf(ctx context.Context, format string, v ...any) {
	if l.log.Enabled(ctx, slog.LevelDebug) {
		l.log.DebugContext(ctx, "redis client", "line", fmt.Sprintf(format, v...))
	}
}
