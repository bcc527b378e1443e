package session_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farebox/session"

	"github.com/golang-jwt/jwt/v5"
)

// counted is an algorithm whose signatures are all good, and counted. It is a
// source of itself.
type counted struct {
	name     string
	verified atomic.Int32
	gone     atomic.Bool  // its key
	key      atomic.Int32 // another number, another key
}

func newCounted(name string) *counted {
	c := &counted{name: name}
	jwt.RegisterSigningMethod(name, func() jwt.SigningMethod { return c })
	return c
}

func (c *counted) Alg() string                      { return c.name }
func (c *counted) Sign(string, any) ([]byte, error) { return []byte("good"), nil }
func (c *counted) Algorithms() []string             { return []string{c.name} }
func (c *counted) Status() session.KeyStatus        { return session.KeyStatus{Usable: true} }

func (c *counted) Verify(string, []byte, any) error {
	c.verified.Add(1)
	return nil
}

func (c *counted) Keys(context.Context, string, string) ([]session.Key, error) {
	if c.gone.Load() {
		return nil, session.ErrInvalid
	}
	return []session.Key{{Algorithms: c.Algorithms(), Thumbprint: c.thumbprint()}}, nil
}

func (c *counted) thumbprint() session.Thumbprint { return session.Thumbprint{1, byte(c.key.Load())} }

func (c *counted) Holds(alg string, thumbprint session.Thumbprint) bool {
	return !c.gone.Load() && alg == c.name && thumbprint == c.thumbprint()
}

func (c *counted) sign(t *testing.T, more map[string]any) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"`+c.name+`"}`)) + "." + encode([]byte(mustJSON(t, claims(more)))) + "." + encode([]byte("good"))
}

func TestAJWTThatWasVerifiedCostsNoFurtherSignatureUntilItExpires(t *testing.T) {
	t.Parallel()
	c := newCounted("TEST-EXPIRY")
	var ahead atomic.Int64
	v := verifier(t, c, func(cfg *session.Config) {
		cfg.Now = func() time.Time { return now.Add(time.Duration(ahead.Load()) * time.Second) }
	})
	raw := c.sign(t, nil)
	for range 100 {
		if p, err := v.Verify(t.Context(), raw); err != nil || p.Subject != "ada" {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	if n := c.verified.Load(); n != 1 {
		t.Errorf("%d signatures were checked", n)
	}
	// Another signature under the same claims is another JWT.
	if _, err := v.Verify(t.Context(), raw[:len(raw)-2]+"YQ"); err != nil || c.verified.Load() != 2 {
		t.Errorf("%v after %d signatures", err, c.verified.Load())
	}
	before := c.verified.Load()
	ahead.Store(3600 + 4)
	if _, err := v.Verify(t.Context(), raw); err != nil {
		t.Errorf("within the leeway: %v", err)
	}
	ahead.Store(3600 + 5)
	for range 100 {
		if p, err := v.Verify(t.Context(), raw); !errors.Is(err, session.ErrExpired) || p != nil {
			t.Fatalf("expired: %v", err)
		}
	}
	if n := c.verified.Load() - before; n != 0 {
		t.Errorf("%d signatures of an expired JWT that is known were checked", n)
	}
}

func TestAnExpiredJWTThatIsSentAgainAndAgainCostsOneSignature(t *testing.T) {
	t.Parallel()
	c := newCounted("TEST-EXPIRED")
	v := verifier(t, c)
	raw := c.sign(t, map[string]any{"exp": now.Unix() - 3600})
	for range 100 {
		if p, err := v.Verify(t.Context(), raw); !errors.Is(err, session.ErrExpired) || p != nil {
			t.Fatalf("error = %v", err)
		}
	}
	if n := c.verified.Load(); n != 1 {
		t.Errorf("%d signatures were checked", n)
	}
}

func TestARememberedJWTGoesWithItsKey(t *testing.T) {
	t.Parallel()
	c := newCounted("TEST-GONE")
	v := verifier(t, c)
	raw := c.sign(t, nil)
	if _, err := v.Verify(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	c.gone.Store(true)
	if _, err := v.Verify(t.Context(), raw); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("error = %v", err)
	}
}

func TestTheMemoryOfVerifiedJWTsIsBounded(t *testing.T) {
	t.Parallel()
	c := newCounted("TEST-BOUNDED")
	v := verifier(t, c, func(cfg *session.Config) { cfg.Memory = 4 << 10 })
	raws := make([]string, 200)
	for i := range raws {
		raws[i] = c.sign(t, map[string]any{"jti": fmt.Sprint(i)})
	}
	all := func() int32 {
		before := c.verified.Load()
		for _, raw := range raws {
			if _, err := v.Verify(t.Context(), raw); err != nil {
				t.Fatal(err)
			}
		}
		return c.verified.Load() - before
	}
	if n := all(); n != 200 {
		t.Fatalf("%d signatures for 200 JWTs", n)
	}
	// Some 60 signatures fit, and claims of none.
	if n := all(); n < 140 {
		t.Errorf("%d signatures for 200 JWTs of before", n)
	}
}

func TestASignatureIsKnownForLongerThanWhatTheJWTSaid(t *testing.T) {
	t.Parallel()
	c := newCounted("TEST-SIGNATURES")
	told := &lastOutcome{}
	v := verifier(t, c, func(cfg *session.Config) { cfg.Memory, cfg.Observer = 32<<10, told })
	raws := make([]string, 200)
	for i := range raws {
		raws[i] = c.sign(t, map[string]any{"sub": fmt.Sprint("user ", i)})
	}
	const new, remembered = "ok", "remembered"
	all := func(want string, signatures int32) {
		t.Helper()
		before := c.verified.Load()
		for i, raw := range raws {
			p, err := v.Verify(t.Context(), raw)
			if err != nil || p.Subject != fmt.Sprint("user ", i) {
				t.Fatalf("%+v, %v", p, err)
			}
			if got := told.Load(); got != want {
				t.Fatalf("user %d: %s, not %s", i, got, want)
			}
		}
		if n := c.verified.Load() - before; n != signatures {
			t.Errorf("%d signatures, not %d", n, signatures)
		}
	}
	all(new, 200)
	all(remembered, 0) // a dozen of them by what they said
	c.key.Store(2)
	all(new, 200)
	c.gone.Store(true)
	for _, raw := range raws {
		if _, err := v.Verify(t.Context(), raw); !errors.Is(err, session.ErrInvalid) {
			t.Fatalf("without its key: %v", err)
		}
	}
}

// lastOutcome is how the last verification ended.
type lastOutcome struct{ atomic.Value }

func (o *lastOutcome) Verified(outcome string) { o.Store(outcome) }

func TestSuspectsShareOneProcessorAndNeverWaitForKeys(t *testing.T) {
	t.Parallel()
	p, pair := newProvider(t), ecPair(t)
	v := verifier(t, p.serves(t, jwk(pair, "k")))
	before := p.fetches.Load()
	p.clock.Store(-3600) // no load begins while this test lasts
	if _, err := v.VerifySuspect(t.Context(), signKid(t, pair, "invented")); !errors.Is(err, session.ErrKeysPending) || !errors.Is(err, context.Canceled) {
		t.Errorf("an invented kid: %v", err)
	}
	if _, err := v.VerifySuspect(t.Context(), signKid(t, pair, "k")); err != nil || p.fetches.Load() != before {
		t.Errorf("a good JWT: %v, %d fetches", err, p.fetches.Load()-before)
	}

	busy := newSlow("TEST-SUSPECTS")
	crowd := verifier(t, busy)
	raw := busy.sign(t)
	var flood sync.WaitGroup
	var overloaded atomic.Int32
	for range 400 {
		flood.Go(func() {
			if _, err := crowd.VerifySuspect(t.Context(), raw); errors.Is(err, session.ErrOverloaded) {
				overloaded.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "those beyond the queue are refused", func() bool { return overloaded.Load() > 100 })
	close(busy.release)
	flood.Wait()
	if most := busy.most.Load(); most != 1 {
		t.Errorf("%d suspects were checked at once", most)
	}
}

func TestWhatIsAttachedIsThereAsLongAsTheSessionIsRemembered(t *testing.T) {
	t.Parallel()
	keys := newCounted("TEST-ATTACHED")
	v := verifier(t, keys)
	raw := keys.sign(t, nil)
	first, err := v.Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if got := first.Attached(); got != nil {
		t.Errorf("%v is attached to a session that is new", got)
	}
	first.Attach("a note")
	again, err := v.Verify(t.Context(), raw)
	if err != nil || again.Attached() != "a note" {
		t.Error(again.Attached(), err)
	}
	other, err := v.Verify(t.Context(), keys.sign(t, map[string]any{"sub": "another"}))
	if err != nil || other.Attached() != nil {
		t.Error(other.Attached(), err)
	}
	keys.key.Add(1)
	renewed, err := v.Verify(t.Context(), raw)
	if err != nil || renewed.Attached() != nil {
		t.Error("what was known under a key that is gone is known still", err)
	}
}
