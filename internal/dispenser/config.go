package dispenser

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"farebox/internal/identity"
	"farebox/internal/revocation"
	"farebox/internal/secret"
	"farebox/internal/shard"
	vendorclient "farebox/vendor_client"
)

// Minter has the vendor make tokens. It is safe for concurrent use.
type Minter interface {
	Mint(ctx context.Context, t vendorclient.TokenType) (vendorclient.Token, error)
}

// KeyRing is the API keys that the vendor is asked with. It is safe for concurrent
// use.
type KeyRing interface {
	// Keys are all of them, in order; there is one at least.
	Keys() []*vendorclient.Key
	// Good are those whose tokens of type t can be expected to work, in order.
	Good(t vendorclient.TokenType) []*vendorclient.Key
	// Refused reports whether what the key of this id has made cannot be expected
	// to work, of type t or, with "", at all. Of a key that is unknown it cannot
	// say so.
	Refused(id string, t vendorclient.TokenType) bool
}

var _ KeyRing = (*vendorclient.Ring)(nil)

// Observer is told of a dependency's state as it is met. It is safe for
// concurrent use and cheap to call again and again.
type Observer = shard.Observer

// Config is what a Dispenser needs. Every field is required unless said
// otherwise.
type Config struct {
	Vendor     Minter
	VendorHost string     // where tokens are redeemed; tokens in Redis are bound to it
	Keys       KeyRing    // what the vendor mints with; seals the pools
	Shards     *shard.Set // of Redis
	// Revocations are the sessions that were ended.
	Revocations *revocation.List
	// RequireRevocations refuses where Redis cannot be asked for them.
	RequireRevocations bool
	Secrets            []secret.Text // the first writes, all read
	Hasher             *identity.Hasher

	TokenLifetime  time.Duration // from the moment before the vendor was called
	ReplayWindow   time.Duration // how long an idempotency key gives the same answer
	RequestTimeout time.Duration // how long a caller waits at most
	MintTimeout    time.Duration // of one vendor call

	Pool Pool
	// MintConcurrency bounds the mints for the pool under way at once.
	MintConcurrency int

	VendorState Observer
	PoolState   Observer        // down where Redis does not say who it is
	Discards    DiscardObserver // nil: nobody is told
	Now         func() time.Time
	Log         *slog.Logger
}

// Pool is how many tokens of each type are kept ready, across all replicas.
type Pool struct {
	Min, Max int           // Max 0 is no pool
	MaxAge   time.Duration // an older token is thrown away
	// Owner stands for the server's identity where it cannot be read and the
	// server is one that forgets everything when it ends; "" reads it.
	Owner string
}

// MinimumLife is what a token handed out has left at least.
const MinimumLife = 5 * time.Minute

// OwnerSize is the length of Pool.Owner.
const OwnerSize = shard.OwnerSize

// mintBudget is how long an attempt with a key may take: a caller's wait and
// one more vendor call, so that a late answer is there for the next try.
func (cfg Config) mintBudget() time.Duration { return cfg.RequestTimeout + cfg.MintTimeout }

// validate says which fields are missing or do not fit together.
func (cfg Config) validate() error {
	if cfg.Vendor == nil || cfg.Keys == nil || cfg.Shards == nil || cfg.Revocations == nil || cfg.Hasher == nil || cfg.Now == nil || cfg.Log == nil ||
		cfg.VendorState == nil || len(cfg.Secrets) == 0 {
		return errors.New("dispenser: a required field is missing")
	}
	if cfg.TokenLifetime-cfg.ReplayWindow < MinimumLife || cfg.ReplayWindow <= 0 || cfg.RequestTimeout <= 0 || cfg.MintTimeout <= 0 {
		return errors.New("dispenser: lifetime, window and time-outs do not fit together")
	}
	if cfg.Pool.Max > 0 && (cfg.PoolState == nil || cfg.MintConcurrency <= 0 || cfg.Pool.Min < 0 || cfg.Pool.Min > cfg.Pool.Max ||
		cfg.Pool.MaxAge <= 0 || cfg.TokenLifetime-cfg.ReplayWindow-cfg.Pool.MaxAge < MinimumLife ||
		cfg.Pool.Owner != "" && len(cfg.Pool.Owner) != OwnerSize) {
		return errors.New("dispenser: the pool's settings do not fit together")
	}
	return nil
}
