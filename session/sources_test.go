package session_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farebox/session"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func pemFile(t *testing.T, blocks ...*pem.Block) string {
	t.Helper()
	var out bytes.Buffer
	for _, block := range blocks {
		if err := pem.Encode(&out, block); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "keys.pem")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func publicBlock(t *testing.T, public any) *pem.Block {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return &pem.Block{Type: "PUBLIC KEY", Bytes: der}
}

func TestAPEMFileVerifiesEveryAlgorithmOfItsKeysAndNoOther(t *testing.T) {
	t.Parallel()
	pairs, others := keyPairs(t), keyPairs(t)
	for alg, pair := range pairs {
		keys, err := session.NewPEMFile(pemFile(t, publicBlock(t, pair.public)))
		if err != nil {
			t.Fatal(err)
		}
		v := verifier(t, keys)
		if _, err := v.Verify(t.Context(), sign(t, pair.method, pair.private, nil, claims(nil))); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		if _, err := v.Verify(t.Context(), sign(t, pair.method, others[alg].private, nil, claims(nil))); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("%s by another key: %v", alg, err)
		}
		// The public key as a shared secret: the classic confusion.
		for _, asSecret := range [][]byte{publicBlock(t, pair.public).Bytes, pem.EncodeToMemory(publicBlock(t, pair.public))} {
			if _, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodHS256, asSecret, nil, claims(nil))); !errors.Is(err, session.ErrInvalid) {
				t.Errorf("%s: the public key was taken as a secret: %v", alg, err)
			}
		}
		if !keys.Status().Usable {
			t.Errorf("%s: not usable", alg)
		}
	}
	keys, err := session.NewPEMFile(pemFile(t, publicBlock(t, pairs["RS256"].public), publicBlock(t, pairs["ES256"].public), publicBlock(t, pairs["EdDSA"].public)))
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, keys)
	for _, alg := range []string{"RS256", "PS512", "ES256", "EdDSA"} {
		if _, err := v.Verify(t.Context(), sign(t, pairs[alg].method, pairs[alg].private, map[string]any{"kid": "any"}, claims(nil))); err != nil {
			t.Errorf("%s of several keys: %v", alg, err)
		}
	}
}

func TestAPEMFileThatWillNotDo(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	odd, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ path, says string }{
		"a private key":     {pemFile(t, publicBlock(t, &key.PublicKey), &pem.Block{Type: "PRIVATE KEY", Bytes: private}), "private key"},
		"a weak key":        {pemFile(t, publicBlock(t, &weak.PublicKey)), "2048"},
		"an odd curve":      {pemFile(t, publicBlock(t, &odd.PublicKey)), "P-256"},
		"a malformed block": {pemFile(t, &pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}), "malformed"},
		"another block":     {pemFile(t, &pem.Block{Type: "X509 CRL", Bytes: []byte("x")}), "no public key"},
		"nothing":           {pemFile(t), "PEM"},
		"no file":           {"/nonexistent/keys.pem", "cannot be read"},
	} {
		if _, err := session.NewPEMFile(tt.path); err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), tt.path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// provider is an issuer on a real socket whose answers the test sets.
type provider struct {
	*httptest.Server
	mu      sync.Mutex
	set     any    // answered as the JWKS
	raw     string // answered instead, where not ""
	status  int
	hang    chan struct{}
	issuer  string
	fetches atomic.Int32
	clock   atomic.Int64 // seconds that the clock is ahead
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{status: 200}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"issuer":"`+p.issuer+`","jwks_uri":"`+p.URL+`/jwks","authorization_endpoint":"`+p.URL+`/a","token_endpoint":"`+p.URL+`/t"}`)
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, r *http.Request) {
		p.fetches.Add(1)
		p.mu.Lock()
		set, raw, status, hang := p.set, p.raw, p.status, p.hang
		p.mu.Unlock()
		if hang != nil {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		if raw == "" {
			raw = mustJSON(t, set)
		}
		_, _ = io.WriteString(w, raw)
	})
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
	p.Server = httptest.NewServer(mux)
	p.issuer = p.URL
	t.Cleanup(p.Server.Close)
	return p
}

func (p *provider) answer(f func(*provider)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

func (p *provider) publishes(keys ...jose.JSONWebKey) {
	p.answer(func(p *provider) { p.set, p.raw, p.status = jose.JSONWebKeySet{Keys: keys}, "", 200 })
}

func (p *provider) now() time.Time { return now.Add(time.Duration(p.clock.Load()) * time.Second) }

// jwks is a source that loads the provider's set.
func (p *provider) jwks(t *testing.T) *session.JWKS {
	t.Helper()
	s, err := session.NewJWKS(session.JWKSConfig{URL: p.URL + "/jwks", Now: p.now, Log: slog.New(slog.DiscardHandler), Refresh: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func loaded(t *testing.T, s *session.JWKS) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !s.Status().Usable; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never loaded: %+v", s.Status())
		}
	}
}

func jwk(pair keyPair, kid string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: pair.public, KeyID: kid, Algorithm: pair.method.Alg(), Use: "sig"}
}

func signKid(t *testing.T, pair keyPair, kid string) string {
	t.Helper()
	header := map[string]any{"kid": kid}
	if kid == "" {
		header["kid"] = nil
	}
	return sign(t, pair.method, pair.private, header, claims(nil))
}

func TestAKeySetVerifiesEveryAlgorithm(t *testing.T) {
	t.Parallel()
	p, pairs := newProvider(t), keyPairs(t)
	var keys []jose.JSONWebKey
	for alg, pair := range pairs {
		keys = append(keys, jwk(pair, alg))
	}
	p.publishes(keys...)
	s := p.jwks(t)
	loaded(t, s)
	v := verifier(t, s)
	for alg, pair := range pairs {
		if _, err := v.Verify(t.Context(), signKid(t, pair, alg)); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		if _, err := v.Verify(t.Context(), signKid(t, pair, "")); err != nil {
			t.Errorf("%s without kid, the only key that fits: %v", alg, err)
		}
	}
	// One algorithm a key, where the key says so.
	if _, err := v.Verify(t.Context(), signKid(t, pairs["RS512"], "RS256")); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("RS512 under the key for RS256: %v", err)
	}
}

func TestKeysThatAreNotForThisAreLeftOut(t *testing.T) {
	t.Parallel()
	pairs := keyPairs(t)
	good := mustJSON(t, jwk(pairs["ES256"], "good"))
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
		"of an unknown kind":    `{"kty":"XX","kid":"odd"}`,
		"that is no object":     `7`,
	} {
		p := newProvider(t)
		p.answer(func(p *provider) { p.raw = `{"keys":[` + key + `,` + good + `]}` })
		s := p.jwks(t)
		loaded(t, s)
		v := verifier(t, s)
		if _, err := v.Verify(t.Context(), signKid(t, pairs["ES256"], "odd")); !errors.Is(err, session.ErrInvalid) {
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
	p.publishes(jwk(a["ES256"], "a"), jwk(b["ES256"], "b"))
	s := p.jwks(t)
	loaded(t, s)
	if _, err := verifier(t, s).Verify(t.Context(), signKid(t, a["ES256"], "")); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("error = %v", err)
	}
}

func TestARotatedKeyIsFoundAndAFloodOfUnknownOnesCostsOneFetch(t *testing.T) {
	t.Parallel()
	p, old, young := newProvider(t), keyPairs(t), keyPairs(t)
	p.publishes(jwk(old["ES256"], "old"))
	s := p.jwks(t)
	loaded(t, s)
	v := verifier(t, s)
	before := p.fetches.Load()
	var group sync.WaitGroup
	for i := range 200 {
		group.Go(func() {
			if _, err := v.Verify(t.Context(), signKid(t, old["ES256"], "invented"+string(rune('a'+i%26)))); !errors.Is(err, session.ErrInvalid) {
				t.Errorf("error = %v", err)
			}
		})
	}
	group.Wait()
	if n := p.fetches.Load() - before; n != 0 {
		t.Errorf("%d fetches within the cool-down", n)
	}
	p.publishes(jwk(old["ES256"], "old"), jwk(young["ES256"], "young"))
	p.clock.Store(2)
	for range 50 {
		group.Go(func() {
			if _, err := v.Verify(t.Context(), signKid(t, young["ES256"], "young")); err != nil {
				t.Errorf("the young key: %v", err)
			}
		})
	}
	group.Wait()
	if n := p.fetches.Load() - before; n != 1 {
		t.Errorf("%d fetches for one rotation", n)
	}
	// A key that is taken away is gone with the next load.
	p.publishes(jwk(young["ES256"], "young"))
	p.clock.Store(4)
	_, _ = v.Verify(t.Context(), signKid(t, old["ES256"], "unknown"))
	if _, err := v.Verify(t.Context(), signKid(t, old["ES256"], "old")); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("a removed key: %v", err)
	}
}

func TestTheLastGoodSetServesWhileTheHostIsBroken(t *testing.T) {
	t.Parallel()
	p, pairs := newProvider(t), keyPairs(t)
	p.publishes(jwk(pairs["ES256"], "k"))
	s := p.jwks(t)
	loaded(t, s)
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
		if _, err := v.Verify(t.Context(), signKid(t, pairs["ES256"], "unknown")); !errors.Is(err, session.ErrKeysUnavailable) {
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
	if _, err := v.Verify(ctx, signKid(t, pairs["ES256"], "k")); !errors.Is(err, session.ErrKeysUnavailable) || ctx.Err() != nil {
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
