package handlers_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farebox/handlers"
	"farebox/session"

	"github.com/golang-jwt/jwt/v5"
)

// junk is a session that looks good but for its signature.
func junk(t *testing.T) string {
	t.Helper()
	good := sign(t, nil)
	return good[:len(good)-43] + strings.Repeat("A", 43)
}

func TestAnAddressThatSendsMuchJunkIsToldToStopAndItsGoodCallersAreServed(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	s := start(t, func(c *handlers.Config) {
		c.Now = func() time.Time { return time.Unix(1_790_000_000, 0).Add(time.Duration(ahead.Load())) }
	})
	const bad, neighbour, stranger = "[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff::9]:1", "[2001:db8:1:3::1]:1"
	raw := bearer(junk(t))
	code := func(peer string, h http.Header) string {
		t.Helper()
		a := s.from(t, peer, h)
		_, after, _ := strings.Cut(a.Body.String(), `"code":"`)
		found, _, _ := strings.Cut(after, `"`)
		return fmt.Sprint(a.Code, " ", found)
	}
	for i := range 300 {
		if got := code(bad, raw); got != "401 session_invalid" {
			t.Fatalf("failure %d: %s", i, got)
		}
	}
	for _, peer := range []string{bad, neighbour} {
		if got := code(peer, raw); got != "429 rate_limited" {
			t.Errorf("junk from %s: %s", peer, got)
		}
		if got := code(peer, bearer("x.y.z")); got != "429 rate_limited" {
			t.Errorf("nonsense from %s: %s", peer, got)
		}
		if got := code(peer, bearer(sign(t, jwt.MapClaims{"sub": "new at " + peer}))); got != "200 " {
			t.Errorf("a good session from %s: %s", peer, got)
		}
		// It was good once, and its owner is to renew it.
		if got := code(peer, bearer(sign(t, jwt.MapClaims{"exp": time.Now().Add(-time.Hour).Unix()}))); got != "401 session_expired" {
			t.Errorf("an expired session from %s: %s", peer, got)
		}
		if got := code(peer, nil); got != "401 session_missing" {
			t.Errorf("no session from %s: %s", peer, got)
		}
	}
	if got := code(stranger, raw); got != "401 session_invalid" {
		t.Errorf("junk from another network: %s", got)
	}
	a := s.from(t, bad, raw)
	for name, want := range map[string]string{
		"RateLimit-Policy": `"per_address";q=300;w=60`, "RateLimit": `"per_address";r=0;t=1`, "WWW-Authenticate": "", "Cache-Control": "no-store",
	} {
		if got := a.Header().Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if wait := a.Header().Get("Retry-After"); wait != "1" && wait != "2" {
		t.Errorf("Retry-After = %q", wait)
	}
	ahead.Store(int64(time.Second))
	for range 5 {
		if got := code(bad, raw); got != "401 session_invalid" {
			t.Errorf("a second later: %s", got)
		}
	}
	if got := code(bad, raw); got != "429 rate_limited" {
		t.Errorf("a second later, a sixth time: %s", got)
	}
	told := func() int {
		s.logMu.Lock()
		defer s.logMu.Unlock()
		return strings.Count(s.log.String(), "many sessions that are not accepted come from one address")
	}
	if n := told(); n != 1 {
		t.Errorf("the operator is told %d times", n)
	}
	ahead.Store(int64(2 * time.Minute))
	for i := range 300 {
		if got := code(bad, raw); got != "401 session_invalid" {
			t.Fatalf("two minutes later, failure %d: %s", i, got)
		}
	}
	if n := told(); n != 2 {
		t.Errorf("the operator is told %d times in two minutes", n)
	}
	if n := s.vendor.count(); n != 2 {
		t.Errorf("%d vendor calls for 2 good sessions", n)
	}
}

// verifiers is a Verifier that only fails, and counts who is called a suspect.
type verifiers struct {
	err       error
	ofSuspect error // nil: err
	suspects  atomic.Int32
}

func (v *verifiers) Verify(context.Context, string) (*session.Principal, error) { return nil, v.err }

func (v *verifiers) VerifySuspect(context.Context, string) (*session.Principal, error) {
	v.suspects.Add(1)
	return nil, cmp.Or(v.ofSuspect, v.err)
}

// A good caller may share the address, and the keys may be new.
func TestWhereNothingCanBeSaidOfASuspectsSessionItIsNotCalledAFailure(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		session.ErrExpired: "401 session_expired", session.ErrKeysPending: "503 session_keys_unavailable", session.ErrOverloaded: "503 overloaded",
		session.ErrInvalid: "429 rate_limited",
	} {
		v := &verifiers{err: session.ErrInvalid, ofSuspect: err}
		s := start(t, func(c *handlers.Config) {
			c.Verifier, c.Now = v, func() time.Time { return time.Unix(1_790_000_000, 0) }
		})
		for range 300 {
			s.from(t, "127.0.0.1:1", bearer("x"))
		}
		a := s.do(t, call{header: bearer("x")})
		if got := fmt.Sprint(a.StatusCode, " ", a.body["code"]); got != want || v.suspects.Load() != 1 {
			t.Errorf("%v: %s after %d suspects", err, got, v.suspects.Load())
		}
	}
}

func TestOnlySessionsThatAreNotAcceptableMakeAnAddressASuspect(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err      error
		suspects int32
		last     int
	}{
		"junk":             {session.ErrInvalid, 100, 429},
		"expired sessions": {session.ErrExpired, 0, 401},
		"keys away":        {session.ErrKeysUnavailable, 0, 503},
		"overload":         {session.ErrOverloaded, 0, 503},
	} {
		v := &verifiers{err: tt.err}
		s := start(t, func(c *handlers.Config) {
			c.Verifier, c.Now = v, func() time.Time { return time.Unix(1_790_000_000, 0) }
		})
		last := 0
		for range 400 {
			last = s.from(t, "192.0.2.1:1", bearer("x")).Code
		}
		if last != tt.last || v.suspects.Load() != tt.suspects {
			t.Errorf("%s: %d in the end, %d times a suspect", name, last, v.suspects.Load())
		}
	}
}

func TestAFloodOfJunkLeavesGoodCallersServed(t *testing.T) {
	t.Parallel()
	s := start(t)
	raw := junk(t)
	stop := make(chan struct{})
	var flood sync.WaitGroup
	var refused atomic.Int32
	for range 32 {
		flood.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				a := s.do(t, call{header: bearer(raw)})
				refused.Add(1)
				switch a.StatusCode {
				case http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable:
				default:
					t.Errorf("junk: %d %s", a.StatusCode, a.raw)
				}
			}
		})
	}
	for deadline := time.Now().Add(2 * time.Minute); refused.Load() < 1000; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("there is no flood")
		}
	}
	// New ones, of the very address that the flood comes from.
	for i := range 40 {
		if a := s.do(t, call{header: bearer(sign(t, jwt.MapClaims{"sub": fmt.Sprintf("good %d", i)}))}); a.StatusCode != http.StatusOK {
			t.Errorf("a good caller: %d %s", a.StatusCode, a.raw)
		}
	}
	close(stop)
	flood.Wait()
	if n := s.vendor.count(); n != 40 {
		t.Errorf("%d vendor calls for 40 good callers", n)
	}
}

func TestHowSoonToComeAgainDependsOnWhatIsTheMatterWithTheKeys(t *testing.T) {
	t.Parallel()
	for err, soonest := range map[error]string{session.ErrKeysPending: "12", session.ErrKeysUnavailable: "56"} {
		s := start(t, func(c *handlers.Config) { c.Verifier = &verifiers{err: err} })
		a := s.do(t, call{header: bearer("x")})
		wantProblem(t, a, 503, "session_keys_unavailable")
		if got := a.Header.Get("Retry-After"); len(got) != 1 || !strings.Contains(soonest, got) {
			t.Errorf("%v: Retry-After = %q", err, got)
		}
	}
}
