package dispenser

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"farebox/internal/shard"
	vendorclient "farebox/vendor_client"
)

// serve has what a claimed request asks for and its own pool had not, and keeps
// the answer where there is a key.
func (d *Dispenser) serve(ctx context.Context, a *attempt, decision decision) (Grant, error) {
	made, source, err := asCredential(d.takeElsewhere(ctx, a)), SourcePool, error(nil)
	if made.Value.IsZero() {
		source = SourceMint
		made, err = d.mintFor(ctx, a)
	}
	if err != nil {
		if mayGiveBack(err) {
			d.local.giveBack(a)
		}
		d.release(ctx, a, decision, err)
		return Grant{}, err
	}
	grant := d.grant(a, made, source, decision.states)
	if !a.keyed() {
		return grant, nil
	}
	sealed, err := d.seal.sealAnswer(a, toKept(made), decision.at(made.RequestedAt))
	if err != nil {
		d.discard(a.Type, DiscardUnusable)
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
		d.discard(a.Type, DiscardClaimLost)
		return Grant{}, errClaimLost
	}
	return grant, nil
}

// takeElsewhere takes a token out of the pool of another shard, the fullest as
// far as this replica knows; the zero Token where there is none. What a lost
// reply took counts as handed out.
func (d *Dispenser) takeElsewhere(ctx context.Context, a *attempt) vendorclient.Token {
	shards, err := d.cfg.Shards.All(ctx)
	pools := d.store.pools(a)
	if err != nil || len(shards) == 1 || len(pools) == 0 {
		return vendorclient.Token{}
	}
	var fullest *stock
	own := shard.At(shards, a.spread)
	for _, s := range d.refill.stocksOf(a.Type, shards) {
		if s.shard != own && s.ready.Load() > 0 && (fullest == nil || s.ready.Load() > fullest.ready.Load()) {
			fullest = s
		}
	}
	if fullest == nil {
		return vendorclient.Token{}
	}
	got, err := d.store.take(ctx, fullest.shard, a.Type, pools)
	d.noteDropped(a.Type, got.dropped)
	if err != nil || got.sealed == "" {
		fullest.ready.Store(0)
		return vendorclient.Token{}
	}
	fullest.ready.Add(-1)
	fullest.stir()
	value, key, mintedAt, err := d.seal.openPooled(got.keys, a.Type, got.sealed)
	if err != nil {
		d.cfg.Log.WarnContext(ctx, "a token of the pool cannot be used; minting one", "error", err)
		d.discard(a.Type, DiscardUnusable)
		return vendorclient.Token{}
	}
	return vendorclient.Token{Value: value, Type: a.Type, RequestedAt: got.clock.local(mintedAt), Key: key}
}

// mintToken waits for a token that the vendor never gave before.
func (d *Dispenser) mintToken(ctx context.Context, t vendorclient.TokenType) (vendorclient.Token, error) {
	for try := range mostRepeats {
		token, err := d.desk.wait(ctx, t)
		switch {
		case err != nil:
			return vendorclient.Token{}, afterRepeats(try, err)
		case d.cfg.Now().Sub(token.RequestedAt) > d.cfg.TokenLifetime-d.cfg.ReplayWindow-MinimumLife:
			// It took so long that the caller would have too little of it.
			d.discard(t, DiscardExpired)
			return vendorclient.Token{}, tookTooLong()
		case d.seen.firstAnywhere(ctx, token.Value):
			if d.refill.moods[t].worked() {
				d.refill.stirAll(t)
			}
			return token, nil
		}
		d.warnOfRepeat(string(t))
		d.discard(t, DiscardRepeated)
	}
	return vendorclient.Token{}, ErrRepeatedToken
}

// tookTooLong is a mint whose token has too little life left.
func tookTooLong() error {
	return &vendorclient.Error{Operation: "mint", Kind: vendorclient.KindTimeout, MayHaveMinted: true}
}

// mint has the vendor make a token that this process has never seen.
func (d *Dispenser) mint(ctx context.Context, t vendorclient.TokenType) (vendorclient.Token, error) {
	ctx = d.terms.of(ctx)
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
		d.warnOfRepeat(string(t))
		d.discard(t, DiscardRepeated)
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

func (d *Dispenser) warnOfRepeat(name string) {
	d.cfg.Log.Warn("the vendor gave a token twice; it is thrown away", "type", name)
}

// keepSpare lays a token that nobody waits for into the pool of its key, where
// nil says, in the shard with the most demand. Where that is not certain, which is
// what false says, the token counts as handed out; so does that of a key which
// the vendor refuses now, or which was taken out of the ring.
func (d *Dispenser) keepSpare(ctx context.Context, token vendorclient.Token, where *stock, reserved *slot) bool {
	why := d.putSpare(ctx, token, where, reserved)
	if why == "" {
		return true
	}
	if why == DiscardRepeated {
		d.warnOfRepeat(string(token.Type))
	} else {
		d.cfg.Log.DebugContext(ctx, "a token did not come into the pool; it is thrown away", "because", why)
	}
	d.discard(token.Type, why)
	return false
}

// putSpare returns why a token did not certainly come into the pool; "" where it
// did.
func (d *Dispenser) putSpare(ctx context.Context, token vendorclient.Token, where *stock, reserved *slot) Discard {
	if d.cfg.Pool.Max == 0 {
		return DiscardNoPool
	}
	if !slices.Contains(d.cfg.Keys.Good(token.Type), token.Key) {
		return DiscardKeyRefused
	}
	shards, err := d.cfg.Shards.All(ctx)
	if err != nil {
		return DiscardNoPool
	}
	if where == nil {
		where = d.refill.neediest(token.Type, shards)
	}
	c := where.clock.Load()
	if c == nil {
		return DiscardNoPool
	}
	f := fresh{of: token.Type, pool: token.Key, clock: c, mintedAt: c.at(token.RequestedAt), reserved: reserved}
	if f.sealed, err = d.seal.sealPooled(token, f.mintedAt); err != nil {
		d.cfg.Log.ErrorContext(ctx, "a token cannot be sealed", "error", err)
		return DiscardUnusable
	}
	became, err := d.store.putNew(ctx, where.shard, f, d.seen.hashesOf(token.Value), where.most)
	switch {
	case err != nil:
		return DiscardUnclear
	case became != putKept:
		return Discard(became)
	}
	where.ready.Add(1)
	return ""
}

func (d *Dispenser) observeVendor(err error) {
	var vendorError *vendorclient.Error
	// A full queue is our own.
	if errors.As(err, &vendorError) && vendorError.Kind != vendorclient.KindQueueFull {
		d.cfg.VendorState.Down(string(vendorError.Kind))
	}
}

// mayGiveBack reports whether no vendor call can have made a token.
func mayGiveBack(err error) bool {
	var vendorError *vendorclient.Error
	return errors.As(err, &vendorError) && !vendorError.MayHaveMinted
}
