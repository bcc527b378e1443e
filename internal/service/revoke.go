package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"farebox/internal/config"
	"farebox/internal/health"
	"farebox/internal/identity"
	"farebox/internal/revocation"
	"farebox/internal/telemetry"
)

// revokeTimeout is for one call: an operator may be far from Redis, and waits.
const revokeTimeout = 5 * time.Second

// Revoke ends sessions that were issued until now, and writes it to the audit.
// It returns nil when all replicas will know.
func Revoke(ctx context.Context, cfg *config.Config, ending revocation.Ending, auditTo io.Writer) error {
	if cfg.Redis.Embedded {
		return config.Faults{{Setting: "REDIS_URL", Mend: "must be the Redis of the replicas; memory: is inside another process"}}
	}
	log := newLogger(cfg.Log, auditTo)
	board := health.NewBoard(time.Now, log)
	audit, closeAudit, err := openAudit(cfg.AuditFile, auditTo, board, log)
	if err != nil {
		return err
	}
	defer closeAudit()
	hasher, err := identity.NewHasher(cfg.Secrets)
	if err != nil {
		return err
	}
	redis, err := openRedis(cfg)
	if err != nil {
		return err
	}
	defer redis.Close()
	shards, err := openShards(cfg, redis, board, nil, revokeTimeout, log)
	if err != nil {
		return err
	}
	// How long sessions may live is the replicas' setting, so the longest counts.
	list, err := openRevocations(shards, hasher, config.LongestSession, "", log)
	if err != nil {
		return err
	}
	// A session may be issued by a clock that is ahead, by as much as it would
	// be taken for good.
	ending.At = time.Now().Add(cfg.Session.Leeway)
	err = list.End(ctx, ending)
	audit.Record(ctx, revoked(hasher, ending, err))
	switch {
	case errors.Is(err, revocation.ErrUnconfirmed):
		return errors.New("redis has it, but none of its replicas said so in time: do it again")
	case err != nil:
		return fmt.Errorf("nothing may have been ended, do it again: %w", err)
	}
	return nil
}

// revoked is an ending's audit line.
func revoked(hasher *identity.Hasher, ending revocation.Ending, err error) telemetry.Entry {
	e := telemetry.Entry{
		Event: telemetry.EventRevoked, Outcome: "ok",
		SessionHash: hasher.Session(ending.Issuer, ending.SessionID), TokenIDHash: hasher.TokenID(ending.Issuer, ending.TokenID),
	}
	if ending.Subject != "" {
		e.SubjectHash = hasher.Subject(ending.Issuer, ending.Subject)
	}
	if err != nil {
		e.Outcome = "unconfirmed"
	}
	return e
}
