package session_test

import (
	"errors"
	"log/slog"
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
