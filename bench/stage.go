package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// stage is a Redis, a vendor, and the programs that stand on them. It is ended by
// close.
type stage struct {
	b       *bench
	servers []*process // of Redis
	redis   redis.UniversalClient
	url     string // of Redis
	vendor  *vendor
	all     []*process
	pools   []string // their keys, once all are known
}

// policy has every limit on and lets everybody pass.
const policy = `tokens:
  realtime_scribe: {per_user: 1000000/1s, per_user_daily: 1000000000}
  batch_scribe: {per_user: 1000000/1s, per_user_daily: 1000000000}
  tts_websocket: {per_user: 1000000/1s, per_user_daily: 1000000000}
global: 1000000/1s
`

// newStage starts a vendor and so many primaries of Redis; more than one are a
// cluster.
func (b *bench) newStage(ctx context.Context, primaries int) (_ *stage, err error) {
	s := &stage{b: b}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	for range primaries {
		server, err := s.startRedis(ctx, primaries > 1)
		if err != nil {
			return nil, err
		}
		s.servers = append(s.servers, server)
	}
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	s.vendor, err = b.startVendor(ctx)
	return s, err
}

func (s *stage) close() {
	for _, p := range s.all {
		p.stop()
	}
	if s.vendor != nil {
		s.vendor.stop()
	}
	if s.redis != nil {
		_ = s.redis.Close()
	}
	for _, p := range s.servers {
		p.kill()
	}
}

func (s *stage) startRedis(ctx context.Context, clustered bool) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	port := portOf(addr)
	dir := filepath.Join(s.b.dir, "redis-"+port)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	words := []string{s.b.redisServer, "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--daemonize", "no"}
	if clustered {
		bus, err := freeAddr()
		if err != nil {
			return nil, err
		}
		words = append(words, "--cluster-enabled", "yes", "--cluster-port", portOf(bus))
	}
	return launch(ctx, s.b.logs, "redis", addr, nil, words...)
}

// connect opens a client of Redis, for one server or a cluster that it joins.
func (s *stage) connect(ctx context.Context) error {
	first := s.servers[0].addr
	s.url = "redis://" + first
	if len(s.servers) == 1 {
		s.redis = redis.NewClient(&redis.Options{Addr: first})
		return s.redis.Ping(ctx).Err()
	}
	if err := s.join(ctx); err != nil {
		return err
	}
	addrs := make([]string, len(s.servers))
	for i, server := range s.servers {
		addrs[i] = server.addr
	}
	s.url += "?addr=" + strings.Join(addrs[1:], "&addr=")
	s.redis = redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	return nil
}

// join makes a cluster of the servers.
func (s *stage) join(ctx context.Context) error {
	const slots = 16384
	for i, server := range s.servers {
		node := redis.NewClient(&redis.Options{Addr: server.addr})
		defer node.Close()
		from, to := i*slots/len(s.servers), (i+1)*slots/len(s.servers)-1
		if err := node.ClusterAddSlotsRange(ctx, from, to).Err(); err != nil {
			return err
		}
		for _, other := range s.servers[:i] {
			host, port, _ := net.SplitHostPort(other.addr)
			info := redis.NewClient(&redis.Options{Addr: other.addr})
			bus := info.ConfigGet(ctx, "cluster-port").Val()["cluster-port"]
			_ = info.Close()
			if err := node.Do(ctx, "cluster", "meet", host, port, bus).Err(); err != nil {
				return err
			}
		}
	}
	return await(ctx, "the cluster serves", func() (bool, error) {
		for _, server := range s.servers {
			node := redis.NewClient(&redis.Options{Addr: server.addr})
			info, err := node.ClusterInfo(ctx).Result()
			_ = node.Close()
			if err != nil || !strings.Contains(info, "cluster_state:ok") {
				return false, err
			}
		}
		return true, nil
	})
}

// farebox starts a replica with every limit on, and its audit in a file. A line a
// request in the log, which the audit has anyway, is left out.
func (s *stage) farebox(ctx context.Context, settings ...string) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	env := append([]string{
		"ELEVENLABS_API_KEY=bench", "ELEVENLABS_BASE_URL=" + s.vendor.url, "REDIS_URL=" + s.url,
		"FAREBOX_SECRET=a secret of the bench that is long enough",
		"FAREBOX_SESSION_ISSUER=" + issuer, "FAREBOX_SESSION_AUDIENCE=" + audience,
		"FAREBOX_SESSION_PUBLIC_KEY_FILE=" + s.b.signer.file, "FAREBOX_POLICY_FILE=" + s.b.policyFile,
		"FAREBOX_LISTEN=" + addr, "FAREBOX_OPS_LISTEN=off", "FAREBOX_LOG_LEVEL=warn",
		"FAREBOX_AUDIT_FILE=" + filepath.Join(s.b.logs, "audit-"+portOf(addr)+".jsonl"),
	}, settings...)
	ops := ""
	if s.b.profiles != "" {
		if ops, err = freeAddr(); err != nil {
			return nil, err
		}
		env = append(env, "FAREBOX_OPS_LISTEN="+ops, "FAREBOX_PPROF=true")
	}
	p, err := s.keep(launch(ctx, s.b.logs, "farebox", addr, env, s.b.farebox, "serve"))
	if err == nil {
		p.ops = ops
	}
	return p, err
}

func (s *stage) floor(ctx context.Context) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	return s.keep(launch(ctx, s.b.logs, "floor", addr, nil, s.b.floor, "-listen", addr, "-redis", s.url))
}

func (s *stage) direct(ctx context.Context) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	return s.keep(launch(ctx, s.b.logs, "direct", addr, nil, s.b.direct,
		"-listen", addr, "-vendor", s.vendor.url, "-key", s.b.signer.file, "-issuer", issuer, "-audience", audience))
}

func (s *stage) handwritten(ctx context.Context) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	port := portOf(addr)
	return s.keep(launch(ctx, s.b.logs, "handwritten", addr, []string{"NODE_ENV=production"},
		s.b.node, s.b.handwritten, port, s.vendor.url, s.b.signer.file, issuer, audience))
}

func (s *stage) keep(p *process, err error) (*process, error) {
	if err == nil {
		s.all = append(s.all, p)
	}
	return p, err
}

// end ends one program of the stage before the others.
func (s *stage) end(p *process) {
	p.stop()
	for i, other := range s.all {
		if other == p {
			s.all = append(s.all[:i], s.all[i+1:]...)
			return
		}
	}
}

// keys are all keys whose name begins so after the shard's part.
func (s *stage) keys(ctx context.Context, kind string) (keys []string, err error) {
	for _, server := range s.servers {
		node := redis.NewClient(&redis.Options{Addr: server.addr})
		defer node.Close()
		all := node.Scan(ctx, 0, "{farebox:*}:"+kind+"*", 10_000).Iterator()
		for all.Next(ctx) {
			keys = append(keys, all.Val())
		}
		if err := all.Err(); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

const (
	types  = 3 // of tokens
	shards = 8 // of farebox on a cluster
)

// fill waits until the pools, of all types together, hold so many tokens of each.
func (s *stage) fill(ctx context.Context, each int) error {
	return await(ctx, fmt.Sprintf("%d tokens of each type are ready", each), func() (bool, error) {
		n, err := s.ready(ctx)
		return n >= types*each, err
	})
}

// ready is how many tokens lie in the pools.
func (s *stage) ready(ctx context.Context) (n int, err error) {
	pools := s.pools
	if pools == nil {
		if pools, err = s.keys(ctx, "p:"); err != nil {
			return 0, err
		}
		if len(pools) == types || len(pools) == types*shards {
			s.pools = pools // later, the keys to search are many
		}
	}
	for _, pool := range pools {
		n += int(s.redis.LLen(ctx, pool).Val())
	}
	return n, nil
}

// await asks ten times a second, for five minutes at most.
func await(ctx context.Context, what string, met func() (bool, error)) error {
	for deadline := time.Now().Add(5 * time.Minute); ; {
		ok, err := met()
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", what, err)
		case ok:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("never: %s", what)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
