// Package dispenser hands out the vendor's single-use tokens, each at most
// once, under limits.
//
// A request goes one way: one Redis script decides it (is it a replay? is it
// over a limit? else charge, and take a token that was made ahead out of the
// pool, or claim the attempt); a claimed request has the vendor mint; the answer
// is kept, sealed, for the same caller repeating the same idempotency key.
// Nothing is ever shared between callers. Behind it a refiller keeps the pool
// at what the demand asks for. Without Redis tokens are minted directly, under
// limits counted in process.
package dispenser

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"farebox/internal/identity"
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
	VendorHost string      // where tokens are redeemed; tokens in Redis are bound to it
	APIKey     secret.Text // what the vendor mints with; seals the pool
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

	Pool Pool
	// MintConcurrency bounds the mints for the pool under way at once.
	MintConcurrency int

	RedisState  Observer
	VendorState Observer
	PoolState   Observer // down where Redis does not say who it is
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

// Dispenser hands out tokens. It is safe for concurrent use.
type Dispenser struct {
	cfg   Config
	store *store
	seal  *sealer
	local *localLimits
	seen  *seenTokens
	// flights are attempts with a key, which go on without their callers.
	flights flights
	desk    *desk
	refill  *refiller
	running sync.WaitGroup // calls of Run
	closing chan struct{}  // closed by Close
	close   sync.Once
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
	if cfg.Pool.Max > 0 && (cfg.PoolState == nil || cfg.APIKey.IsZero() || cfg.MintConcurrency <= 0 || cfg.Pool.Min < 0 || cfg.Pool.Min > cfg.Pool.Max ||
		cfg.Pool.MaxAge <= 0 || cfg.TokenLifetime-cfg.ReplayWindow-cfg.Pool.MaxAge < MinimumLife ||
		cfg.Pool.Owner != "" && len(cfg.Pool.Owner) != OwnerSize) {
		return nil, errors.New("dispenser: the pool's settings do not fit together")
	}
	pool, err := poolName(cfg.APIKey, cfg.VendorHost)
	if err != nil {
		return nil, err
	}
	local, err := newLocalLimits(cfg.Now)
	if err != nil {
		return nil, err
	}
	st := newStore(cfg, pool)
	seen, err := newSeenTokens(cfg, st)
	if err != nil {
		return nil, err
	}
	d := &Dispenser{
		cfg: cfg, store: st, local: local, seen: seen,
		seal:    &sealer{secrets: cfg.Secrets, apiKey: cfg.APIKey, host: cfg.VendorHost},
		flights: flights{underWay: map[string]*flight{}},
		closing: make(chan struct{}),
	}
	d.desk = newDesk(d.mint, func(token vendorclient.Token) { d.keepSpare(context.Background(), token, "") })
	d.refill = newRefiller(d)
	return d, nil
}

// OwnerSize is the length of Pool.Owner.
const OwnerSize = 32

// Run keeps the pool filled, and an eye on Redis so that its loss and return
// are seen without traffic too. It returns when ctx has ended and no mint for
// the pool is under way.
func (d *Dispenser) Run(ctx context.Context) {
	d.running.Add(1)
	defer d.running.Done()
	var refilling sync.WaitGroup
	if d.cfg.Pool.Max > 0 {
		refilling.Go(func() { d.refill.run(ctx) })
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for ctx.Err() == nil {
		d.store.ping(ctx)
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	refilling.Wait()
}

// Close waits, after the contexts of all Runs have ended, until attempts that go
// on without their callers are kept for them and spare tokens lie in the pool,
// or ctx ends.
func (d *Dispenser) Close(ctx context.Context) error {
	d.close.Do(func() { close(d.closing) })
	done := make(chan struct{})
	go func() {
		d.running.Wait()
		d.flights.ended.Wait()
		d.desk.ended.Wait()
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
	return d.flights.join(ctx, a, func(answer func(Grant, error)) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.mintBudget())
		defer cancel()
		grant, err := d.dispense(ctx, a)
		answer(grant, err)
		d.bindToCaller(ctx, a, grant)
		d.finishLater(ctx, a)
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
			if d.cfg.Pool.Max > 0 {
				d.refill.taken(a.Type)
			}
			if decision.pooled {
				a.pooled = decision.sealed
				grant, err := d.openKept(a, decision)
				if err == nil {
					grant.Source, grant.Limits = SourcePool, decision.states
					return grant, nil
				}
				d.cfg.Log.WarnContext(ctx, "a token of the pool cannot be used; minting one", "error", err)
			}
			grant, err := d.mintAndSettle(ctx, a, decision)
			if errors.Is(err, errClaimLost) {
				continue
			}
			return grant, err
		case outcomeReplay:
			grant, err := d.openKept(a, decision)
			if err == nil {
				grant.Source = SourceReplay
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
			if errors.Is(decision.failure, errClaimLost) {
				a.waitingOn = "" // given up without a word on the vendor: it is free again
				continue
			}
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
	token, err := d.mintFor(ctx, a.Type)
	if err != nil {
		if mayGiveBack(err) {
			d.local.giveBack(a)
		}
		d.release(ctx, a, decision, err)
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
	sealed, err := d.seal.sealAnswer(a, token.Value, decision.redisTime(token.RequestedAt))
	if err != nil {
		return Grant{}, fmt.Errorf("dispenser: seal an answer: %w", err)
	}
	kept, err := d.store.settle(ctx, a, sealed)
	if err != nil {
		// It may or may not be kept. Either way it is this caller's and this
		// key's, so handing it out breaks nothing.
		d.cfg.Log.WarnContext(ctx, "an answer may not be kept for replay", "error", err)
		a.unfinished = func(ctx context.Context) error {
			_, err := d.store.settle(ctx, a, sealed)
			return err
		}
		return grant, nil
	}
	if !kept {
		return Grant{}, errClaimLost
	}
	a.pooled = nil
	return grant, nil
}

// bindToCaller seals anew, for its caller alone, an answer that is kept as it
// was in the pool. It comes after the answer, which need not wait for it.
func (d *Dispenser) bindToCaller(ctx context.Context, a *attempt, grant Grant) {
	if a.pooled == nil || grant.Source != SourcePool {
		return
	}
	_, mintedAt, err := d.seal.openPooled(a.Type, a.pooled)
	if err != nil {
		return
	}
	sealed, err := d.seal.sealAnswer(a, grant.Token, mintedAt)
	if err == nil {
		_, err = d.store.settle(ctx, a, sealed)
	}
	if err != nil {
		d.cfg.Log.DebugContext(ctx, "an answer stays as it was in the pool", "error", err)
	}
}

// release ends an attempt that failed with cause.
func (d *Dispenser) release(ctx context.Context, a *attempt, decision decision, cause error) {
	if d.store.release(ctx, a, decision, cause) != nil && a.keyed() {
		a.unfinished = func(ctx context.Context) error { return d.store.release(ctx, a, decision, cause) }
	}
}

// finishLater does, when Redis answers again, what could not be done with an
// attempt's claim. It breaks nothing if that was done and only the reply was
// lost: the scripts find the claim gone.
func (d *Dispenser) finishLater(ctx context.Context, a *attempt) {
	const pause = 500 * time.Millisecond
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for a.unfinished != nil {
		select {
		case <-ctx.Done():
			return
		case <-d.closing:
			_ = a.unfinished(ctx)
			return
		case <-timer.C:
			timer.Reset(pause)
		}
		if a.unfinished(ctx) == nil {
			return
		}
	}
}

// mintFor waits for a token that the vendor never gave before.
func (d *Dispenser) mintFor(ctx context.Context, t vendorclient.TokenType) (vendorclient.Token, error) {
	for try := range mostRepeats {
		token, err := d.desk.wait(ctx, t)
		switch {
		case err != nil:
			return vendorclient.Token{}, afterRepeats(try, err)
		case d.cfg.Now().Sub(token.RequestedAt) > d.cfg.TokenLifetime-d.cfg.ReplayWindow-MinimumLife:
			// It took so long that the caller would have too little of it.
			return vendorclient.Token{}, &vendorclient.Error{Operation: "mint", Kind: vendorclient.KindTimeout, MayHaveMinted: true}
		case d.seen.firstAnywhere(ctx, token.Value):
			return token, nil
		}
		d.warnOfRepeat(t)
	}
	return vendorclient.Token{}, ErrRepeatedToken
}

// mint has the vendor make a token that this process has never seen.
func (d *Dispenser) mint(t vendorclient.TokenType) (vendorclient.Token, error) {
	ctx, cancel := context.WithTimeout(context.Background(), d.mintBudget())
	defer cancel()
	for try := range mostRepeats {
		token, err := d.cfg.Vendor.Mint(ctx, t)
		if err != nil {
			d.observeVendor(err)
			return vendorclient.Token{}, afterRepeats(try, err)
		}
		d.cfg.VendorState.Up()
		if d.seen.firstHere(token.Value) {
			return token, nil
		}
		d.warnOfRepeat(t)
	}
	return vendorclient.Token{}, ErrRepeatedToken
}

// mostRepeats is how often a vendor may give an old token before that is an
// error.
const mostRepeats = 3

// afterRepeats keeps in mind that earlier tries did bring tokens.
func afterRepeats(tries int, err error) error {
	var vendorError *vendorclient.Error
	if tries == 0 || !errors.As(err, &vendorError) {
		return err
	}
	after := *vendorError
	after.MayHaveMinted = true
	return &after
}

func (d *Dispenser) warnOfRepeat(t vendorclient.TokenType) {
	d.cfg.Log.Warn("the vendor gave a token twice; it is thrown away", "type", string(t))
}

// keepSpare lays a token that nobody waits for into the pool. Where that is not
// certain, the token counts as handed out.
func (d *Dispenser) keepSpare(ctx context.Context, token vendorclient.Token, reserved string) {
	c := d.store.clock.Load()
	if d.cfg.Pool.Max == 0 || c == nil {
		return
	}
	mintedAt := c.at(token.RequestedAt)
	sealed, err := d.seal.sealPooled(token.Type, token.Value, mintedAt)
	if err != nil {
		d.cfg.Log.Error("a token cannot be sealed", "error", err)
		return
	}
	became, err := d.store.put(ctx, token.Type, c, mintedAt, sealed, d.seen.hashes(token.Value), reserved)
	switch {
	case err != nil:
		d.cfg.Log.Debug("a token may not have come into the pool; it is thrown away", "error", err)
	case became == putRepeated:
		d.warnOfRepeat(token.Type)
	case became != putKept:
		d.cfg.Log.Debug("a token did not come into the pool; it is thrown away", "because", became)
	}
}

// fenced says whether Redis can be told from an older life of itself. Where it
// cannot, there is no pool.
func (d *Dispenser) fenced(is bool) {
	if is {
		d.cfg.PoolState.Up()
		return
	}
	d.cfg.PoolState.Down("redis does not say who it is")
}

func (d *Dispenser) observeVendor(err error) {
	var vendorError *vendorclient.Error
	// A full queue is our own.
	if errors.As(err, &vendorError) && vendorError.Kind != vendorclient.KindQueueFull {
		d.cfg.VendorState.Down(string(vendorError.Kind))
	}
}

// dispenseAlone serves without Redis: no replay, limits of this process alone.
func (d *Dispenser) dispenseAlone(ctx context.Context, a *attempt) (Grant, error) {
	states, limited := d.local.take(a)
	if limited != "" {
		return Grant{}, newLimitError(limited, states)
	}
	token, err := d.mintFor(ctx, a.Type)
	if a.keyed() {
		// The claim may have been made before the answer to it was lost.
		d.release(ctx, a, decision{}, errClaimLost)
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

// openKept opens what Redis keeps: a token of the pool, or an answer.
func (d *Dispenser) openKept(a *attempt, decision decision) (Grant, error) {
	var value secret.Text
	var mintedAt time.Time
	var err error
	if decision.pooled {
		value, mintedAt, err = d.seal.openPooled(a.Type, decision.sealed)
	} else {
		value, mintedAt, err = d.seal.openAnswer(a, decision.sealed)
	}
	if err != nil {
		return Grant{}, err
	}
	// A server whose clock is behind the one before it makes nothing younger.
	life := d.cfg.TokenLifetime - max(decision.now.Sub(mintedAt), 0)
	if life < MinimumLife {
		return Grant{}, errors.New("too little of its life is left")
	}
	return Grant{Token: value, Type: a.Type, ExpiresAt: decision.asOf.Add(life)}, nil
}

// mayGiveBack reports whether no vendor call can have made a token.
func mayGiveBack(err error) bool {
	var vendorError *vendorclient.Error
	return errors.As(err, &vendorError) && !vendorError.MayHaveMinted
}
