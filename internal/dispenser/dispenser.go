// Package dispenser hands out the vendor's single-use tokens, each at most
// once, under limits.
//
// A request goes one way: one Redis script decides it (is it a replay? is it
// over a limit? else charge, and claim the attempt); a claimed request has the
// vendor mint; the answer is kept, sealed, for the same caller repeating the
// same idempotency key. Nothing is ever shared between callers. Without Redis
// tokens are minted directly, under limits counted in process.
package dispenser

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"farebox/internal/identity"
	"farebox/internal/limit"
	"farebox/internal/secret"
	vendorclient "farebox/vendor_client"

	"github.com/redis/go-redis/v9"
)

// Minter has the vendor make tokens. It is safe for concurrent use.
type Minter interface {
	Mint(ctx context.Context, t vendorclient.TokenType) (vendorclient.Token, error)
}

// Observer is told of a dependency's state as it is met. It is safe for
// concurrent use and cheap to call again and again.
type Observer interface {
	Up()
	Down(reason string)
}

// Config is what a Dispenser needs. Every field is required unless said
// otherwise.
type Config struct {
	Vendor     Minter
	VendorHost string // where tokens are redeemed; kept answers are bound to it
	Redis      redis.UniversalClient
	Prefix     string        // first part of every Redis key
	Secrets    []secret.Text // the first writes, all read
	Hasher     *identity.Hasher

	TokenLifetime  time.Duration // from the moment before the vendor was called
	ReplayWindow   time.Duration // how long an idempotency key gives the same answer
	RequestTimeout time.Duration // how long a caller waits at most
	MintTimeout    time.Duration // of one vendor call
	// RedisTimeout bounds one call to Redis, which counts as away when it takes
	// longer; 0 is 250 ms.
	RedisTimeout time.Duration

	RedisState  Observer
	VendorState Observer
	Now         func() time.Time
	Log         *slog.Logger
}

// MinimumLife is what a token handed out has left at least.
const MinimumLife = 5 * time.Minute

// Dispenser hands out tokens. It is safe for concurrent use.
type Dispenser struct {
	cfg   Config
	store *store
	seal  *sealer
	local *localLimits
	seen  *seenTokens
	// flights are attempts with a key, which go on without their callers.
	flights flights
}

// New returns a Dispenser. It does not wait for Redis.
func New(cfg Config) (*Dispenser, error) {
	if cfg.Vendor == nil || cfg.Redis == nil || cfg.Hasher == nil || cfg.Now == nil || cfg.Log == nil ||
		cfg.RedisState == nil || cfg.VendorState == nil || cfg.Prefix == "" || len(cfg.Secrets) == 0 {
		return nil, errors.New("dispenser: a required field is missing")
	}
	if cfg.TokenLifetime-cfg.ReplayWindow < MinimumLife || cfg.ReplayWindow <= 0 || cfg.RequestTimeout <= 0 || cfg.MintTimeout <= 0 {
		return nil, errors.New("dispenser: lifetime, window and time-outs do not fit together")
	}
	local, err := newLocalLimits(cfg.Now)
	if err != nil {
		return nil, err
	}
	st := newStore(cfg)
	seen, err := newSeenTokens(cfg, st)
	if err != nil {
		return nil, err
	}
	return &Dispenser{
		cfg: cfg, store: st, seal: newSealer(cfg.Secrets, cfg.VendorHost), local: local, seen: seen,
		flights: flights{underWay: map[string]*flight{}},
	}, nil
}

// Run keeps an eye on Redis until ctx ends, so that its loss and return are
// seen without traffic too.
func (d *Dispenser) Run(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		d.store.ping(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Close waits until attempts that go on without their callers are kept for
// them, or ctx ends.
func (d *Dispenser) Close(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		d.flights.ended.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("dispenser: attempts under way: %w", ctx.Err())
	}
}

// Dispense hands out a token, or says why not: a *LimitError, ErrKeyReused,
// ErrInProgress, ErrRepeatedToken, a *vendorclient.Error, or the context's own
// error. No token is minted for a request that is refused.
func (d *Dispenser) Dispense(ctx context.Context, req Request) (Grant, error) {
	a := d.newAttempt(req)
	if !a.keyed() {
		return d.dispense(ctx, a)
	}
	return d.flights.join(ctx, a, func() (Grant, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.mintBudget())
		defer cancel()
		return d.dispense(ctx, a)
	})
}

func (d *Dispenser) dispense(ctx context.Context, a *attempt) (Grant, error) {
	pause := pollFirst
	for {
		decision, err := d.store.claim(ctx, a)
		if err != nil {
			return d.dispenseAlone(ctx, a)
		}
		switch decision.outcome {
		case outcomeGranted:
			d.local.record(a)
			grant, err := d.mintAndSettle(ctx, a, decision)
			if errors.Is(err, errClaimLost) {
				continue
			}
			return grant, err
		case outcomeReplay:
			grant, err := d.openReplay(a, decision)
			if err == nil {
				return grant, nil
			}
			d.cfg.Log.WarnContext(ctx, "an answer kept for replay cannot be used; minting anew", "error", err)
			a.useless = decision.sealed
		case outcomePending:
			a.waitingOn = decision.claim
			if pause, err = wait(ctx, pause); err != nil {
				return Grant{}, err
			}
		case outcomeFailed:
			return Grant{}, decision.failure
		case outcomeReused:
			return Grant{}, ErrKeyReused
		case outcomeLimited:
			return Grant{}, newLimitError(decision.limited, decision.states)
		}
	}
}

// mintBudget is how long an attempt with a key may take: a caller's wait and
// one more vendor call, so that a late answer is there for the next try.
func (d *Dispenser) mintBudget() time.Duration { return d.cfg.RequestTimeout + d.cfg.MintTimeout }

func (d *Dispenser) mintAndSettle(ctx context.Context, a *attempt, decision decision) (Grant, error) {
	token, err := d.mint(ctx, a.Type)
	if err != nil {
		if mayGiveBack(err) {
			d.local.giveBack(a)
		}
		d.store.release(ctx, a, decision, err)
		return Grant{}, err
	}
	grant := Grant{
		Token: token.Value, Type: a.Type, Source: SourceMint,
		ExpiresAt: token.RequestedAt.Add(d.cfg.TokenLifetime),
		Limits:    decision.states,
	}
	if !a.keyed() {
		return grant, nil
	}
	mintedAt := decision.redisTime(token.RequestedAt)
	sealed, err := d.seal.seal(a, token.Value, mintedAt)
	if err != nil {
		return Grant{}, fmt.Errorf("dispenser: seal an answer: %w", err)
	}
	kept, err := d.store.settle(ctx, a, sealed)
	if err != nil {
		// It may or may not be kept. Either way it is this caller's and this
		// key's, so handing it out breaks nothing.
		d.cfg.Log.WarnContext(ctx, "an answer may not be kept for replay", "error", err)
		return grant, nil
	}
	if !kept {
		return Grant{}, errClaimLost
	}
	return grant, nil
}

// mint has the vendor make a token that it never gave before.
func (d *Dispenser) mint(ctx context.Context, t vendorclient.TokenType) (vendorclient.Token, error) {
	const tries = 3
	for range tries {
		token, err := d.cfg.Vendor.Mint(ctx, t)
		if err != nil {
			d.observeVendor(err)
			return vendorclient.Token{}, err
		}
		d.cfg.VendorState.Up()
		if d.seen.first(ctx, token.Value) {
			return token, nil
		}
		d.cfg.Log.WarnContext(ctx, "the vendor gave a token twice; it is thrown away", "type", string(t))
	}
	return vendorclient.Token{}, ErrRepeatedToken
}

func (d *Dispenser) observeVendor(err error) {
	var vendorError *vendorclient.Error
	if errors.As(err, &vendorError) {
		d.cfg.VendorState.Down(string(vendorError.Kind))
	}
}

// dispenseAlone serves without Redis: no replay, limits of this process alone.
func (d *Dispenser) dispenseAlone(ctx context.Context, a *attempt) (Grant, error) {
	states, limited := d.local.take(a)
	if limited != "" {
		return Grant{}, newLimitError(limited, states)
	}
	token, err := d.mint(ctx, a.Type)
	if a.keyed() {
		// The claim may have been made before the answer to it was lost.
		d.store.release(ctx, a, decision{}, errClaimLost)
	}
	if err != nil {
		if mayGiveBack(err) {
			d.local.giveBack(a)
		}
		return Grant{}, err
	}
	return Grant{
		Token: token.Value, Type: a.Type, Source: SourceMint,
		ExpiresAt: token.RequestedAt.Add(d.cfg.TokenLifetime),
		Limits:    states,
	}, nil
}

func (d *Dispenser) openReplay(a *attempt, decision decision) (Grant, error) {
	value, mintedAt, err := d.seal.open(a, decision.sealed)
	if err != nil {
		return Grant{}, err
	}
	life := d.cfg.TokenLifetime - decision.now.Sub(mintedAt)
	if life < MinimumLife {
		return Grant{}, errors.New("too little of its life is left")
	}
	return Grant{
		Token: value, Type: a.Type, Source: SourceReplay,
		ExpiresAt: decision.asOf.Add(life),
		Limits:    []limit.State{},
	}, nil
}

// mayGiveBack reports whether no vendor call can have made a token.
func mayGiveBack(err error) bool {
	var vendorError *vendorclient.Error
	return errors.As(err, &vendorError) && !vendorError.MayHaveMinted
}
