package preflight

import (
	"context"
	"errors"
	"time"

	"farebox/internal/policy"
	"farebox/internal/secret"
	"farebox/internal/shard"
	"farebox/session"
	vendorclient "farebox/vendor_client"
)

// Config is what serve would run with. Fields are required unless said
// otherwise.
type Config struct {
	Vendor  vendorclient.Config // without its keys
	APIKeys []secret.Text
	Redis   Redis
	Keys    session.KeySource
	// KeysSetting is where the session keys come from.
	KeysSetting string
	Policy      *policy.Policy
	PolicyFile  string // its name, for the report; "" for the default policy
	// Limit bounds one check; 0 is 10 s.
	Limit time.Duration
}

// Redis is the Redis that is to be checked.
type Redis struct {
	Conn       shard.Redis
	Prefix     string
	FixedOwner string // the embedded server's identity; "" for any other
	Sentinel   bool   // the primary is found by Sentinel
	PoolOff    bool   // the settings want no pool
}

const defaultLimit = 10 * time.Second

type check struct {
	name string
	run  func(context.Context) Result
}

// Run makes all checks in a fixed order, each bounded in time and whatever
// became of those before it, and tells each result as it comes. It mints one
// token of each type that the policy names with each key, and throws it away.
func Run(ctx context.Context, cfg Config, tell func(Result) error) (Report, error) {
	if cfg.Redis.Conn == nil || cfg.Keys == nil || cfg.Policy == nil {
		return Report{}, errors.New("preflight: a required field is missing")
	}
	if cfg.Limit == 0 {
		cfg.Limit = defaultLimit
	}
	redis, err := newRedisChecks(cfg.Redis)
	if err != nil {
		return Report{}, err
	}
	checks := append(cfg.vendorChecks(),
		check{"redis", redis.answers}, check{"redis_scripts", redis.scripts},
		check{"redis_fence", redis.fence}, check{"redis_eviction", redis.eviction},
		check{"session_keys", cfg.sessionKeys}, check{"policy", cfg.policy},
	)
	report := Report{OK: true}
	for _, c := range checks {
		limited, cancel := context.WithTimeout(ctx, cfg.Limit)
		result := c.run(limited)
		cancel()
		result.Name = c.name
		report.OK = report.OK && result.Status != Fail
		report.Checks = append(report.Checks, result)
		if err := tell(result); err != nil {
			return report, err
		}
	}
	return report, ctx.Err()
}
