package dispenser_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"farebox/internal/history"
	"farebox/internal/secret"
	vendorclient "farebox/vendor_client"
)

// fakeVendor mints tokens that are all different, unless it is told otherwise.
type fakeVendor struct {
	ring *fakeRing // whose first good key mints

	mu    sync.Mutex
	calls int
	gate  chan struct{} // where set, a call waits until it is closed
	delay time.Duration // how long a call takes
	// askedBefore is how long ago a call says that it began.
	askedBefore time.Duration
	answer      func(call int) (string, error) // where set, what a call answers
	history     *history.History               // where set, every token is written down
}

func (v *fakeVendor) Mint(ctx context.Context, t vendorclient.TokenType) (vendorclient.Token, error) {
	v.mu.Lock()
	requested := time.Now().Add(-v.askedBefore)
	v.calls++
	key := v.ring.first(t)
	call, gate, answer, delay, written := v.calls, v.gate, v.answer, v.delay, v.history
	v.mu.Unlock()
	time.Sleep(delay)
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return vendorclient.Token{}, &vendorclient.Error{Kind: vendorclient.KindTimeout, MayHaveMinted: true}
		}
	}
	value := fmt.Sprintf("sutkn_%p_%d_%s", v, call, key.ID())
	if answer != nil {
		var err error
		if value, err = answer(call); err != nil {
			return vendorclient.Token{}, err
		}
	}
	if written != nil {
		written.Mint(history.Mint{Token: value, Type: string(t), At: requested})
	}
	return vendorclient.Token{Value: secret.New(value), Type: t, RequestedAt: requested, Key: key}, nil
}

func (v *fakeVendor) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls
}

// fails makes every call end with err.
func (v *fakeVendor) fails(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answer = func(int) (string, error) { return "", err }
}

func (v *fakeVendor) works() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answer = nil
}
