//go:build real

package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/history"
)

// withPool has a replica keep tokens ready.
var withPool = []string{"FAREBOX_POOL_MAX=50", "FAREBOX_POOL_MIN=20"}

func TestThePoolServesWhileTheVendorIsAway(t *testing.T) {
	t.Parallel()
	h := build(t)
	r := h.serve("FAREBOX_POOL_MAX=2", "FAREBOX_POOL_MIN=2")
	h.eventually("the pool is filled", func() bool { return h.mints() == 6 })
	h.inject(`{"operation":"mint","fault":"unavailable"}`)
	for i := range 2 {
		wantWorksOnce(t, mint(t, r.url, scribePath, h.session("ada", nil), fmt.Sprint(i)))
	}
	if a := mint(t, r.url, scribePath, h.session("ada", nil), ""); a.status != 503 || a.body["code"] != "vendor_unavailable" || a.header.Get("Retry-After") == "" {
		t.Errorf("dry: %d %s", a.status, a.raw)
	}
	if a := do(t, http.MethodDelete, h.sandbox+"/_sandbox/faults", nil, ""); a.status != 204 {
		t.Fatalf("clear: %d", a.status)
	}
	h.eventually("it recovers by itself", func() bool { return mint(t, r.url, scribePath, h.session("bob", nil), "").status == 200 })
}

// One of two replicas is killed again and again, in the middle of what it does;
// who had a key asks the other under it.
func TestNoTokenGoesToTwoWhileReplicasAreKilled(t *testing.T) {
	t.Parallel()
	written := history.New(history.Config{TokenLifetime: 15 * time.Minute, MinimumLife: dispenser.MinimumLife})
	mill := startMill(t, written)
	h := newHouse(t, mill.url, startRedis(t).URL)
	client := &http.Client{Transport: described(&http.Transport{MaxIdleConnsPerHost: 16})}
	t.Cleanup(client.CloseIdleConnections)
	// What a killed process was at is waited for no longer than need be.
	env := append([]string{"FAREBOX_REQUEST_TIMEOUT=1s", "FAREBOX_MINT_TIMEOUT=1s"}, withPool...)
	steady, victim := h.front(client, env...), h.front(client, env...)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var callers sync.WaitGroup
	var recovered atomic.Int32
	for i := range 8 {
		callers.Go(func() {
			pace := time.NewTicker(150 * time.Millisecond) // the global limit is 50 a second
			defer pace.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				w := wish{caller: fmt.Sprint("user ", i, " ", n), tokenType: "realtime_scribe"}
				if n%2 == 0 {
					w.key = fmt.Sprint("k", n)
				}
				lost := askInto(ctx, written, victim, w)
				for lost != nil && w.key != "" && ctx.Err() == nil {
					if lost = askInto(ctx, written, steady, w); lost == nil {
						recovered.Add(1)
					}
				}
				<-pace.C
			}
		})
	}
	pooled := 0
	for kills := 0; kills < 4 || recovered.Load() == 0; kills++ {
		before := written.Granted(history.Fresh)
		h.eventually("tokens are handed out", func() bool { return written.Granted(history.Fresh) > before+20 })
		pooled += strings.Count(victim.current().text(), `"source":"pool"`)
		victim.kill()
		h.eventually("it is ready again", func() bool { return ready(victim) })
	}
	stop()
	callers.Wait()
	for _, v := range written.Violations() {
		t.Error(v)
	}
	if pooled == 0 {
		t.Error("nothing came from the pool")
	}
	t.Logf("\n%s", written.Summary())
}

func (h *house) eventually(what string, met func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !met(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("never: %s", what)
		}
	}
}
