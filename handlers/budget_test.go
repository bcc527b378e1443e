//go:build !race

package handlers_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"farebox/handlers"
	"farebox/internal/dispenser"
	"farebox/internal/health"
	"farebox/internal/identity"
	"farebox/internal/limit"
	"farebox/internal/policy"
	"farebox/internal/secret"
	"farebox/internal/telemetry"
	"farebox/session"
	vendorclient "farebox/vendor_client"

	"github.com/golang-jwt/jwt/v5"
)

// answerTo is a response that is thrown away.
type answerTo struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answerTo) Header() http.Header         { return a.header }
func (a *answerTo) WriteHeader(status int)      { a.status = status }
func (a *answerTo) Write(p []byte) (int, error) { return a.body.Write(p) }

// es256 is a key in a file, and a session that it signed.
func es256(t testing.TB) (file, raw string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	raw, err = jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": "https://issuer.example", "aud": "app", "sub": "user", "sid": "session", "scope": "speech",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return file, raw
}

// atTheEdge answers one request for a token, with a session that is known, all
// middleware, the audit and the log, and a dispenser that costs nothing.
func atTheEdge(t testing.TB) func() {
	file, raw := es256(t)
	log := slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn}))
	keys, err := session.NewPEM(session.PEMConfig{Path: file, Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	verifier, err := session.NewVerifier(session.Config{
		Issuer: "https://issuer.example", Audiences: []string{"app"}, MaxLifetime: 24 * time.Hour, Keys: keys, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	hasher, err := identity.NewHasher([]secret.Text{secret.New("a secret of the deployment, of more than 32 bytes")})
	if err != nil {
		t.Fatal(err)
	}
	states := []limit.State{
		{Name: limit.PerUser, Quota: 10, Window: time.Minute, Remaining: 9, Reset: 6 * time.Second},
		{Name: limit.PerUserDaily, Quota: 200, Window: 24 * time.Hour, Remaining: 199, Reset: time.Hour},
		{Name: limit.Global, Quota: 50, Window: time.Second, Remaining: 49, Reset: time.Millisecond},
	}
	handler, err := handlers.New(handlers.Config{
		Verifier: verifier, Policy: policy.Default("realtime_scribe"), Hasher: hasher, Agents: &vendor{},
		Dispenser: grants{dispenser.Grant{
			Token: secret.New("sutkn_0123456789abcdef0123456789abcdef"), Type: vendorclient.RealtimeScribe, Source: dispenser.SourcePool,
			ExpiresAt: time.Now().Add(14 * time.Minute), Limits: states,
		}},
		Audit: telemetry.NewAudit(io.Discard), Board: health.NewBoard(time.Now, log),
		Addresses: func(*http.Request) (string, string) {
			return "https://vendor.example", "wss://vendor.example"
		},
		RequestTimeout: 10 * time.Second, Now: time.Now, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPost, scribePath, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.RemoteAddr, request.Host, request.RequestURI = "192.0.2.1:1234", "voice.example.com", scribePath
	request.Header.Set("Authorization", "Bearer "+raw)
	answer := &answerTo{header: http.Header{}}
	return func() {
		clear(answer.header)
		answer.body.Reset()
		handler.ServeHTTP(answer, request)
		if answer.status != http.StatusOK {
			t.Fatal(answer.status, answer.body.String())
		}
	}
}

func BenchmarkToken(b *testing.B) {
	serve := atTheEdge(b)
	b.ReportAllocs()
	for b.Loop() {
		serve()
	}
}

// It bounds what a request costs beside the dispenser, on every machine alike:
// whoever needs more has to say so here.
func TestAnsweringATokenKeepsItsBudget(t *testing.T) {
	const most = 8
	serve := atTheEdge(t)
	serve()
	if got := testing.AllocsPerRun(200, serve); got > most {
		t.Errorf("%v allocations, and %d are allowed", got, most)
	}
}
