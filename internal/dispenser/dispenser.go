// Package dispenser hands out the vendor's single-use tokens, and what is made
// for one caller alone, each at most once, under limits.
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
	"sync"
	"time"

	"farebox/internal/limit"
	"farebox/internal/secret"
	"farebox/internal/shard"
	vendorclient "farebox/vendor_client"
)

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
	terms   terms
	refill  *refiller
	running sync.WaitGroup // calls of Run
	closing chan struct{}  // closed by Close
	closed  sync.Once
}

// New returns a Dispenser. It does not wait for Redis.
func New(cfg Config) (*Dispenser, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Discards == nil {
		cfg.Discards = unwatched{}
	}
	st := newStore(cfg)
	d := &Dispenser{
		cfg: cfg, store: st, local: newLocalLimits(cfg.Now), seen: newSeenTokens(cfg, st),
		seal:    &sealer{secrets: cfg.Secrets, host: cfg.VendorHost},
		flights: flights{underWay: map[string]*flight{}},
		terms:   terms{budget: cfg.mintBudget()}, closing: make(chan struct{}),
	}
	d.desk = newDesk(d.mint, func(token vendorclient.Token) { d.keepSpare(context.Background(), token, nil, nil) })
	d.refill = newRefiller(d)
	return d, nil
}

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
	for turn := 0; ctx.Err() == nil; turn++ {
		if d.cfg.Shards.Watch(ctx, turn) {
			d.seen.catchUp(ctx)
		}
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
	d.closed.Do(func() { close(d.closing) })
	done := make(chan struct{})
	go func() {
		d.running.Wait()
		d.flights.ended.Wait()
		d.desk.crew.close()
		d.terms.end()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("dispenser: attempts under way: %w", ctx.Err())
	}
}

// Dispense hands out a token, or what is bespoke, or says why not:
// ErrSessionEnded, ErrRevocationsUnknown, a *LimitError, ErrKeyReused,
// ErrInProgress, ErrRepeatedToken, a *vendorclient.Error, or the context's own
// error. Nothing is minted for a request that is refused.
func (d *Dispenser) Dispense(ctx context.Context, req Request) (Grant, error) {
	a := d.newAttempt(req)
	if d.cfg.Revocations.Ended(a.marks) {
		return Grant{}, ErrSessionEnded
	}
	grant, err := d.attend(ctx, a)
	// It may have been ended while the token was made.
	if err == nil && d.cfg.Revocations.Ended(a.marks) {
		if grant.Source != SourceReplay {
			d.discard(a.Type, DiscardEnded)
		}
		return Grant{}, ErrSessionEnded
	}
	return grant, err
}

// attend serves an attempt, or joins it where it is under way.
func (d *Dispenser) attend(ctx context.Context, a *attempt) (Grant, error) {
	if !a.keyed() {
		return d.dispense(ctx, a)
	}
	return d.flights.join(ctx, a, func(answer func(Grant, error)) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.mintBudget())
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
			a.unsure = !errors.Is(err, shard.ErrUnsent)
			return d.dispenseAlone(ctx, a)
		}
		switch decision.outcome {
		case outcomeGranted:
			d.local.record(a)
			d.refill.asked(ctx, a, decision)
			d.noteDropped(a.Type, decision.dropped)
			a.pooled = decision.sealed
			if decision.pooled {
				grant, err := d.openKept(a, decision)
				if err == nil {
					grant.Source, grant.Limits = SourcePool, decision.states
					return grant, nil
				}
				d.cfg.Log.WarnContext(ctx, "a token of the pool cannot be used; minting one", "error", err)
				d.discard(a.Type, DiscardUnusable)
			}
			grant, err := d.serve(ctx, a, decision)
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
		case outcomeEnded:
			return Grant{}, ErrSessionEnded
		case outcomeLimited:
			return Grant{}, newLimitError(decision.limited, decision.states)
		}
	}
}

// dispenseAlone serves without Redis: no replay, limits of this process alone.
func (d *Dispenser) dispenseAlone(ctx context.Context, a *attempt) (Grant, error) {
	if d.cfg.RequireRevocations {
		d.letGo(ctx, a)
		return Grant{}, ErrRevocationsUnknown
	}
	states, limited := d.local.take(a)
	if limited != "" {
		d.letGo(ctx, a)
		return Grant{}, newLimitError(limited, states)
	}
	made, err := d.mintFor(ctx, a)
	d.letGo(ctx, a)
	if err != nil {
		if mayGiveBack(err) {
			d.local.giveBack(a)
		}
		return Grant{}, err
	}
	return d.grant(a, made, SourceMint, states), nil
}

// grant is what was made for an attempt.
func (d *Dispenser) grant(a *attempt, made vendorclient.Credential, source Source, limits []limit.State) Grant {
	return Grant{
		Token: made.Value, Type: a.Type, ConversationID: made.ConversationID, Source: source, key: made.Key,
		ExpiresAt: made.RequestedAt.Add(d.lifetime(a)),
		Limits:    limits,
	}
}

// openKept opens what Redis keeps: a token of the pool, or an answer.
func (d *Dispenser) openKept(a *attempt, decision decision) (Grant, error) {
	var made vendorclient.Credential
	var keyID string
	var mintedAt time.Time
	var err error
	if decision.pooled {
		var key *vendorclient.Key
		if made.Value, key, mintedAt, err = d.seal.openPooled(decision.keys, a.Type, decision.sealed); err == nil {
			made.Key, keyID = key, key.ID()
		}
	} else {
		var kept secret.Text
		if kept, mintedAt, err = d.seal.openAnswer(a, decision.sealed); err == nil {
			made, keyID = fromKept(kept)
		}
	}
	if err != nil {
		return Grant{}, err
	}
	if d.cfg.Keys.Refused(keyID, a.Type) {
		return Grant{}, errKeyRefused
	}
	// A server whose clock is behind the one before it makes nothing younger.
	life := d.lifetime(a) - max(decision.now.Sub(mintedAt), 0)
	if life < MinimumLife {
		return Grant{}, errors.New("too little of its life is left")
	}
	return Grant{
		Token: made.Value, Type: a.Type, ConversationID: made.ConversationID,
		ExpiresAt: decision.asked.Add(life), key: made.Key,
	}, nil
}

// errKeyRefused is a token that was made with a key that the vendor refuses now:
// it would not be taken.
var errKeyRefused = errors.New("the vendor refuses the key that it was made with")
