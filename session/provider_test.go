package session_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farebox/session"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// provider is an issuer whose answers the test sets, on a real socket unless it is
// inMemory.
type provider struct {
	*httptest.Server
	transport http.RoundTripper // nil for the socket

	mu     sync.Mutex
	set    any    // answered as the JWKS
	raw    string // answered instead, where not ""
	status int
	hang   chan struct{}
	issuer string
	// discovery is answered instead of the document, where not "".
	discovery string
	keysAt    string // the JWKS' path
	fetches   atomic.Int32
	clock     atomic.Int64 // seconds that the clock is ahead
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{status: 200, keysAt: "/jwks"}
	p.Server = httptest.NewServer(p.handler(t))
	p.issuer = p.URL
	t.Cleanup(p.Server.Close)
	return p
}

// inMemory is a provider that is asked without a socket, for tests whose time is
// synctest's.
func inMemory(t *testing.T) *provider {
	t.Helper()
	p := &provider{Server: &httptest.Server{URL: "https://issuer.example"}, status: 200, keysAt: "/jwks"}
	handler := p.handler(t)
	p.transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Result(), nil
	})
	return p
}

func (p *provider) handler(t *testing.T) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if p.discovery != "" {
			_, _ = io.WriteString(w, p.discovery)
			return
		}
		_, _ = io.WriteString(w, `{"issuer":"`+p.issuer+`","jwks_uri":"`+p.URL+p.keysAt+`","authorization_endpoint":"`+p.URL+`/a","token_endpoint":"`+p.URL+`/t"}`)
	})
	keys := func(w http.ResponseWriter, r *http.Request) {
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
	}
	mux.HandleFunc("/jwks", keys)
	mux.HandleFunc("/moved", keys)
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
	return mux
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

// jwks is a source that loads the provider's set; of itself only once, unless
// amended.
func (p *provider) jwks(t *testing.T, amend ...func(*session.JWKSConfig)) *session.JWKS {
	t.Helper()
	cfg := session.JWKSConfig{URL: p.URL + "/jwks", Transport: p.transport, Now: p.now, Log: slog.New(slog.DiscardHandler), Refresh: time.Hour}
	for _, f := range amend {
		f(&cfg)
	}
	s, err := session.NewJWKS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// serves is a source that has loaded these keys.
func (p *provider) serves(t *testing.T, keys ...jose.JSONWebKey) *session.JWKS {
	t.Helper()
	p.publishes(keys...)
	s := p.jwks(t)
	loaded(t, s)
	return s
}

// oidc is a source that finds the provider's set by discovery.
func (p *provider) oidc(t *testing.T) *session.JWKS {
	t.Helper()
	s, err := session.NewOIDC(session.OIDCConfig{Issuer: p.URL, Now: p.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func loaded(t *testing.T, s *session.JWKS) {
	t.Helper()
	eventually(t, "the set is loaded", func() bool { return s.Status().Usable })
}

// decided is what v says of raw once it has the keys to tell. A busy machine's
// load may take longer than one call waits for it.
func decided(t *testing.T, v *session.Verifier, raw string) (err error) {
	t.Helper()
	eventually(t, "the keys for the session are known", func() bool {
		_, err = v.Verify(t.Context(), raw)
		return !errors.Is(err, session.ErrKeysPending)
	})
	return err
}

// eventually waits for what another goroutine brings about.
func eventually(t *testing.T, what string, there func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !there(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
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
