package dispenser

import (
	"context"
	"time"

	vendorclient "farebox/vendor_client"
)

// bindToCaller seals anew, for its caller alone, an answer that is kept as it
// was in the pool. It comes after the answer, which need not wait for it.
func (d *Dispenser) bindToCaller(ctx context.Context, a *attempt, grant Grant) {
	if a.pooled == "" || grant.Source != SourcePool {
		return
	}
	sealed, err := d.seal.sealAnswer(a, toKept(vendorclient.Credential{Value: grant.Token, Key: grant.key}), mintedAt(a.pooled))
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

// letGo ends a claim that may have been made before the answer to it was lost.
func (d *Dispenser) letGo(ctx context.Context, a *attempt) {
	if a.keyed() && a.unsure {
		d.release(ctx, a, decision{}, errClaimLost)
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
