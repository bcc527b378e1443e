package session_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"farebox/session"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

func TestAKeySetVerifiesEveryAlgorithm(t *testing.T) {
	t.Parallel()
	p, pairs := newProvider(t), keyPairs(t)
	var keys []jose.JSONWebKey
	for alg, pair := range pairs {
		keys = append(keys, jwk(pair, alg))
	}
	v := verifier(t, p.serves(t, keys...))
	for alg, pair := range pairs {
		if _, err := v.Verify(t.Context(), signKid(t, pair, alg)); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		if _, err := v.Verify(t.Context(), signKid(t, pair, "")); err != nil {
			t.Errorf("%s without kid, the only key that fits: %v", alg, err)
		}
	}
	// One algorithm a key, where the key says so.
	if err := decided(t, v, signKid(t, pairs["RS512"], "RS256")); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("RS512 under the key for RS256: %v", err)
	}
}

func TestKeysThatAreNotForThisAreLeftOut(t *testing.T) {
	t.Parallel()
	pairs := keyPairs(t)
	good := mustJSON(t, jwk(pairs["ES256"], "good"))
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	with := func(kid string, change ...string) string {
		text := strings.Replace(good, `"good"`, `"`+kid+`"`, 1)
		for i := 0; i < len(change); i += 2 {
			text = strings.Replace(text, change[i], change[i+1], 1)
		}
		return text
	}
	for name, key := range map[string]string{
		"for encryption":        with("odd", `"sig"`, `"enc"`),
		"whose key_ops sign":    with("odd", `"use"`, `"key_ops":["sign"],"use"`),
		"of another algorithm":  with("odd", `"ES256"`, `"ES384"`),
		"of an unknown one":     with("odd", `"ES256"`, `"XX"`),
		"with its private part": with("odd", `"use"`, `"d":"AAAA","use"`),
		"off its curve":         with("odd", `"x":"`, `"x":"AAAA`),
		"symmetric":             `{"kty":"oct","kid":"odd","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","alg":"HS256"}`,
		"with its primes":       with("odd", `"use"`, `"p":"AAAA","use"`),
		"that is too weak":      mustJSON(t, jose.JSONWebKey{Key: &weak.PublicKey, KeyID: "odd", Use: "sig"}),
		"of an unknown kind":    `{"kty":"XX","kid":"odd"}`,
		"that is no object":     `7`,
	} {
		p := newProvider(t)
		p.answer(func(p *provider) { p.raw = `{"keys":[` + key + `,` + good + `]}` })
		s := p.jwks(t)
		loaded(t, s)
		v := verifier(t, s)
		raw := signKid(t, pairs["ES256"], "odd")
		if name == "that is too weak" {
			raw = signKid(t, keyPair{jwt.SigningMethodRS256, weak, nil}, "odd")
		}
		if err := decided(t, v, raw); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("a key %s was used: %v", name, err)
		}
		if _, err := v.Verify(t.Context(), signKid(t, pairs["ES256"], "good")); err != nil {
			t.Errorf("a key %s spoils the others: %v", name, err)
		}
	}
}

func TestATokenWithoutKidNeedsASingleKeyThatFits(t *testing.T) {
	t.Parallel()
	p, a, b := newProvider(t), keyPairs(t), keyPairs(t)
	s := p.serves(t, jwk(a["ES256"], "a"), jwk(b["ES256"], "b"))
	if err := decided(t, verifier(t, s), signKid(t, a["ES256"], "")); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("error = %v", err)
	}
}

func TestTheLastGoodSetServesWhileTheHostIsBroken(t *testing.T) {
	t.Parallel()
	p, pairs := newProvider(t), keyPairs(t)
	s := p.serves(t, jwk(pairs["ES256"], "k"))
	v := verifier(t, s)
	broken := map[string]func(*provider){
		"an error":        func(p *provider) { p.status = 500 },
		"a redirect":      func(p *provider) { p.status = 302 },
		"no JSON":         func(p *provider) { p.raw = "<html>" },
		"no usable key":   func(p *provider) { p.raw = `{"keys":[]}` },
		"an enormous set": func(p *provider) { p.raw = `{"keys":[],"x":"` + strings.Repeat("x", 600<<10) + `"}` },
	}
	at := int64(0)
	for name, f := range broken {
		p.publishes(jwk(pairs["ES256"], "k"))
		p.answer(f)
		at += 2
		p.clock.Store(at)
		// An unknown kid has it load, and cannot be judged.
		if err := decided(t, v, signKid(t, pairs["ES256"], "unknown")); !errors.Is(err, session.ErrKeysUnavailable) {
			t.Errorf("%s: an unknown kid: %v", name, err)
		}
		if _, err := v.Verify(t.Context(), signKid(t, pairs["ES256"], "k")); err != nil {
			t.Errorf("%s: the last good set does not serve: %v", name, err)
		}
		if status := s.Status(); !status.Usable || status.LastError == "" {
			t.Errorf("%s: status = %+v", name, status)
		}
	}
	p.clock.Store(25 * 3600)
	if s.Status().Usable {
		t.Error("a set of yesterday is still usable")
	}
}

func TestAHostThatHangsDoesNotHoldRequestsUp(t *testing.T) {
	t.Parallel()
	p, pairs := newProvider(t), keyPairs(t)
	hang := make(chan struct{})
	p.answer(func(p *provider) { p.hang = hang })
	p.set = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk(pairs["ES256"], "k")}}
	s := p.jwks(t)
	v := verifier(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	// It is the caller's wait that ends, not yet the load.
	if _, err := v.Verify(ctx, signKid(t, pairs["ES256"], "k")); !errors.Is(err, session.ErrKeysUnavailable) || !strings.Contains(err.Error(), "takes too long") {
		t.Errorf("error = %v", err)
	}
	if s.Status().Usable {
		t.Error("usable without ever having loaded")
	}
	close(hang)
	loaded(t, s)
	if _, err := v.Verify(t.Context(), signKid(t, pairs["ES256"], "k")); err != nil {
		t.Errorf("once it answers: %v", err)
	}
}

func TestAKeyOfTheWrongCurveForItsAlgIsNotUsed(t *testing.T) {
	t.Parallel()
	p, pair := newProvider(t), keyPairs(t)["ES256"]
	odd := jwk(pair, "odd")
	odd.Algorithm = "ES384"
	s := p.serves(t, odd, jwk(keyPairs(t)["ES256"], "good"))
	// golang-jwt signs no such token, but verifies it.
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodES384, claims(nil)).SigningString()
	if err != nil {
		t.Fatal(err)
	}
	unsigned = strings.Replace(unsigned, strings.Split(unsigned, ".")[0], base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES384","kid":"odd"}`)), 1)
	digest := sha512.Sum384([]byte(unsigned))
	r, z, err := ecdsa.Sign(rand.Reader, pair.private.(*ecdsa.PrivateKey), digest[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := append(r.FillBytes(make([]byte, 48)), z.FillBytes(make([]byte, 48))...)
	if err := jwt.SigningMethodES384.Verify(unsigned, signature, pair.public); err != nil {
		t.Fatalf("the token is no threat: %v", err)
	}
	raw := unsigned + "." + base64.RawURLEncoding.EncodeToString(signature)
	if err := decided(t, verifier(t, s), raw); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("error = %v", err)
	}
}

func TestATokenNeverCostsMoreSignaturesThanAFewKeys(t *testing.T) {
	t.Parallel()
	p, pair := newProvider(t), keyPairs(t)["ES256"]
	for n, want := range map[int]error{16: nil, 17: session.ErrInvalid} {
		s := p.serves(t, slices.Repeat([]jose.JSONWebKey{jwk(pair, "k")}, n)...)
		if err := decided(t, verifier(t, s), signKid(t, pair, "k")); !errors.Is(err, want) {
			t.Errorf("%d keys of one kid: %v", n, err)
		}
	}
}
