package session_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"farebox/session"
)

// often has a source load its set all the time.
func often(c *session.JWKSConfig) { c.Refresh = time.Millisecond }

func TestAKeySetIsLoadedAheadOfTime(t *testing.T) {
	t.Parallel()
	p, old, young := newProvider(t), keyPairs(t)["ES256"], keyPairs(t)["ES256"]
	p.publishes(jwk(old, "old"))
	s := p.jwks(t, often)
	loaded(t, s)
	v := verifier(t, s)
	// Nobody asks for an unknown key, and the clock stands still: no request
	// has it load.
	p.publishes(jwk(young, "young"))
	eventually(t, "the removed key is refused", func() bool {
		_, err := v.Verify(t.Context(), signKid(t, old, "old"))
		return errors.Is(err, session.ErrInvalid)
	})
	if _, err := v.Verify(t.Context(), signKid(t, young, "young")); err != nil {
		t.Errorf("the new key: %v", err)
	}
}

func TestAHostThatIsDownAtTheStartIsAskedAgain(t *testing.T) {
	t.Parallel()
	p, pair := newProvider(t), keyPairs(t)["ES256"]
	p.publishes(jwk(pair, "k"))
	var up atomic.Bool
	line := roundTripper(func(r *http.Request) (*http.Response, error) {
		if !up.Load() {
			return nil, errors.New("connection refused by " + r.URL.Host)
		}
		return p.Client().Transport.RoundTrip(r)
	})
	jwks := p.jwks(t, often, func(c *session.JWKSConfig) { c.Transport = line })
	oidc, err := session.NewOIDC(session.OIDCConfig{Issuer: p.URL, Transport: line, Now: p.now, Log: slog.New(slog.DiscardHandler), Refresh: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = oidc.Close() })
	sources := map[string]*session.JWKS{"JWKS": jwks, "OIDC": oidc}
	for name, s := range sources {
		if _, err := verifier(t, s).Verify(t.Context(), signKid(t, pair, "k")); !errors.Is(err, session.ErrKeysUnavailable) {
			t.Errorf("%s while down: %v", name, err)
		}
		status := s.Status()
		if status.Usable || status.LastError == "" || strings.Contains(status.LastError, "127.0.0.1") || !status.LoadedAt.IsZero() {
			t.Errorf("%s while down: %+v", name, status)
		}
	}
	up.Store(true)
	for name, s := range sources {
		loaded(t, s)
		if _, err := verifier(t, s).Verify(t.Context(), signKid(t, pair, "k")); err != nil {
			t.Errorf("%s once up: %v", name, err)
		}
		if status := s.Status(); status.LastError != "" || !status.LoadedAt.Equal(now) {
			t.Errorf("%s once up: %+v", name, status)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWhyAKeySetIsNotLoadedIsSaidWithoutItsAddress(t *testing.T) {
	t.Parallel()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	plain := newProvider(t)
	plain.answer(func(p *provider) { p.status = http.StatusFound })
	fails := func(err error) http.RoundTripper {
		return roundTripper(func(*http.Request) (*http.Response, error) { return nil, err })
	}
	for name, tt := range map[string]struct {
		address string
		by      http.RoundTripper
		says    string
	}{
		"a certificate of nobody known": {untrusted.URL, nil, "certificate"},
		"nobody listens":                {gone.URL, nil, "no answer"},
		"no such name":                  {gone.URL, fails(&net.DNSError{Err: "no such host", Name: "hidden"}), "name"},
		"too slow":                      {gone.URL, fails(context.DeadlineExceeded), "in time"},
		"a redirect":                    {plain.URL + "/jwks", nil, "status 302"},
	} {
		s, err := session.NewJWKS(session.JWKSConfig{URL: tt.address + "?hidden=1", Transport: tt.by, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		eventually(t, name, func() bool { return s.Status().LastError != "" })
		if text := s.Status().LastError; !strings.Contains(text, tt.says) || strings.Contains(text, "hidden") {
			t.Errorf("%s: %q, want %q", name, text, tt.says)
		}
	}
}

func TestAFloodWhileTheHostIsDownCostsOneFetchACoolDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, pair := inMemory(t), keyPairs(t)["ES256"]
		v := verifier(t, p.serves(t, jwk(pair, "k")))
		p.answer(func(p *provider) { p.status = http.StatusBadGateway })
		for round := range int32(3) {
			before := p.fetches.Load()
			p.clock.Add(2)
			var flood sync.WaitGroup
			for range 100 {
				flood.Go(func() {
					if _, err := v.Verify(t.Context(), signKid(t, pair, "invented")); !errors.Is(err, session.ErrKeysUnavailable) {
						t.Errorf("an invented kid: %v", err)
					}
					if _, err := v.Verify(t.Context(), signKid(t, pair, "k")); err != nil {
						t.Errorf("a good caller meanwhile: %v", err)
					}
				})
			}
			flood.Wait()
			if n := p.fetches.Load() - before; n != 1 {
				t.Errorf("round %d: %d fetches", round, n)
			}
		}
	})
}

func TestACallerWhoGivesUpIsNotHeldAndIsNotCalledInvalid(t *testing.T) {
	t.Parallel()
	p, pair := newProvider(t), keyPairs(t)["ES256"]
	p.answer(func(p *provider) { p.hang = make(chan struct{}) })
	s := p.jwks(t)
	gone, leave := context.WithCancel(t.Context())
	leave()
	_, err := verifier(t, s).Verify(gone, signKid(t, pair, "k"))
	if !errors.Is(err, session.ErrKeysUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
}

func TestAClosedSourceLoadsNoMoreAndKeepsItsKeys(t *testing.T) {
	t.Parallel()
	p, pair := newProvider(t), keyPairs(t)["ES256"]
	s := p.serves(t, jwk(pair, "k"))
	v := verifier(t, s)
	p.clock.Store(2)
	var racing sync.WaitGroup
	for range 20 {
		racing.Go(func() { _, _ = v.Verify(t.Context(), signKid(t, pair, "unknown")) })
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	racing.Wait()
	before := p.fetches.Load()
	p.clock.Store(4)
	if _, err := v.Verify(t.Context(), signKid(t, pair, "unknown")); !errors.Is(err, session.ErrKeysUnavailable) {
		t.Errorf("an unknown key: %v", err)
	}
	if _, err := v.Verify(t.Context(), signKid(t, pair, "k")); err != nil {
		t.Errorf("a known key: %v", err)
	}
	if n := p.fetches.Load() - before; n != 0 {
		t.Errorf("%d fetches after Close", n)
	}
}

func TestOddKeysOfASetAreToldOnce(t *testing.T) {
	t.Parallel()
	p, pairs := newProvider(t), keyPairs(t)
	private := jwk(pairs["ES512"], "published by mistake")
	private.Key = pairs["ES512"].private
	encryption := jwk(pairs["ES384"], "e")
	encryption.Use = "enc"
	p.publishes(jwk(pairs["ES256"], "k"), private, private, encryption)
	var out bytes.Buffer
	s := p.jwks(t, often, func(c *session.JWKSConfig) { c.Log = slog.New(slog.NewTextHandler(&out, nil)) })
	eventually(t, "the set is loaded several times", func() bool { return p.fetches.Load() > 5 })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if strings.Count(text, "left out") != 1 || strings.Count(text, "private key") != 1 || strings.Contains(text, "another use") {
		t.Errorf("told:\n%s", text)
	}
	if strings.Contains(text, mustJSON(t, private)) || strings.Contains(text, "mistake") {
		t.Errorf("the log holds the key:\n%s", text)
	}
}

func TestASetOfTooManyKeysIsNotTaken(t *testing.T) {
	t.Parallel()
	p, pair := newProvider(t), keyPairs(t)["ES256"]
	key := mustJSON(t, jwk(pair, "k"))
	p.answer(func(p *provider) { p.raw = `{"keys":[` + strings.Repeat(key+",", 256) + key + `]}` })
	s := p.jwks(t)
	eventually(t, "the load fails", func() bool { return s.Status().LastError != "" })
	if status := s.Status(); status.Usable || !strings.Contains(status.LastError, "256") {
		t.Errorf("status = %+v", status)
	}
}

func TestASourceThatWillNotDoNamesTheField(t *testing.T) {
	t.Parallel()
	good := session.JWKSConfig{URL: "https://issuer.example/jwks", Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	for field, amend := range map[string]func(*session.JWKSConfig){
		"Now":     func(c *session.JWKSConfig) { c.Now = nil },
		"Log":     func(c *session.JWKSConfig) { c.Log = nil },
		"Refresh": func(c *session.JWKSConfig) { c.Refresh = -1 },
	} {
		cfg := good
		amend(&cfg)
		if _, err := session.NewJWKS(cfg); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
