//go:build real

package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"
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

func TestNoTokenGoesToTwoWhileReplicasAreKilled(t *testing.T) {
	t.Parallel()
	h := build(t)
	steady := h.serve(withPool...)
	var mu sync.Mutex
	served := map[string]string{}
	load, end := context.WithCancel(t.Context())
	defer end()
	victims := make(chan string, 1)
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			victim := ""
			for n := 0; load.Err() == nil; n++ {
				select {
				case victim = <-victims:
				default:
				}
				base := steady.url
				if n%2 == 1 && victim != "" {
					base = victim
				}
				header := http.Header{"Authorization": {"Bearer " + h.session(fmt.Sprint("user ", i, " ", n), nil)}}
				a, err := try(load, http.MethodPost, base+scribePath, header, "")
				token, _ := a.body["token"].(string)
				if err != nil || token == "" {
					continue
				}
				mu.Lock()
				if who, twice := served[token]; twice {
					t.Errorf("a token went to %s and to user %d's call %d", who, i, n)
				}
				served[token] = fmt.Sprint("user ", i, "'s call ", n)
				mu.Unlock()
			}
		})
	}
	for range 4 {
		victim := h.serve(withPool...)
		for range 8 {
			select {
			case victims <- victim.url:
			case <-time.After(100 * time.Millisecond):
			}
		}
		time.Sleep(300 * time.Millisecond)
		victim.signal(syscall.SIGKILL)
		victim.wait()
	}
	end()
	callers.Wait()
	if len(served) < 100 {
		t.Errorf("only %d tokens were handed out", len(served))
	}
}

func (h *house) eventually(what string, met func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !met(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("never: %s", what)
		}
	}
}
