package session_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"farebox/session"

	"github.com/golang-jwt/jwt/v5"
)

func TestAnIssuersKeysAreFoundByDiscovery(t *testing.T) {
	t.Parallel()
	p, pairs := newProvider(t), keyPairs(t)
	p.publishes(jwk(pairs["RS256"], "k"))
	open := func(issuer string) *session.JWKS {
		t.Helper()
		s, err := session.NewOIDC(session.OIDCConfig{Issuer: issuer, Now: p.now, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	s := open(p.URL)
	loaded(t, s)
	v := verifier(t, s, func(c *session.Config) { c.Issuer = p.URL })
	good := sign(t, jwt.SigningMethodRS256, pairs["RS256"].private, map[string]any{"kid": "k"}, claims(map[string]any{"iss": p.URL}))
	if _, err := v.Verify(t.Context(), good); err != nil {
		t.Error(err)
	}
	// A document of another issuer is not believed.
	p.answer(func(p *provider) { p.issuer = "https://evil.example" })
	other := open(p.URL)
	if _, err := verifier(t, other, func(c *session.Config) { c.Issuer = p.URL }).Verify(t.Context(), good); !errors.Is(err, session.ErrKeysUnavailable) {
		t.Errorf("another issuer's document: %v", err)
	}
}

func TestKeySetsAreFetchedByHTTPSAlone(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	for _, address := range []string{"http://issuer.example/jwks", "ftp://issuer.example", "issuer.example", "https://u:p@issuer.example/jwks", "http://127.0.0.1.evil.example/"} {
		if _, err := session.NewJWKS(session.JWKSConfig{URL: address, Now: time.Now, Log: log}); err == nil {
			t.Errorf("a key set at %s was accepted", address)
		}
		if _, err := session.NewOIDC(session.OIDCConfig{Issuer: address, Now: time.Now, Log: log}); err == nil {
			t.Errorf("an issuer at %s was accepted", address)
		}
	}
}

func TestADiscoveryDocumentThatWillNotDoIsSaid(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*provider)
		says   string
	}{
		"of another issuer":           {func(p *provider) { p.issuer = "https://evil.example" }, "names another issuer"},
		"of one with a slash more":    {func(p *provider) { p.issuer += "/" }, "names another issuer"},
		"that is no JSON":             {func(p *provider) { p.discovery = "<html>" }, "cannot be had"},
		"that is enormous":            {func(p *provider) { p.discovery = `{"x":"` + strings.Repeat("x", 600<<10) + `"}` }, "cannot be had"},
		"that names no key set":       {func(p *provider) { p.discovery = `{"issuer":"` + p.issuer + `"}` }, "key set"},
		"with keys that come openly":  {func(p *provider) { p.discovery = `{"issuer":"` + p.issuer + `","jwks_uri":"http://keys.example"}` }, "not https"},
		"with an address of no text":  {func(p *provider) { p.discovery = `{"issuer":"` + p.issuer + `","jwks_uri":7}` }, "cannot be had"},
		"with keys in a file of ours": {func(p *provider) { p.discovery = `{"issuer":"` + p.issuer + `","jwks_uri":"file:///etc/passwd"}` }, "key set"},
	} {
		p := newProvider(t)
		p.publishes(jwk(keyPairs(t)["ES256"], "k"))
		p.answer(tt.change)
		s, err := session.NewOIDC(session.OIDCConfig{Issuer: p.URL, Now: p.now, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		eventually(t, name, func() bool { return s.Status().LastError != "" })
		if status := s.Status(); status.Usable || !strings.Contains(status.LastError, tt.says) {
			t.Errorf("a document %s: %+v, want %q", name, status, tt.says)
		}
		if p.fetches.Load() != 0 {
			t.Errorf("a document %s: the key set was asked for", name)
		}
	}
}
