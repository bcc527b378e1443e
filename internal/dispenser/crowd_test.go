//go:build real

package dispenser_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/history"
	"farebox/internal/limit"
	vendorclient "farebox/vendor_client"
)

// counter is a replica, whose clock may be wrong.
type counter struct {
	dispenser *dispenser.Dispenser
	ahead     time.Duration
}

// counter opens a replica whose refill runs.
func (h *house) counter(ahead time.Duration, amend ...func(*options)) *counter {
	h.t.Helper()
	skew := func(cfg *options) {
		cfg.Now = func() time.Time { return time.Now().Add(ahead) }
		cfg.Vendor = skewed{cfg.Vendor, ahead}
	}
	d := h.open(append(amend, skew)...)
	h.run(d)
	return &counter{dispenser: d, ahead: ahead}
}

// skewed is a vendor as a replica with a wrong clock calls it.
type skewed struct {
	dispenser.Minter
	ahead time.Duration
}

func (s skewed) Mint(ctx context.Context, t vendorclient.TokenType) (vendorclient.Token, error) {
	token, err := s.Minter.Mint(ctx, t)
	token.RequestedAt = token.RequestedAt.Add(s.ahead)
	return token, err
}

// written has the house's vendor and callers write a history.
func (h *house) written(cfg history.Config) *history.History {
	written := history.New(cfg)
	h.vendor.history = written
	return written
}

// ordinary is a history of tokens of the tests' usual life.
func ordinary() history.Config {
	return history.Config{TokenLifetime: 15 * time.Minute, MinimumLife: dispenser.MinimumLife}
}

// ask has one request answered, and written down.
func (c *counter) ask(ctx context.Context, written *history.History, r dispenser.Request) (dispenser.Grant, error) {
	asked := time.Now()
	g, err := c.dispenser.Dispense(ctx, r)
	if err != nil {
		written.Refuse(code(err))
		return g, err
	}
	got := time.Now()
	written.HandOut(history.HandOut{
		Caller: r.Subject, Key: r.IdempotencyKey, Token: g.Token.Reveal(), Type: string(g.Type), Source: history.Source(g.Source),
		Asked: asked, Got: got, Life: g.ExpiresAt.Sub(got.Add(c.ahead)),
	})
	return g, nil
}

// code is a short name for a refusal.
func code(err error) string {
	var vendorError *vendorclient.Error
	var over *dispenser.LimitError
	switch {
	case errors.As(err, &vendorError):
		return "vendor: " + string(vendorError.Kind)
	case errors.As(err, &over):
		return "limited"
	case errors.Is(err, dispenser.ErrInProgress), errors.Is(err, context.Canceled):
		return "in progress"
	default:
		return err.Error()
	}
}

// crowd is callers who ask and ask, and the history of what they got.
type crowd struct {
	t        *testing.T
	history  *history.History
	counters []*counter
	limits   limit.Limits
}

// while has so many callers ask, each now here and now there, with and without
// keys, until faults returns; faults is in the test's own goroutine. Then the
// history is judged.
func (c *crowd) while(callers int, faults func()) {
	c.t.Helper()
	ctx, stop := context.WithCancel(c.t.Context())
	defer stop()
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			// Not as fast as it goes, or the pool were always dry.
			pace := time.NewTicker(30 * time.Millisecond)
			defer pace.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				r := request(fmt.Sprint("user ", i), "")
				r.Limits = c.limits
				if n%2 == 0 {
					r.IdempotencyKey = fmt.Sprint("key ", n/6) // each three times
				}
				_, _ = c.counters[(i+n)%len(c.counters)].ask(ctx, c.history, r)
				<-pace.C
			}
		})
	}
	func() {
		defer all.Wait()
		defer stop()
		faults()
	}()
	c.judge()
}

// judge fails the test where the history is bad.
func (c *crowd) judge() {
	c.t.Helper()
	for _, v := range c.history.Violations() {
		c.t.Error(v)
	}
	c.t.Logf("\n%s", c.history.Summary())
}

// more waits until so many more answers have come from a source.
func (c *crowd) more(n int, source history.Source) {
	c.t.Helper()
	before := c.history.Granted(source)
	c.eventually(fmt.Sprintf("%d more of %s", n, source), func() bool { return c.history.Granted(source) >= before+n })
}

func (c *crowd) eventually(what string, met func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !met(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("never: %s\n%s", what, c.history.Summary())
		}
	}
}

// crowd brings callers to counters.
func (h *house) crowd(written *history.History, counters ...*counter) *crowd {
	return &crowd{t: h.t, history: written, counters: counters, limits: limit.Limits{Global: limit.Rate{Count: 1_000_000, Period: time.Second}}}
}
