package dispenser_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/secret"
	vendorclient "farebox/vendor_client"
)

// fakeRing is a ring whose keys are set aside as the test says.
type fakeRing struct {
	*vendorclient.Ring
	mu    sync.Mutex
	aside []string // ids
}

func newRing(t *testing.T, host string, keys ...string) *vendorclient.Ring {
	t.Helper()
	r, err := vendorclient.NewRing(vendorclient.RingConfig{
		Keys: secrets(keys...), Host: host, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func secrets(texts ...string) (all []secret.Text) {
	for _, text := range texts {
		all = append(all, secret.New(text))
	}
	return all
}

func (r *fakeRing) Good(vendorclient.TokenType) []*vendorclient.Key {
	return slices.DeleteFunc(slices.Clone(r.Keys()), func(k *vendorclient.Key) bool { return r.Refused(k.ID(), "") })
}

func (r *fakeRing) Refused(id string, _ vendorclient.TokenType) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.aside, id)
}

// setAside sets just these keys aside, by position.
func (r *fakeRing) setAside(positions ...int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.aside = nil
	for _, position := range positions {
		r.aside = append(r.aside, r.Keys()[position-1].ID())
	}
}

func (r *fakeRing) first(t vendorclient.TokenType) *vendorclient.Key {
	return append(r.Good(t), r.Keys()[0])[0]
}

// replace has the ring be of these keys.
func (h *house) replaceKeys(keys ...string) {
	h.t.Helper()
	if err := h.ring.Replace(secrets(keys...)); err != nil {
		h.t.Fatal(err)
	}
}

// pooledBy is how many tokens of the tests' type the key of a position has ready.
func (h *house) pooledBy(position int) int {
	h.t.Helper()
	n := 0
	for _, key := range h.keys("p:") {
		if strings.Contains(key, h.ring.Keys()[position-1].ID()) && strings.HasSuffix(key, ":"+string(vendorclient.RealtimeScribe)) {
			n += int(h.redis.LLen(context.Background(), key).Val())
		}
	}
	return n
}

// ringSuite is what holds of several API keys with every Redis.
var ringSuite = map[string]func(*testing.T, *house){
	"the pools of good keys serve in order":                     poolsInOrder,
	"a refused key's tokens are out of reach":                   refusedOutOfReach,
	"the refill goes to the first key that is good":             refillFirstGood,
	"a token of a key taken out is not pooled nor handed out":   takenOut,
	"a refused key's answers are not repeated":                  refusedNotReplayed,
	"an answer of a key taken out is repeated":                  takenOutReplayed,
	"under load a refused key's pool is left, and nobody fails": refusedUnderLoad,
}

// twoPools is a replica with n tokens by each of two keys, not refilled.
func (h *house) twoPools(n int) *dispenser.Dispenser {
	h.t.Helper()
	h.replaceKeys("one", "two")
	for _, position := range []int{1, 2} {
		h.ring.setAside(3 - position)
		stop := h.run(h.open(h.withPool(n, n)))
		h.eventually("its pool is filled", func() bool { return h.pooledBy(position) == n })
		stop()
	}
	h.ring.setAside()
	return h.open(h.withPool(0, n))
}

func poolsInOrder(t *testing.T, h *house) {
	d := h.twoPools(2)
	for i, want := range [][2]int{{1, 2}, {0, 2}, {0, 1}, {0, 0}} {
		if g := must(t, d, request("ada", "")); g.Source != dispenser.SourcePool {
			t.Errorf("request %d: source = %s", i, g.Source)
		}
		if got := [2]int{h.pooledBy(1), h.pooledBy(2)}; got != want {
			t.Errorf("request %d left %v, want %v", i, got, want)
		}
	}
	if g := must(t, d, request("ada", "")); g.Source != dispenser.SourceMint {
		t.Errorf("dry: source = %s", g.Source)
	}
}

func refusedOutOfReach(t *testing.T, h *house) {
	d := h.twoPools(2)
	h.ring.setAside(1)
	for _, want := range []dispenser.Source{dispenser.SourcePool, dispenser.SourcePool, dispenser.SourceMint} {
		if g := must(t, d, request("ada", "")); g.Source != want {
			t.Errorf("source = %s, want %s", g.Source, want)
		}
	}
	h.ring.setAside(1, 2)
	if g := must(t, d, request("ada", "")); g.Source != dispenser.SourceMint {
		t.Errorf("all aside: source = %s", g.Source)
	}
	if h.pooledBy(1) != 2 {
		t.Errorf("%d of the refused key's are left", h.pooledBy(1))
	}
	h.ring.setAside()
	if g := must(t, d, request("ada", "")); g.Source != dispenser.SourcePool {
		t.Errorf("good again: source = %s", g.Source)
	}
}

func refillFirstGood(t *testing.T, h *house) {
	h.replaceKeys("one", "two")
	h.run(h.open(h.withPool(2, 2)))
	h.eventually("the first key's pool is filled", func() bool { return h.pooledBy(1) == 2 })
	if h.pooledBy(2) != 0 {
		t.Error("the second's too")
	}
	h.ring.setAside(1)
	h.eventually("the second key's pool is filled", func() bool { return h.pooledBy(2) == 2 })
	h.eventually("no reservation is left", func() bool { return h.reservations() == 0 })
}

func (h *house) reservations() (n int) {
	h.t.Helper()
	for _, key := range h.keys("m:") {
		n += int(h.redis.ZCard(context.Background(), key).Val())
	}
	return n
}

func takenOut(t *testing.T, h *house) {
	h.replaceKeys("one", "two")
	gate := make(chan struct{})
	h.vendor.gate = gate
	// A reservation would outlive the test.
	stop := h.run(h.open(h.withPool(1, 1), func(cfg *options) { cfg.MintTimeout = time.Minute }))
	h.eventually("a mint is under way", func() bool { return h.vendor.count() >= len(vendorclient.TokenTypes()) })
	one := h.ring.Keys()[0].ID()
	h.replaceKeys("two")
	close(gate)
	h.eventually("what it mints is not pooled", func() bool { return h.reservations() == 0 })
	for _, key := range h.keys("p:") {
		if strings.Contains(key, one) {
			t.Errorf("a token of the key that was taken out is in %s", key)
		}
	}
	h.eventually("the key that stays fills its pool", func() bool { return h.pooledBy(1) == 1 })
	stop()
	h.replaceKeys("three")
	other := h.open(h.withPool(0, 1))
	if g := must(t, other, request("ada", "")); g.Source != dispenser.SourceMint {
		t.Errorf("source = %s", g.Source)
	}
}

func refusedNotReplayed(t *testing.T, h *house) {
	d := h.twoPools(1)
	pooled := must(t, d, request("ada", "pooled"))
	h.ring.setAside(2)
	minted := must(t, d, request("ada", "minted"))
	h.ring.setAside()
	if pooled.Source != dispenser.SourcePool || minted.Source != dispenser.SourceMint {
		t.Fatalf("sources %s, %s", pooled.Source, minted.Source)
	}
	for key, first := range map[string]dispenser.Grant{"pooled": pooled, "minted": minted} {
		if again := must(t, d, request("ada", key)); again.Source != dispenser.SourceReplay || again.Token.Reveal() != first.Token.Reveal() {
			t.Errorf("%s: source = %s", key, again.Source)
		}
	}
	h.ring.setAside(1)
	for key, first := range map[string]dispenser.Grant{"pooled": pooled, "minted": minted} {
		anew := must(t, d, request("ada", key))
		if anew.Source == dispenser.SourceReplay || anew.Token.Reveal() == first.Token.Reveal() {
			t.Errorf("%s: a token of a refused key was repeated", key)
		}
		if again := must(t, d, request("ada", key)); again.Token.Reveal() != anew.Token.Reveal() {
			t.Errorf("%s: what was made in its place is not repeated", key)
		}
	}
}

func takenOutReplayed(t *testing.T, h *house) {
	h.replaceKeys("one", "two")
	d := h.open()
	first := must(t, d, request("ada", "k"))
	h.replaceKeys("two")
	if again := must(t, d, request("ada", "k")); again.Source != dispenser.SourceReplay || again.Token.Reveal() != first.Token.Reveal() {
		t.Errorf("source = %s", again.Source)
	}
}

func refusedUnderLoad(t *testing.T, h *house) {
	h.replaceKeys("one", "two")
	d := h.open(h.withPool(10, 10))
	h.run(d)
	h.eventually("the first key's pool is filled", func() bool { return h.pooledBy(1) == 10 })
	first := h.ring.Keys()[0].ID()
	var aside atomic.Bool
	var group sync.WaitGroup
	for worker := range 6 {
		group.Go(func() {
			for i := range 40 {
				if worker == 0 && i == 10 {
					h.ring.setAside(1)
					aside.Store(true)
				}
				after := aside.Load()
				g, err := d.Dispense(t.Context(), request(fmt.Sprint("user", worker, "-", i), []string{"", "k"}[i%2]))
				switch {
				case err != nil:
					t.Errorf("a request failed: %v", err)
				case after && g.Source == dispenser.SourcePool && strings.HasSuffix(g.Token.Reveal(), first):
					t.Error("a token of the refused key's pool was handed out")
				}
			}
		})
	}
	group.Wait()
	h.eventually("the second key's pool is filled", func() bool { return h.pooledBy(2) == 10 })
}
