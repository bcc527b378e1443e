package dispenser_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"farebox/internal/dispenser"
	vendorclient "farebox/vendor_client"

	"github.com/redis/go-redis/v9"
)

// embeddedOwner stands for the identity of a Redis that cannot say it.
const embeddedOwner = "an-embedded-redis-has-no-run-id."

// withPool keeps tokens ready, of the one type that the tests ask for and of
// the others.
func (h *house) withPool(least, most int) func(*options) {
	return func(cfg *options) {
		cfg.Pool = dispenser.Pool{Min: least, Max: most, MaxAge: 9 * time.Minute, Owner: h.owner}
	}
}

// run runs a dispenser's refill until the test ends or stop is called.
func (h *house) run(d *dispenser.Dispenser) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		d.Run(ctx)
		close(ended)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	h.t.Cleanup(stop)
	return stop
}

// pooled is how many tokens of the tests' type are ready.
func (h *house) pooled() int {
	h.t.Helper()
	n := 0
	for _, key := range h.keys("p:") {
		if strings.HasSuffix(key, ":"+string(vendorclient.RealtimeScribe)) {
			n += int(h.redis.LLen(context.Background(), key).Val())
		}
	}
	return n
}

// filled fills the pool with so many tokens of each type and stops.
func (h *house) filled(n int) *dispenser.Dispenser {
	h.t.Helper()
	d := h.open(h.withPool(n, n))
	stop := h.run(d)
	h.eventually("the pool is filled", func() bool { return h.pooledOfAllTypes() == n*len(vendorclient.TokenTypes()) })
	stop()
	return d
}

func (h *house) pooledOfAllTypes() (n int) {
	h.t.Helper()
	for _, key := range h.keys("p:") {
		n += int(h.redis.LLen(context.Background(), key).Val())
	}
	return n
}

// poolSuite is what holds of the pool with every Redis.
var poolSuite = map[string]func(*testing.T, *house){
	"the pool serves what was minted ahead":                  poolServes,
	"a token of the pool is handed out once":                 pooledOnce,
	"a key gives the pool's token again":                     pooledReplay,
	"replicas together fill the pool as one would":           refilledAsOne,
	"a token that grew too old is thrown away":               pooledTooOld,
	"the token of a caller who gave up goes to the pool":     spareToPool,
	"a repeated token does not come into the pool":           repeatedIntoPool,
	"the pool follows demand":                                followsDemand,
	"a vendor that fails is left alone":                      leftAlone,
	"redis holds a pool that nobody can read":                poolInTheClear,
	"another key's or host's pool is not touched":            poolsApart,
	"a refused request takes nothing":                        refusedTakesNothing,
	"a token that does not come into the pool is no success": notKept,
	"a crashed replica's reservations are given to others":   reservationsExpire,
}

func poolServes(t *testing.T, h *house) {
	d := h.filled(3)
	minted := h.vendor.count()
	for range 3 {
		g := must(t, d, request("ada", ""))
		if g.Source != dispenser.SourcePool || g.Token.IsZero() {
			t.Errorf("source = %s", g.Source)
		}
		if life := time.Until(g.ExpiresAt); life > 15*time.Minute || life < 14*time.Minute {
			t.Errorf("life = %v", life)
		}
	}
	if h.vendor.count() != minted {
		t.Errorf("%d vendor calls while the pool served", h.vendor.count()-minted)
	}
	if g := must(t, d, request("ada", "")); g.Source != dispenser.SourceMint || g.Limits[0].Remaining != 6 {
		t.Errorf("dry: source = %s, %+v", g.Source, g.Limits)
	}
}

func pooledOnce(t *testing.T, h *house) {
	h.filled(20)
	replicas := []*dispenser.Dispenser{h.open(h.withPool(0, 20)), h.open(h.withPool(0, 20)), h.open(h.withPool(0, 20))}
	var group sync.WaitGroup
	var mu sync.Mutex
	seen, sources := map[string]bool{}, map[dispenser.Source]int{}
	for i := range 60 {
		group.Go(func() {
			g, err := replicas[i%len(replicas)].Dispense(t.Context(), request(fmt.Sprint("user", i), []string{"", "k"}[i%2]))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if seen[g.Token.Reveal()] {
				t.Error("a token was handed out twice")
			}
			seen[g.Token.Reveal()] = true
			sources[g.Source]++
		})
	}
	group.Wait()
	if sources[dispenser.SourcePool] != 20 || sources[dispenser.SourceMint] != 40 {
		t.Errorf("sources = %v", sources)
	}
}

func pooledReplay(t *testing.T, h *house) {
	h.filled(2)
	a, b := h.open(h.withPool(0, 2)), h.open(h.withPool(0, 2))
	first := must(t, a, request("ada", "k"))
	for _, d := range []*dispenser.Dispenser{a, b} {
		again := must(t, d, request("ada", "k"))
		if again.Token.Reveal() != first.Token.Reveal() || again.Source != dispenser.SourceReplay || len(again.Limits) != 0 {
			t.Errorf("the same key gave another answer, source %s", again.Source)
		}
		if drift := again.ExpiresAt.Sub(first.ExpiresAt).Abs(); drift > time.Second {
			t.Errorf("its expiry moved by %v", drift)
		}
	}
	h.eventually("the answer is bound to its caller", func() bool {
		keys := h.keys("r:")
		return len(keys) == 1 && strings.HasPrefix(h.redis.Get(context.Background(), keys[0]).Val(), "d")
	})
	if again := must(t, b, request("ada", "k")); again.Token.Reveal() != first.Token.Reveal() {
		t.Error("binding changed the answer")
	}
	if other := must(t, b, request("bob", "k")); other.Token.Reveal() == first.Token.Reveal() || other.Source != dispenser.SourcePool {
		t.Errorf("another caller: source %s", other.Source)
	}
}

func refilledAsOne(t *testing.T, h *house) {
	const least = 10
	for range 4 {
		h.run(h.open(h.withPool(least, 50)))
	}
	h.eventually("the pool is filled", func() bool { return h.pooledOfAllTypes() == least*len(vendorclient.TokenTypes()) })
	// Rounds go on; none of them finds anything to do.
	time.Sleep(200 * time.Millisecond)
	if want := least * len(vendorclient.TokenTypes()); h.pooled() != least || h.vendor.count() != want {
		t.Errorf("%d ready after %d vendor calls, want %d calls", h.pooled(), h.vendor.count(), want)
	}
}

func pooledTooOld(t *testing.T, h *house) {
	h.filled(3)
	d := h.open(h.withPool(0, 3), func(cfg *options) { cfg.Pool.MaxAge = time.Millisecond })
	time.Sleep(5 * time.Millisecond)
	if g := must(t, d, request("ada", "")); g.Source != dispenser.SourceMint {
		t.Errorf("source = %s, of a token older than allowed", g.Source)
	}
	if h.pooled() != 0 {
		t.Errorf("%d old tokens are kept", h.pooled())
	}
}

func spareToPool(t *testing.T, h *house) {
	d := h.filled(1)
	must(t, d, request("ada", "")) // takes what is there
	made := h.vendor.count()
	h.vendor.gate = make(chan struct{})
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := d.Dispense(ctx, request("ada", ""))
		ended <- err
	}()
	h.eventually("the vendor is called", func() bool { return h.vendor.count() == made+1 })
	leave()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	close(h.vendor.gate)
	h.eventually("the token is in the pool", func() bool { return h.pooled() == 1 })
	if g := must(t, d, request("bob", "")); g.Source != dispenser.SourcePool || h.vendor.count() != made+1 {
		t.Errorf("source = %s after %d vendor calls", g.Source, h.vendor.count())
	}
}

func repeatedIntoPool(t *testing.T, h *house) {
	h.vendor.answer = func(call int) (string, error) { return fmt.Sprint("token ", call%2), nil }
	a, b := h.open(h.withPool(4, 4)), h.open(h.withPool(4, 4))
	h.run(a)
	h.run(b)
	h.eventually("the vendor was asked often", func() bool { return h.vendor.count() > 20 })
	if total := h.pooledOfAllTypes(); total > 2 {
		t.Errorf("%d tokens ready of a vendor that has two", total)
	}
}

func followsDemand(t *testing.T, h *house) {
	d := h.open(h.withPool(1, 30))
	h.run(d)
	h.eventually("the pool is filled", func() bool { return h.pooled() == 1 })
	h.vendor.mu.Lock()
	h.vendor.delay = 300 * time.Millisecond
	h.vendor.mu.Unlock()
	// 100 at once are 20 a second over the time that demand is averaged, and
	// with mints of 0.3 s and the margin some 18 to keep ready.
	var burst sync.WaitGroup
	for i := range 100 {
		burst.Go(func() { must(t, d, request(fmt.Sprint("user", i), "")) })
	}
	burst.Wait()
	most := 0
	h.eventually("more is kept ready", func() bool {
		most = max(most, h.pooled())
		return most > 4
	})
	if most > 30 {
		t.Errorf("%d ready, at most 30 may be", most)
	}
}

func leftAlone(t *testing.T, h *house) {
	h.vendor.fails(&vendorclient.Error{Kind: vendorclient.KindRateLimited, RetryAfter: time.Hour})
	h.run(h.open(h.withPool(20, 20)))
	types := len(vendorclient.TokenTypes())
	h.eventually("the vendor is asked", func() bool { return h.vendor.count() >= types })
	time.Sleep(time.Second)
	// At most what was started before the first failure was known.
	if n := h.vendor.count(); n > 3*8 {
		t.Errorf("%d calls to a vendor that asks to be left alone for an hour", n)
	}
	before := h.vendor.count()
	time.Sleep(200 * time.Millisecond)
	if n := h.vendor.count(); n != before {
		t.Errorf("%d further calls", n-before)
	}
}

func notKept(t *testing.T, h *house) {
	h.vendor.delay = 20 * time.Millisecond
	h.run(h.open(h.withPool(1, 1), func(cfg *options) { cfg.Pool.MaxAge = time.Millisecond }))
	h.eventually("the vendor is asked", func() bool { return h.vendor.count() >= len(vendorclient.TokenTypes()) })
	time.Sleep(500 * time.Millisecond)
	// Left alone for a second at first, in which at the old pace dozens were made.
	if n := h.vendor.count(); n > 2*len(vendorclient.TokenTypes()) {
		t.Errorf("%d minted for nothing", n)
	}
}

func poolInTheClear(t *testing.T, h *house) {
	h.filled(1)
	for _, key := range h.keys("p:") {
		entry := h.redis.LIndex(context.Background(), key, 0).Val()
		if strings.Contains(entry, "sutkn_") || strings.Contains(key, "API") || len(entry) < 100 {
			t.Errorf("%s holds a token in the clear", key)
		}
	}
	for _, key := range append(h.keys("p:"), h.keys("t:")...) {
		if h.redis.PTTL(context.Background(), key).Val() == -1 {
			t.Errorf("key %s never expires", key)
		}
	}
}

func poolsApart(t *testing.T, h *house) {
	h.filled(2)
	for name, amend := range map[string]func(*options){
		"key": func(cfg *options) { cfg.Keys = newRing(t, "vendor.example", "another-API-key") },
		"host": func(cfg *options) {
			cfg.VendorHost, cfg.Keys = "other.example", newRing(t, "other.example", "an-API-key")
		},
	} {
		if g := must(t, h.open(h.withPool(0, 2), amend), request("ada", "")); g.Source != dispenser.SourceMint {
			t.Errorf("another %s: source = %s", name, g.Source)
		}
	}
	if h.pooled() != 2 {
		t.Errorf("%d of 2 are left", h.pooled())
	}
}

func refusedTakesNothing(t *testing.T, h *house) {
	d := h.filled(3)
	r := request("ada", "")
	r.Limits.PerUser.Count = 1
	must(t, d, r)
	for range 5 {
		var over *dispenser.LimitError
		if _, err := d.Dispense(t.Context(), r); !errors.As(err, &over) {
			t.Fatal(err)
		}
	}
	if h.pooled() != 2 {
		t.Errorf("%d of 2 are left", h.pooled())
	}
}

func reservationsExpire(t *testing.T, h *house) {
	// As a replica that died with all of them under way would leave them.
	h.filled(1)
	before := h.vendor.count()
	soon := float64(time.Now().Add(time.Second).UnixMicro())
	for _, key := range h.keys("p:") {
		for i := range 2 {
			h.redis.ZAdd(context.Background(), strings.Replace(key, ":p:", ":m:", 1), redis.Z{Score: soon, Member: fmt.Sprint("dead ", i)})
		}
	}
	h.run(h.open(h.withPool(3, 3), func(cfg *options) { cfg.RequestTimeout, cfg.MintTimeout = time.Second, time.Second }))
	time.Sleep(100 * time.Millisecond)
	if n := h.vendor.count() - before; n != 0 {
		t.Errorf("%d minted beside what is reserved", n)
	}
	h.eventually("what was reserved is minted by another", func() bool { return h.pooled() == 3 })
}
