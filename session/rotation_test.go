package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"farebox/session"
)

func TestAFreshKeyIsTakenThoughJunkHasJustCausedALoad(t *testing.T) {
	t.Parallel()
	p, old, young := newProvider(t), ecPair(t), ecPair(t)
	v := verifier(t, p.serves(t, jwk(old, "old")))
	if err := decided(t, v, signKid(t, old, "junk")); !errors.Is(err, session.ErrInvalid) {
		t.Fatalf("junk: %v", err)
	}
	p.publishes(jwk(old, "old"), jwk(young, "young"))
	takes(t, v, signKid(t, young, "young"))
}

// takes waits until raw is good. Until then it may be that the keys are not
// known yet, as on a busy machine, and nothing else.
func takes(t *testing.T, v *session.Verifier, raw string) {
	t.Helper()
	eventually(t, "the session is taken", func() bool {
		_, err := v.Verify(t.Context(), raw)
		if err != nil && !errors.Is(err, session.ErrKeysUnavailable) {
			t.Fatalf("a good session is refused: %v", err)
		}
		return err == nil
	})
}

// A load that is under way may have read the set before the key was added.
func TestALoadThatBeganBeforeTheQuestionDoesNotCallAKidUnknown(t *testing.T) {
	t.Parallel()
	p, old, young := newProvider(t), ecPair(t), ecPair(t)
	p.publishes(jwk(old, "old"))
	hang := make(chan struct{})
	p.answer(func(p *provider) { p.hang = hang })
	s := p.jwks(t)
	v := verifier(t, s)
	eventually(t, "the set is asked for", func() bool { return p.fetches.Load() == 1 })
	p.answer(func(p *provider) { p.hang = nil })
	p.publishes(jwk(old, "old"), jwk(young, "young"))
	raw := signKid(t, young, "young")
	answered := make(chan error)
	go func() {
		_, err := v.Verify(t.Context(), raw)
		answered <- err
	}()
	close(hang) // the first answer is of the old set
	if err := <-answered; err != nil && !errors.Is(err, session.ErrKeysUnavailable) {
		t.Errorf("error = %v", err)
	}
	takes(t, v, raw)
}

func TestAFloodOfInventedKidsNeitherDelaysAFreshKeyNorLogsItOut(t *testing.T) {
	t.Parallel()
	p, old, young := newProvider(t), ecPair(t), ecPair(t)
	v := verifier(t, p.serves(t, jwk(old, "old")))
	flooding, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	var sent, refused atomic.Int32
	for i := range 64 {
		flood.Go(func() {
			for n := 0; flooding.Err() == nil; n++ {
				sent.Add(1)
				_, err := v.Verify(flooding, signKid(t, old, fmt.Sprintf("invented-%d-%d", i, n)))
				switch {
				case errors.Is(err, session.ErrInvalid):
					refused.Add(1)
				case !errors.Is(err, session.ErrKeysUnavailable):
					t.Errorf("junk: %v", err)
				}
			}
		})
	}
	eventually(t, "the flood is on", func() bool { return refused.Load() > 64 })
	p.publishes(jwk(old, "old"), jwk(young, "young"))
	raw, good := signKid(t, young, "young"), signKid(t, old, "old")
	if _, err := v.Verify(t.Context(), good); err != nil {
		t.Errorf("a good caller meanwhile: %v", err)
	}
	takes(t, v, raw)
	stop()
	flood.Wait()
	// Each question waits for a load that 63 others wait for as well.
	if fetches := p.fetches.Load(); fetches*16 > sent.Load() {
		t.Errorf("%d fetches for %d questions", fetches, sent.Load())
	}
}

func TestWithinTheCoolDownNothingIsFetchedAndNobodyIsCalledInvalid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, pair := inMemory(t), ecPair(t)
		v := verifier(t, p.serves(t, jwk(pair, "k")))
		before := p.fetches.Load()
		p.clock.Store(-3600) // the cool-down lasts for longer than this test
		const callers, mostWaiting = 1500, 1024
		var flood sync.WaitGroup
		var tooMany, tooLong atomic.Int32
		raw := signKid(t, pair, "invented")
		for range callers {
			flood.Go(func() {
				_, err := v.Verify(t.Context(), raw)
				switch {
				case !errors.Is(err, session.ErrKeysPending) || session.Reason(err) != session.ErrKeysUnavailable.Error():
					t.Errorf("error = %v", err)
				case strings.Contains(err.Error(), "too many wait"):
					tooMany.Add(1)
				case strings.Contains(err.Error(), "takes too long"):
					tooLong.Add(1)
				}
			})
		}
		flood.Wait()
		if tooLong.Load() != mostWaiting || tooMany.Load() != callers-mostWaiting {
			t.Errorf("of %d, %d were too many and %d waited too long", callers, tooMany.Load(), tooLong.Load())
		}
		if n := p.fetches.Load() - before; n != 0 {
			t.Errorf("%d fetches", n)
		}
		if _, err := v.Verify(t.Context(), signKid(t, pair, "k")); err != nil {
			t.Errorf("a good caller: %v", err)
		}
	})
}

func TestQuestionsDuringALoadCostOneMoreLoadTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, pair := inMemory(t), ecPair(t)
		v := verifier(t, p.serves(t, jwk(pair, "k")))
		before := p.fetches.Load()
		hang := make(chan struct{})
		p.answer(func(p *provider) { p.hang = hang })
		p.clock.Store(2)
		var flood sync.WaitGroup
		raw := signKid(t, pair, "invented")
		ask := func() {
			if _, err := v.Verify(t.Context(), raw); !errors.Is(err, session.ErrInvalid) {
				t.Errorf("error = %v", err)
			}
		}
		flood.Go(ask)
		synctest.Wait() // the load is under way
		for range 500 {
			flood.Go(ask)
		}
		synctest.Wait() // all have asked
		p.answer(func(p *provider) { p.hang = nil })
		close(hang)
		flood.Wait()
		if n := p.fetches.Load() - before; n != 2 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestARemovedKeyIsGoneWithTheNextLoadForRememberedJWTsToo(t *testing.T) {
	t.Parallel()
	p, old, young := newProvider(t), ecPair(t), ecPair(t)
	v := verifier(t, p.serves(t, jwk(old, "old"), jwk(young, "young")))
	raws := map[string]string{"old": signKid(t, old, "old"), "young": signKid(t, young, "young")}
	verify := func(kid string) error {
		t.Helper()
		return decided(t, v, raws[kid])
	}
	load := func() {
		t.Helper()
		p.clock.Add(2)
		if err := decided(t, v, signKid(t, old, "unknown")); !errors.Is(err, session.ErrInvalid) {
			t.Fatalf("an unknown kid, for which the set is loaded: %v", err)
		}
	}
	for kid := range raws {
		if err := verify(kid); err != nil {
			t.Fatalf("%s: %v", kid, err)
		}
	}
	// The old key's name now means another key, and the young key has another name.
	p.publishes(jwk(ecPair(t), "old"), jwk(young, "renamed"))
	load()
	if err := verify("old"); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("a JWT of the key that was removed: %v", err)
	}
	if err := verify("young"); err != nil {
		t.Errorf("a JWT of the key that is still there: %v", err)
	}
	// Nor is what a key has verified good once the key is for something else.
	encryption := jwk(young, "renamed")
	encryption.Use = "enc"
	p.publishes(jwk(ecPair(t), "old"), encryption)
	load()
	if err := verify("young"); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("a JWT of a key for encryption: %v", err)
	}
}

func TestRememberedJWTsGoWithASetThatIsTooOld(t *testing.T) {
	t.Parallel()
	p, pair := newProvider(t), ecPair(t)
	v := verifier(t, p.serves(t, jwk(pair, "k")))
	raw := signKid(t, pair, "k")
	if _, err := v.Verify(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	p.answer(func(p *provider) { p.status = http.StatusBadGateway })
	p.clock.Store(24*3600 + 1)
	if _, err := v.Verify(t.Context(), raw); !errors.Is(err, session.ErrKeysUnavailable) {
		t.Errorf("error = %v", err)
	}
}

func TestAnIssuerThatRotatesIsFollowedByDiscovery(t *testing.T) {
	t.Parallel()
	p, old, young := newProvider(t), ecPair(t), ecPair(t)
	p.publishes(jwk(old, "old"))
	s := p.oidc(t)
	loaded(t, s)
	v := verifier(t, s, func(c *session.Config) { c.Issuer = p.URL })
	session := func(pair keyPair, kid string) string {
		return sign(t, pair.method, pair.private, map[string]any{"kid": kid}, claims(map[string]any{"iss": p.URL}))
	}
	if _, err := v.Verify(t.Context(), session(old, "old")); err != nil {
		t.Fatal(err)
	}
	// The keys move to another address of the issuer's as well.
	p.answer(func(p *provider) { p.keysAt = "/moved" })
	p.publishes(jwk(young, "young"))
	takes(t, v, session(young, "young"))
	if _, err := v.Verify(t.Context(), session(old, "old")); err == nil {
		t.Error("the old key is still good")
	}
}

func TestALoadThatHangsHoldsNobodyUpWhoseKeyIsThere(t *testing.T) {
	t.Parallel()
	p, pair := newProvider(t), ecPair(t)
	s := p.serves(t, jwk(pair, "k"))
	v := verifier(t, s)
	hang := make(chan struct{})
	p.answer(func(p *provider) { p.hang = hang })
	defer close(hang)
	p.clock.Store(2)
	before := p.fetches.Load()
	asked := make(chan error, 1)
	go func() {
		_, err := v.Verify(t.Context(), signKid(t, pair, "unknown"))
		asked <- err
	}()
	eventually(t, "the set is asked for", func() bool { return p.fetches.Load() > before })
	// A wait would be for a second; a context that has ended admits of none.
	gone, leave := context.WithCancel(t.Context())
	leave()
	if keys, err := s.Keys(gone, "ES256", "k"); err != nil || len(keys) != 1 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	if _, err := v.Verify(t.Context(), signKid(t, pair, "k")); err != nil {
		t.Errorf("a good caller: %v", err)
	}
	if err := <-asked; !errors.Is(err, session.ErrKeysPending) {
		t.Errorf("an unknown kid: %v", err)
	}
}
