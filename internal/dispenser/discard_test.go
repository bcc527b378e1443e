package dispenser_test

import (
	"context"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farebox/internal/dispenser"
)

// discarded counts what is thrown away, by type and reason.
type discarded struct {
	mu     sync.Mutex
	counts map[string]int
}

func (d *discarded) Discarded(what, why string, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counts == nil {
		d.counts = map[string]int{}
	}
	d.counts[what+" "+why] += n
}

func (d *discarded) now() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.counts)
}

// only waits until just n tokens of the tests' type were thrown away, all for
// this reason.
func (d *discarded) only(h *house, why dispenser.Discard, n int) {
	h.t.Helper()
	defer func() {
		if h.t.Failed() {
			h.t.Logf("thrown away: %v", d.now())
		}
	}()
	h.eventually("tokens are thrown away as "+string(why), func() bool {
		return maps.Equal(d.now(), map[string]int{"realtime_scribe " + string(why): n})
	})
}

// discardSuite is how what is thrown away is counted, with every Redis.
var discardSuite = map[string]func(*testing.T, *house){
	"tokens too old are counted":            expiredIsCounted,
	"tokens of another life are counted":    fencedIsCounted,
	"repeated tokens are counted":           repeatedIsCounted,
	"a spare token without a pool is":       spareIsCounted,
	"every replica tells the pool of all":   levelsOfAll,
	"a level that nobody looks at is empty": oldLevel,
}

func expiredIsCounted(t *testing.T, h *house) {
	h.filled(3)
	gone := &discarded{}
	d := h.open(h.withPool(0, 3), func(cfg *options) { cfg.Pool.MaxAge, cfg.Discards = time.Microsecond, gone })
	must(t, d, request("ada", ""))
	gone.only(h, dispenser.DiscardExpired, 3)
}

func fencedIsCounted(t *testing.T, h *house) {
	h.filled(3)
	gone := &discarded{}
	d := h.open(h.withPool(0, 3), func(cfg *options) {
		cfg.Pool.Owner, cfg.Discards = strings.Repeat("z", dispenser.OwnerSize), gone
	})
	must(t, d, request("ada", ""))
	gone.only(h, dispenser.DiscardFenced, 3)
}

func repeatedIsCounted(t *testing.T, h *house) {
	gone := &discarded{}
	d := h.open(func(cfg *options) { cfg.Discards = gone })
	// The second call repeats the first.
	h.vendor.answer = func(call int) (string, error) { return "sutkn_" + strings.Repeat("x", max(call-1, 1)), nil }
	must(t, d, request("ada", ""))
	must(t, d, request("ada", ""))
	gone.only(h, dispenser.DiscardRepeated, 1)
}

func spareIsCounted(t *testing.T, h *house) {
	gone := &discarded{}
	d := h.open(func(cfg *options) { cfg.Discards = gone })
	h.vendor.gate = make(chan struct{})
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := d.Dispense(ctx, request("ada", ""))
		ended <- err
	}()
	h.eventually("the vendor is called", func() bool { return h.vendor.count() == 1 })
	leave()
	<-ended
	close(h.vendor.gate)
	gone.only(h, dispenser.DiscardNoPool, 1)
}

// A level is Redis' own, whichever replica tells it.
func levelsOfAll(_ *testing.T, h *house) {
	first, second := h.open(h.withPool(3, 3)), h.open(h.withPool(3, 3))
	h.run(first)
	h.run(second)
	h.eventually("both tell the same level", func() bool {
		want := dispenser.Level{Ready: 3, Target: 3}
		return first.Level("realtime_scribe") == want && second.Level("realtime_scribe") == want && first.Fenced() && second.Fenced()
	})
}

func oldLevel(t *testing.T, h *house) {
	var ahead atomic.Int64
	d := h.open(h.withPool(3, 3), func(cfg *options) {
		cfg.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	stop := h.run(d)
	h.eventually("the pool is seen full", func() bool { return d.Level("realtime_scribe").Ready == 3 })
	stop()
	ahead.Store(int64(10 * time.Minute))
	if l := d.Level("realtime_scribe"); l != (dispenser.Level{}) {
		t.Errorf("level = %+v", l)
	}
}
