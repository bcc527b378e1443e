//go:build real

package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"farebox/internal/testredis"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

const testIssuer = "https://issuer.example"

// house is what serve needs around it: a sandbox vendor as a process, a real
// Redis, and a key that signs sessions.
type house struct {
	t        *testing.T
	sandbox  string
	redis    *testredis.Server
	redisURL string
	key      *ecdsa.PrivateKey
	pem      string
}

func build(t *testing.T) *house {
	t.Helper()
	p := start(t, []string{"sandbox"}, "FAREBOX_SANDBOX_LISTEN=127.0.0.1:0")
	redis := startRedis(t)
	h := newHouse(t, p.printed(`answers at (http://127\.0\.0\.1:\d+)`), redis.URL)
	h.redis = redis
	return h
}

// newHouse is a house with another vendor and Redis.
func newHouse(t *testing.T, vendor, redisURL string) *house {
	t.Helper()
	h := &house{t: t, sandbox: vendor, redisURL: redisURL}
	var err error
	if h.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&h.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	h.pem = filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(h.pem, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

// replica is one serve process.
type replica struct {
	*process
	url, ops string
}

const testAPIKey = "canary-api-key-of-the-vendor"

func (h *house) serve(env ...string) *replica {
	h.t.Helper()
	settings := map[string]string{
		"FAREBOX_LISTEN": "127.0.0.1:0", "FAREBOX_OPS_LISTEN": "127.0.0.1:0",
		"ELEVENLABS_API_KEY": testAPIKey, "ELEVENLABS_BASE_URL": h.sandbox, "REDIS_URL": h.redisURL,
		"FAREBOX_SECRET": deploymentSecret, "FAREBOX_SESSION_ISSUER": testIssuer, "FAREBOX_SESSION_AUDIENCE": "farebox",
		"FAREBOX_SESSION_PUBLIC_KEY_FILE": h.pem, "FAREBOX_LOG_LEVEL": "debug",
		// What is counted here is what requests cause; pool_test.go has the pool.
		"FAREBOX_POOL_MAX": "0",
	}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		settings[name] = value
	}
	var all []string
	for name, value := range settings {
		if value != "" {
			all = append(all, name+"="+value)
		}
	}
	r := &replica{process: start(h.t, []string{"serve"}, all...)}
	r.url = "http://" + r.printed(`"msg":"farebox serves","address":"([^"]+)"`)
	r.ops = "http://" + r.printed(`"operators":"([^"]+)"`)
	return r
}

// session signs a session; claims win over what is good.
func (h *house) session(sub string, more jwt.MapClaims) string {
	h.t.Helper()
	claims := jwt.MapClaims{
		"iss": testIssuer, "aud": "farebox", "sub": sub,
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	for name, value := range more {
		claims[name] = value
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["kid"] = "k1"
	raw, err := token.SignedString(h.key)
	if err != nil {
		h.t.Fatal(err)
	}
	return raw
}

// inject has the sandbox do something wrong.
func (h *house) inject(fault string) {
	h.t.Helper()
	if a := do(h.t, http.MethodPost, h.sandbox+"/_sandbox/faults", nil, fault); a.status != 204 {
		h.t.Fatalf("inject: %d %s", a.status, a.raw)
	}
}

// mints is how many mint calls the sandbox has recorded.
func (h *house) mints() int {
	h.t.Helper()
	calls := do(h.t, http.MethodGet, h.sandbox+"/_sandbox/calls", nil, "")
	return strings.Count(calls.raw, `"operation":"mint"`)
}

func TestServeWithARealRedisAndAPEMKeyHandsOutATokenThatWorksOnce(t *testing.T) {
	t.Parallel()
	h := build(t)
	r := h.serve()
	for path, parameter := range map[string]string{scribePath: "token", "/v1/single-use-token/batch_scribe": "token", "/v1/single-use-token/tts_websocket": "single_use_token"} {
		a := mint(t, r.url, path, h.session("ada", nil), "")
		if a.status != 200 || a.body["token_parameter"] != parameter || a.body["base_url"] != h.sandbox {
			t.Errorf("%s: %d %s", path, a.status, a.raw)
		}
	}
	wantWorksOnce(t, mint(t, r.url, scribePath, h.session("ada", nil), ""))
	if ready := do(t, http.MethodGet, r.ops+"/readyz", nil, ""); ready.status != 200 || ready.body["status"] != "ready" {
		t.Errorf("readyz = %d %s", ready.status, ready.raw)
	}
	if a := mint(t, r.url, scribePath, h.session("ada", jwt.MapClaims{"aud": "other"}), ""); a.body["code"] != "session_invalid" {
		t.Errorf("another audience: %s", a.raw)
	}
	for _, path := range []string{"/dev/session", "/_sandbox/faults", "/v1/speech-to-text", "/v1/speech-to-text/realtime"} {
		if a := do(t, http.MethodPost, r.url+path, nil, ""); a.status != 404 {
			t.Errorf("serve answers %s with %d", path, a.status)
		}
	}
}

func TestAHundredRequestsOnTwoProcessesUnderOneKeyCostOneVendorCall(t *testing.T) {
	t.Parallel()
	h := build(t)
	replicas := []*replica{h.serve(), h.serve()}
	h.inject(`{"operation":"mint","fault":"delay","delay_ms":300}`)
	session := h.session("ada", nil)
	tokens, replayed := make([]string, 100), make([]string, 100)
	var group sync.WaitGroup
	for i := range tokens {
		group.Go(func() {
			a, err := try(t.Context(), http.MethodPost, replicas[i%2].url+scribePath,
				http.Header{"Authorization": {"Bearer " + session}, "Idempotency-Key": {"attempt"}}, "")
			if err != nil || a.status != 200 {
				t.Errorf("request %d: %v %d %s", i, err, a.status, a.raw)
				return
			}
			tokens[i], _ = a.body["token"].(string)
			replayed[i] = a.header.Get("Idempotent-Replayed")
		})
	}
	group.Wait()
	fresh := 0
	for i := range tokens {
		if tokens[i] == "" || tokens[i] != tokens[0] {
			t.Errorf("request %d has another token", i)
		}
		if replayed[i] == "" {
			fresh++
		}
	}
	if n := h.mints(); n != 1 || fresh != 1 {
		t.Errorf("%d vendor calls, %d answers that are no replay", n, fresh)
	}
}

func TestACallerWhoHangsUpFindsTheTokenOnTheNextTryElsewhere(t *testing.T) {
	t.Parallel()
	h := build(t)
	a, b := h.serve(), h.serve()
	h.inject(`{"operation":"mint","fault":"delay","delay_ms":500}`)
	header := http.Header{"Authorization": {"Bearer " + h.session("ada", nil)}, "Idempotency-Key": {"attempt"}}
	ctx, hangUp := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := try(ctx, http.MethodPost, a.url+scribePath, header, "")
		ended <- err
	}()
	for deadline := time.Now().Add(20 * time.Second); h.mints() == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the vendor is never called")
		}
	}
	hangUp()
	if err := <-ended; err == nil {
		t.Fatal("the caller did not hang up")
	}
	again := do(t, http.MethodPost, b.url+scribePath, header, "")
	if again.status != 200 || again.header.Get("Idempotent-Replayed") != "true" || h.mints() != 1 {
		t.Errorf("%d %s, replayed %q, %d vendor calls", again.status, again.raw, again.header.Get("Idempotent-Replayed"), h.mints())
	}
	wantWorksOnce(t, again)
}

func TestAKilledProcessLosesItsAttemptAndNothingElse(t *testing.T) {
	t.Parallel()
	h := build(t)
	a, b := h.serve(), h.serve("FAREBOX_REQUEST_TIMEOUT=200ms")
	header := http.Header{"Authorization": {"Bearer " + h.session("ada", nil)}, "Idempotency-Key": {"attempt"}}
	h.inject(`{"operation":"mint","fault":"hang","times":1}`)
	go func() { _, _ = try(t.Context(), http.MethodPost, a.url+scribePath, header, "") }()
	for deadline := time.Now().Add(20 * time.Second); h.mints() == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the vendor is never called")
		}
	}
	a.signal(syscall.SIGKILL)
	a.wait()
	// The claim of the dead outlives it, so that no second token is made for
	// the same key while the first may still come.
	if got := do(t, http.MethodPost, b.url+scribePath, header, ""); got.body["code"] != "request_in_progress" || got.header.Get("Retry-After") == "" {
		t.Errorf("the same key: %d %s", got.status, got.raw)
	}
	wantWorksOnce(t, mint(t, b.url, scribePath, h.session("ada", nil), "another"))
}

func TestLimitsHoldAcrossProcesses(t *testing.T) {
	t.Parallel()
	h := build(t)
	replicas := []*replica{h.serve(), h.serve()}
	session := h.session("ada", nil)
	served := 0
	for i := range 14 {
		if a := mint(t, replicas[i%2].url, scribePath, session, ""); a.status == 200 {
			served++
		} else if a.status != 429 || a.body["code"] != "rate_limited" || a.header.Get("Retry-After") == "" || a.header.Get("RateLimit") == "" {
			t.Errorf("request %d: %d %s", i, a.status, a.raw)
		}
	}
	if served != 10 || h.mints() != 10 {
		t.Errorf("%d served and %d minted, want 10 of each", served, h.mints())
	}
}

func TestServeStartsWithEverythingDownAndSaysSo(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.redis.Kill()
	r := h.serve("ELEVENLABS_BASE_URL=http://127.0.0.1:1", "FAREBOX_SESSION_PUBLIC_KEY_FILE=", "FAREBOX_SESSION_JWKS_URL=http://127.0.0.1:1/jwks")
	ready := do(t, http.MethodGet, r.ops+"/readyz", nil, "")
	if ready.status != 503 || ready.body["status"] != "not_ready" {
		t.Errorf("readyz = %d %s", ready.status, ready.raw)
	}
	if a := mint(t, r.url, scribePath, h.session("ada", nil), ""); a.status != 503 || a.body["code"] != "session_keys_unavailable" || a.header.Get("Retry-After") == "" {
		t.Errorf("without keys: %d %s", a.status, a.raw)
	}
	r = h.serve("ELEVENLABS_BASE_URL=http://127.0.0.1:1")
	if a := mint(t, r.url, scribePath, h.session("ada", nil), ""); a.status != 503 || a.body["code"] != "vendor_unavailable" {
		t.Errorf("without vendor: %d %s", a.status, a.raw)
	}
	ready = do(t, http.MethodGet, r.ops+"/readyz", nil, "")
	if ready.status != 200 || ready.body["status"] != "degraded" || strings.Count(ready.raw, `"down"`) != 2 {
		t.Errorf("readyz = %d %s", ready.status, ready.raw)
	}
}

func TestEverySourceOfKeys(t *testing.T) {
	t.Parallel()
	h := build(t)
	mux := http.NewServeMux()
	provider := httptest.NewServer(mux)
	t.Cleanup(provider.Close)
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &h.key.PublicKey, KeyID: "k1", Algorithm: "ES256", Use: "sig"}}}
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) { writeJSON(t, w, set) })
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(t, w, map[string]string{
			"issuer": provider.URL, "jwks_uri": provider.URL + "/jwks",
			"authorization_endpoint": provider.URL + "/authorize", "token_endpoint": provider.URL + "/token",
		})
	})
	const shared = "canary-of-the-sessions-8sJ1nXy5RtB7uWc2LdFh"
	hs256, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": testIssuer, "aud": "farebox", "sub": "ada", "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString([]byte(shared))
	if err != nil {
		t.Fatal(err)
	}
	ofProvider := h.session("ada", jwt.MapClaims{"iss": provider.URL})
	for name, tt := range map[string]struct {
		env     []string
		session string
	}{
		"a JWKS":          {[]string{"FAREBOX_SESSION_JWKS_URL=" + provider.URL + "/jwks"}, h.session("ada", nil)},
		"an OIDC issuer":  {[]string{"FAREBOX_SESSION_ISSUER=" + provider.URL}, ofProvider},
		"a shared secret": {[]string{"FAREBOX_SESSION_HS256_SECRET=" + shared}, hs256},
	} {
		t.Run(name, func(t *testing.T) {
			r := h.serve(append([]string{"FAREBOX_SESSION_PUBLIC_KEY_FILE="}, tt.env...)...)
			if a := mint(t, r.url, scribePath, tt.session, ""); a.status != 200 {
				t.Errorf("%d %s", a.status, a.raw)
			}
			for what, bad := range map[string]string{"tampered with": tt.session[:len(tt.session)-6] + "AAAAAA", "of nobody": "a.b.c"} {
				if a := mint(t, r.url, scribePath, bad, ""); a.body["code"] != "session_invalid" {
					t.Errorf("%s: %s", what, a.raw)
				}
			}
		})
	}
}

// No secret, token or session is in anything that the program prints, whatever
// happens to it.
func TestNothingSecretIsPrintedAtDebugLevel(t *testing.T) {
	t.Parallel()
	h := build(t)
	r := h.serve("FAREBOX_SESSION_COOKIE=session", "FAREBOX_MINT_TIMEOUT=300ms")
	session := h.session("canary-subject", nil)
	var secrets []string
	note := func(a answer) {
		if token, _ := a.body["token"].(string); token != "" {
			secrets = append(secrets, token)
		}
	}
	note(mint(t, r.url, scribePath, session, "canary-idempotency-key"))
	note(mint(t, r.url, scribePath, session, "canary-idempotency-key"))
	note(mint(t, r.url, scribePath, session, ""))
	do(t, http.MethodPost, r.url+scribePath, http.Header{"Cookie": {"session=" + session}, "Origin": {"https://evil.example"}}, "")
	do(t, http.MethodGet, r.url+"/v1/"+session+"?token="+session, nil, "")
	mint(t, r.url, scribePath, session+"x", "")
	for _, fault := range []string{
		"rate_limited", "server_error", "html", "long_token", "redirect", "truncated", "broken_connection", "hang",
		"scope_missing", "credits_exhausted", "key_invalid", // last, since the key is set aside
	} {
		h.inject(fmt.Sprintf(`{"operation":"mint","fault":%q,"times":1}`, fault))
		note(mint(t, r.url, scribePath, h.session("user-"+fault, nil), "k"))
	}
	// A key that was refused is tried again after a while.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		a := mint(t, r.url, scribePath, h.session("one who waits", nil), "k")
		note(a)
		if a.status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the key is never tried again: %s", a.raw)
		}
	}
	h.redis.Kill()
	for range 5 {
		note(mint(t, r.url, scribePath, h.session("other", nil), "k"))
	}
	r.signal(syscall.SIGTERM)
	if status := r.wait(); status != 0 {
		t.Errorf("status = %d", status)
	}
	text := r.text()
	if len(secrets) < 6 || !strings.Contains(text, `"level":"DEBUG"`) || !strings.Contains(text, `"audit":true`) {
		t.Fatalf("%d tokens; too little was printed:\n%s", len(secrets), text)
	}
	secrets = append(secrets, testAPIKey, deploymentSecret, session, strings.Split(session, ".")[2], "canary-subject", "canary-idempotency-key")
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%.12s… is printed", secret)
		}
	}
}

func TestRequestsInFlightAreFinishedOnSIGTERM(t *testing.T) {
	t.Parallel()
	h := build(t)
	r := h.serve()
	h.inject(`{"operation":"mint","fault":"delay","delay_ms":500}`)
	answered := make(chan answer, 1)
	go func() {
		a, _ := try(context.Background(), http.MethodPost, r.url+scribePath, http.Header{"Authorization": {"Bearer " + h.session("ada", nil)}}, "")
		answered <- a
	}()
	for deadline := time.Now().Add(20 * time.Second); h.mints() == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the vendor is never called")
		}
	}
	r.signal(syscall.SIGTERM)
	if a := <-answered; a.status != 200 {
		t.Errorf("the request in flight: %d %s", a.status, a.raw)
	}
	if status := r.wait(); status != 0 {
		t.Errorf("status = %d", status)
	}
}

func writeJSON(t *testing.T, w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		t.Error(err)
	}
}
