//go:build real

package e2e_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// power is a server that can be off: then it hangs up on whoever calls.
type power struct {
	url string
	on  atomic.Bool
}

func powered(t *testing.T, handler http.Handler) *power {
	t.Helper()
	p := &power{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.on.Load() {
			panic(http.ErrAbortHandler)
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// becomes waits until /readyz says so.
func (r *replica) becomes(t *testing.T, status string) {
	t.Helper()
	var last answer
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if last = do(t, http.MethodGet, r.ops+"/readyz", nil, ""); last.body["status"] == status {
			return
		}
	}
	t.Fatalf("never %s: %s", status, last.raw)
}

// Whatever is down at the start, one after the other comes and is taken into
// use, without a restart.
func TestServeRecoversFromAStartWithEverythingDown(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.redis.Kill()
	sandbox, err := url.Parse(h.sandbox)
	if err != nil {
		t.Fatal(err)
	}
	vendor := powered(t, httputil.NewSingleHostReverseProxy(sandbox))
	keys := powered(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(t, w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &h.key.PublicKey, KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	}))
	r := h.serve("ELEVENLABS_BASE_URL="+vendor.url, "FAREBOX_SESSION_PUBLIC_KEY_FILE=", "FAREBOX_SESSION_JWKS_URL="+keys.url, "FAREBOX_POOL_MAX=")
	session := h.session("ada", nil)
	if a := mint(t, r.url, scribePath, session, ""); a.body["code"] != "session_keys_unavailable" {
		t.Errorf("without keys: %d %s", a.status, a.raw)
	}
	r.becomes(t, "not_ready")
	keys.on.Store(true)
	r.becomes(t, "degraded")
	vendor.on.Store(true)
	granted := func() bool { return mint(t, r.url, scribePath, session, "").status == http.StatusOK }
	for deadline := time.Now().Add(time.Minute); !granted(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no token comes, with the vendor there and Redis away")
		}
	}
	h.redis.Launch()
	r.becomes(t, "ready")
	if !granted() {
		t.Error("no token with all there")
	}
}

// A second signal does not wait for the requests in flight, nor for the drain.
func TestASecondSignalEndsItAtOnce(t *testing.T) {
	t.Parallel()
	for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(second.String(), func(t *testing.T) {
			t.Parallel()
			h := build(t)
			r := h.serve("FAREBOX_DRAIN_DELAY=10m")
			r.signal(syscall.SIGTERM)
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
				if a := do(t, http.MethodGet, r.url+"/health/ready", nil, ""); a.status == http.StatusServiceUnavailable {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the first signal is not heard")
				}
			}
			r.signal(second)
			r.wait()
			if status, is := r.cmd.ProcessState.Sys().(syscall.WaitStatus); !is || !status.Signaled() || status.Signal() != second {
				t.Errorf("it ended with %v", r.cmd.ProcessState)
			}
		})
	}
}

// Who is still being served when the time for it is over is cut off, and the
// exit status says so.
func TestRequestsThatOutlastTheShutdownAreCutOff(t *testing.T) {
	t.Parallel()
	h := build(t)
	r := h.serve("FAREBOX_SHUTDOWN_TIMEOUT=100ms")
	h.inject(`{"operation":"mint","fault":"delay","delay_ms":4000}`)
	ended := make(chan error, 1)
	go func() {
		_, err := try(context.Background(), http.MethodPost, r.url+scribePath, http.Header{"Authorization": {"Bearer " + h.session("ada", nil)}}, "")
		ended <- err
	}()
	for deadline := time.Now().Add(20 * time.Second); h.mints() == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the vendor is never called")
		}
	}
	r.signal(syscall.SIGTERM)
	if status := r.wait(); status != 1 {
		t.Errorf("status = %d", status)
	}
	if err := <-ended; err == nil {
		t.Error("the request was answered")
	}
}
