// Package redisconn opens the connection to Redis: embedded, one server, a
// cluster, or the primary that Sentinel names.
package redisconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"farebox/internal/secret"

	"github.com/redis/go-redis/v9"
)

// Config is how to reach Redis.
type Config struct {
	URL      secret.Text
	Mode     Mode // "" is Auto
	Embedded bool // an embedded Redis instead of URL
	CAFile   string
	CertFile string
	KeyFile  string
}

// Conn sends commands to Redis. It is safe for concurrent use.
type Conn struct {
	cfg         Config
	closeServer func()

	mu     sync.Mutex // held while the server is asked what it is, and in Close
	client atomic.Pointer[redis.UniversalClient]
	kind   atomic.Int32

	laneMu sync.RWMutex
	lanes  map[string]*slotLane // by slot
}

// What is known of the server.
const (
	unknown int32 = iota
	alone
	clustered
)

// Open returns a connection. It does not wait for the server: a Redis that is
// down at the start is no error. Errors never show the URL.
func Open(cfg Config) (*Conn, error) {
	c := &Conn{cfg: cfg, closeServer: func() {}, lanes: map[string]*slotLane{}}
	if cfg.Embedded {
		options, closeServer, err := embedded()
		if err != nil {
			return nil, err
		}
		c.closeServer = closeServer
		c.set(newSingle(options), alone)
		return c, nil
	}
	mode, err := CheckURL(cfg.URL, cfg.Mode)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL %w", err)
	}
	tlsConfig, err := readTLSFiles(cfg)
	if err != nil {
		return nil, err
	}
	kind := alone
	switch mode {
	case Cluster:
		kind = clustered
	case Auto:
		kind = unknown
	}
	client, err := newClient(cfg.URL, mode, tlsConfig)
	if err != nil {
		return nil, err
	}
	c.set(client, kind)
	return c, nil
}

func (c *Conn) set(client redis.UniversalClient, kind int32) {
	c.client.Store(&client)
	c.kind.Store(kind)
}

// Close ends the connection, and an embedded server with it. A command that
// comes after it fails.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := (*c.client.Load()).Close()
	c.closeServer()
	return err
}

// Process sends one command and waits for its answer, or for the end of ctx;
// then cmd must not be read, since it may run yet. It is sent again only where
// it certainly did not run: another server has its key, or this one takes no
// writes since it is a primary no longer.
//
// Commands about one slot that come while others are under way go together.
func (c *Conn) Process(ctx context.Context, cmd redis.Cmder) error {
	once := &once{Cmder: cmd}
	err := c.send(ctx, once)
	if err != nil && strings.HasPrefix(err.Error(), "READONLY ") {
		// The connection is closed by now; a new one may find the new primary.
		err = (*c.client.Load()).Process(ctx, once)
	}
	if cluster, is := (*c.client.Load()).(*redis.ClusterClient); is && err != nil && !isAnswer(err) {
		// go-redis asks anew who has which slot where it is told so, but not
		// where a server is gone, since this command is not for sending again.
		cluster.ReloadState(ctx)
	}
	return err
}

func (c *Conn) send(ctx context.Context, cmd *once) error {
	slot := slotOf(cmd)
	if slot == "" {
		return (*c.client.Load()).Process(ctx, cmd)
	}
	return c.laneOf(slot).process(ctx, cmd)
}

// laneOf is the lane of a slot. There are as many as slots are used.
func (c *Conn) laneOf(slot string) *slotLane {
	c.laneMu.RLock()
	l := c.lanes[slot]
	c.laneMu.RUnlock()
	if l != nil {
		return l
	}
	c.laneMu.Lock()
	defer c.laneMu.Unlock()
	if c.lanes[slot] == nil {
		c.lanes[slot] = &slotLane{client: func() redis.UniversalClient { return *c.client.Load() }}
	}
	return c.lanes[slot]
}

// isAnswer reports whether err is what a server said, not that none did.
func isAnswer(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}

// Clustered reports whether keys are spread over the servers of a cluster. An
// error means that it is not known yet, since no server has answered.
func (c *Conn) Clustered(ctx context.Context) (bool, error) {
	if kind := c.kind.Load(); kind != unknown {
		return kind == clustered, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if kind := c.kind.Load(); kind != unknown {
		return kind == clustered, nil
	}
	mode, err := c.askMode(ctx)
	switch {
	case err != nil:
		return false, err
	case mode == "sentinel":
		return false, errors.New("REDIS_URL is a Sentinel's; it needs ?master_name=, the name of the primary that Sentinel watches")
	case mode != "cluster":
		c.kind.Store(alone)
		return false, nil
	}
	tlsConfig, err := readTLSFiles(c.cfg)
	if err != nil {
		return false, err
	}
	client, err := newClient(c.cfg.URL, Cluster, tlsConfig)
	if err != nil {
		return false, err
	}
	_ = (*c.client.Load()).Close()
	c.set(client, clustered)
	return true, nil
}

// askMode returns "standalone", "cluster" or "sentinel"; "" is a server that
// does not say, as a proxy may not.
func (c *Conn) askMode(ctx context.Context) (string, error) {
	cmd := redis.NewCmd(ctx, "hello")
	if err := (*c.client.Load()).Process(ctx, cmd); err != nil {
		if isAnswer(err) && doesNotKnow(err.Error()) {
			return "", nil
		}
		return "", err
	}
	// RESP3 answers with a map, RESP2 with a list of names and values.
	switch answer := cmd.Val().(type) {
	case map[any]any:
		mode, _ := answer["mode"].(string)
		return mode, nil
	case []any:
		for i := 0; i+1 < len(answer); i += 2 {
			if answer[i] == "mode" {
				mode, _ := answer[i+1].(string)
				return mode, nil
			}
		}
	}
	return "", nil
}

// doesNotKnow reports whether a server refused HELLO itself, and not, say, the
// database of the address, which a cluster does not have.
func doesNotKnow(answer string) bool {
	return strings.HasPrefix(answer, "NOPERM ") || strings.Contains(answer, "unknown command") ||
		strings.Contains(answer, "wrong number of arguments")
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
