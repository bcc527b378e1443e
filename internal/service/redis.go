package service

import (
	"log/slog"
	"time"

	"farebox/internal/config"
	"farebox/internal/health"
	"farebox/internal/identity"
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

// openRevocations returns the list of ended sessions, each kept for lifetime.
// fixedOwner stands for the embedded Redis' identity.
func openRevocations(shards *shard.Set, hasher *identity.Hasher, lifetime time.Duration, fixedOwner string, log *slog.Logger) (*revocation.List, error) {
	return revocation.New(revocation.Config{
		Shards: shards, Hasher: hasher, Lifetime: lifetime, FixedOwner: fixedOwner, Now: time.Now, Log: log,
	})
}
