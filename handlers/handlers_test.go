package handlers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"farebox/handlers"
	"farebox/internal/config"
	"farebox/internal/dispenser"
	"farebox/internal/health"
	"farebox/internal/identity"
	"farebox/internal/policy"
	"farebox/internal/redisconn"
	"farebox/internal/revocation"
	"farebox/internal/secret"
	"farebox/internal/shard"
	"farebox/internal/telemetry"
	"farebox/session"
	vendorclient "farebox/vendor_client"

	"github.com/golang-jwt/jwt/v5"
)

const sessionKey = "a session key of more than 32 bytes, for tests"

// vendor is a fake: what it answers is set by the test.
type vendor struct {
	mu    sync.Mutex
	calls int
	asked []string // of what calls for agents were asked
	err   error
	gate  chan struct{}
	panic bool
}

func (v *vendor) Mint(ctx context.Context, t vendorclient.TokenType) (vendorclient.Token, error) {
	v.mu.Lock()
	v.calls++
	call, err, gate, panics := v.calls, v.err, v.gate, v.panic
	v.mu.Unlock()
	if panics {
		panic("the vendor's fake panics")
	}
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return vendorclient.Token{}, ctx.Err()
		}
	}
	return vendorclient.Token{Value: secret.New(fmt.Sprintf("sutkn_%d", call)), Type: t, RequestedAt: time.Now()}, err
}

func (v *vendor) SignedURL(ctx context.Context, agentID string) (vendorclient.Credential, error) {
	return v.forAgent(ctx, "wss://vendor.example/v1/convai/conversation?conversation_signature=", "", "signed_url "+agentID)
}

func (v *vendor) ConversationToken(ctx context.Context, agentID, participant string) (vendorclient.Credential, error) {
	return v.forAgent(ctx, "conversation_", "conv_1", "token "+agentID+" "+participant)
}

func (v *vendor) forAgent(ctx context.Context, before, conversationID, asked string) (vendorclient.Credential, error) {
	v.mu.Lock()
	v.asked = append(v.asked, asked)
	v.mu.Unlock()
	token, err := v.Mint(ctx, "")
	if err != nil {
		return vendorclient.Credential{}, err
	}
	return vendorclient.Credential{
		Value: secret.New(before + token.Value.Reveal()), ConversationID: conversationID, RequestedAt: token.RequestedAt,
	}, nil
}

func (v *vendor) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls
}

// audit keeps what was recorded.
type audit struct {
	mu      sync.Mutex
	entries []telemetry.Entry
}

func (a *audit) Record(_ context.Context, e telemetry.Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entries = append(a.entries, e)
}

func (a *audit) last(t *testing.T) telemetry.Entry {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.entries) == 0 {
		t.Fatal("nothing was recorded")
	}
	return a.entries[len(a.entries)-1]
}

// service is the public handler on a real socket, with real parts behind it
// save the vendor.
type service struct {
	*httptest.Server
	handler     http.Handler
	vendor      *vendor
	audit       *audit
	board       *health.Board
	revocations *revocation.List
	log         *strings.Builder
	logMu       *sync.Mutex
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// nobody keeps no record.
type nobody struct{}

func (nobody) Record(context.Context, telemetry.Entry) {}

func start(t *testing.T, amend ...func(*handlers.Config)) *service {
	t.Helper()
	s := &service{vendor: &vendor{}, audit: &audit{}, log: &strings.Builder{}, logMu: &sync.Mutex{}}
	log := slog.New(slog.NewTextHandler(lockedWriter{s.logMu, s.log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.board = health.NewBoard(time.Now, log)
	secrets := []secret.Text{secret.New("a deployment secret of more than 32 bytes")}
	hasher, err := identity.NewHasher(secrets)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := redisconn.Open(redisconn.Config{Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	shards, err := shard.New(shard.Config{
		// These machines may be busy; what a slow Redis means is tested where it is decided.
		Redis: conn, Prefix: "test", Timeout: 10 * time.Second, State: s.board.Lamp("redis", false), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.revocations, err = revocation.New(revocation.Config{
		Shards: shards, Hasher: hasher, Lifetime: 24 * time.Hour, FixedOwner: strings.Repeat("x", shard.OwnerSize), Now: time.Now, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := vendorclient.NewRing(vendorclient.RingConfig{
		Keys: []secret.Text{secret.New("an-API-key")}, Host: "vendor.example", Now: time.Now, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	dispense, err := dispenser.New(dispenser.Config{
		Vendor: s.vendor, VendorHost: "vendor.example", Keys: ring, Shards: shards, Revocations: s.revocations, Secrets: secrets, Hasher: hasher,
		TokenLifetime: 15 * time.Minute, ReplayWindow: time.Minute, RequestTimeout: 10 * time.Second, MintTimeout: 5 * time.Second,
		VendorState: s.board.Lamp("vendor", false), Now: time.Now, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := session.NewHS256(secret.New(sessionKey))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := session.NewVerifier(session.Config{
		Issuer: "https://issuer.example", Audiences: []string{"farebox"}, Leeway: 5 * time.Second, MaxLifetime: 24 * time.Hour,
		Keys: keys, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := handlers.Config{
		Verifier: verifier, Policy: policy.Default("realtime_scribe", "batch_scribe", "tts_websocket"),
		Dispenser: dispense, Agents: s.vendor, Hasher: hasher, Audit: s.audit, Board: s.board, Cookie: "session", Header: "X-Session",
		Origins:        origins(t, "https://app.example.com,https://*.preview.example.com"),
		Addresses:      func(*http.Request) (string, string) { return "https://vendor.example", "wss://vendor.example" },
		RequestTimeout: 10 * time.Second, Now: time.Now, Log: log,
	}
	for _, f := range amend {
		f(&cfg)
	}
	if s.handler, err = handlers.New(cfg); err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(described(t, s.handler))
	t.Cleanup(s.Server.Close)
	return s
}

func origins(t testing.TB, list string) []handlers.Origin {
	t.Helper()
	c, err := config.Load([]string{"FAREBOX_ALLOWED_ORIGINS=" + list}, config.Dev)
	if err != nil {
		t.Fatal(err)
	}
	var all []handlers.Origin
	for _, o := range c.Web.AllowedOrigins {
		all = append(all, o)
	}
	return all
}

// sign makes a session; claims win over what is good.
func sign(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	all := jwt.MapClaims{
		"iss": "https://issuer.example", "aud": "farebox", "sub": "ada",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	for name, value := range claims {
		all[name] = value
	}
	raw, err := jwt.NewWithClaims(jwt.SigningMethodHS256, all).SignedString([]byte(sessionKey))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

const scribePath = "/v1/single-use-token/realtime_scribe"

// call is one request; a header with an empty value is left out.
type call struct {
	method, path string
	header       http.Header
	body         string
	host         string
}

type answer struct {
	*http.Response
	raw  string
	body map[string]any
}

func (s *service) do(t *testing.T, c call) answer {
	t.Helper()
	if c.method == "" {
		c.method = http.MethodPost
	}
	if c.path == "" {
		c.path = scribePath
	}
	r, err := http.NewRequestWithContext(t.Context(), c.method, s.URL+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range c.header {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	if c.host != "" {
		r.Host = c.host
	}
	response, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{Response: response, raw: string(data), body: map[string]any{}}
	if len(data) > 0 && strings.Contains(response.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(data, &a.body); err != nil {
			t.Fatalf("no JSON: %s", data)
		}
	}
	return a
}

func bearer(raw string) http.Header { return http.Header{"Authorization": {"Bearer " + raw}} }

func with(h http.Header, pairs ...string) http.Header {
	h = h.Clone()
	if h == nil {
		h = http.Header{}
	}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// wantProblem checks that a is the problem of this code, whole and right.
func wantProblem(t *testing.T, a answer, status int, code string) {
	t.Helper()
	if a.StatusCode != status || a.body["code"] != code {
		t.Errorf("answer = %d %v, want %d %s", a.StatusCode, a.body["code"], status, code)
		return
	}
	if got := a.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type = %q", got)
	}
	if a.body["status"] != float64(status) || a.body["request_id"] != a.Header.Get("X-Request-Id") || a.body["request_id"] == "" {
		t.Errorf("body = %v, X-Request-Id %q", a.body, a.Header.Get("X-Request-Id"))
	}
	for _, member := range []string{"type", "title", "detail"} {
		if text, _ := a.body[member].(string); text == "" {
			t.Errorf("%s is missing", member)
		}
	}
	if _, err := url.Parse(a.body["type"].(string)); err != nil {
		t.Errorf("type: %v", err)
	}
	switch wait := a.Header.Get("Retry-After"); {
	case status == 409 || status == 429 || status == 503:
		if wait == "" {
			t.Error("no Retry-After")
		}
	case wait != "":
		t.Errorf("Retry-After = %q", wait)
	}
	if challenge := a.Header.Get("WWW-Authenticate"); (status == 401) != (challenge != "") && code != "token_type_not_allowed" && code != "agent_not_allowed" {
		t.Errorf("WWW-Authenticate = %q", challenge)
	}
	if got := a.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q", got)
	}
}
