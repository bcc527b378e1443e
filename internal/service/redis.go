package service

import (
	"context"
	"log/slog"
	"time"

	"farebox/internal/config"
	"farebox/internal/health"
	"farebox/internal/identity"
	"farebox/internal/preflight"
	"farebox/internal/redisconn"
	"farebox/internal/revocation"
	"farebox/internal/shard"
)

func openRedis(cfg *config.Config) (*redisconn.Conn, error) {
	return redisconn.Open(redisconn.Config{
		URL: cfg.Redis.URL, Mode: cfg.Redis.Mode, Embedded: cfg.Redis.Embedded,
		CAFile: cfg.Redis.CAFile, CertFile: cfg.Redis.CertFile, KeyFile: cfg.Redis.KeyFile,
	})
}

// openShards returns Redis' shards; a call to them may take timeout, 0 for the
// short one of requests.
func openShards(cfg *config.Config, redis *redisconn.Conn, board *health.Board, tracer shard.Tracer, timeout time.Duration, log *slog.Logger) (*shard.Set, error) {
	return shard.New(shard.Config{
		Redis: redis, Prefix: cfg.Redis.Prefix, Timeout: timeout, State: board.Lamp("redis", false), Tracer: tracer, Log: log,
	})
}

// redisTimeout is for one call on a request's behalf, as openShards takes it. The
// Redis in this process is late only where the process as a whole is, as on a busy
// or a woken laptop, and to go on without it would then be of no use.
func redisTimeout(cfg *config.Config) time.Duration {
	if cfg.Redis.Embedded {
		return 5 * time.Second
	}
	return 0
}

// openRevocations returns the list of ended sessions, each kept for lifetime.
// fixedOwner stands for the embedded Redis' identity.
func openRevocations(shards *shard.Set, hasher *identity.Hasher, lifetime time.Duration, fixedOwner string, log *slog.Logger) (*revocation.List, error) {
	return revocation.New(revocation.Config{
		Shards: shards, Hasher: hasher, Lifetime: lifetime, FixedOwner: fixedOwner, Now: time.Now, Log: log,
	})
}

// redisMemory is what Redis does when its memory is full.
type redisMemory struct {
	redis preflight.Redis
	log   *slog.Logger
}

// warn logs, once, that Redis evicts keys, or that it does not say. It waits for
// a Redis that is away.
func (m redisMemory) warn(ctx context.Context) {
	const pause = 10 * time.Second
	for {
		result, err := preflight.Eviction(ctx, m.redis)
		switch {
		case err != nil, ctx.Err() != nil, result.Status == preflight.OK:
			return
		case result.Status == preflight.Warn:
			m.log.Warn("Redis may evict what it is to keep", "detail", result.Detail, "mend", result.Mend)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
