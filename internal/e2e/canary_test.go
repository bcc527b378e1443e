//go:build real

package e2e_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"farebox/internal/problem"
	"farebox/internal/testredis"

	"github.com/golang-jwt/jwt/v5"
)

// gossip is a vendor that tells all it knows, the key above all, in every place
// where an answer has one.
type gossip struct {
	*httptest.Server
	mu   sync.Mutex
	mood int // what it answers; 0 for a credential
	made int
}

// worst is how many moods there are besides the good one.
const worst = 14

func startGossip(t *testing.T) *gossip {
	g := &gossip{}
	g.Server = httptest.NewServer(g)
	t.Cleanup(func() {
		g.CloseClientConnections()
		g.Close()
	})
	return g
}

func (g *gossip) feel(mood int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mood = mood
}

func (g *gossip) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.made++
	mood, n := g.mood, g.made
	g.mu.Unlock()
	key := r.Header.Get("xi-api-key")
	half := key[:len(key)/2]
	for name, value := range map[string]string{
		"X-Trace-Id": half, "X-Request-Id": key, "Server": key, "Set-Cookie": "key=" + key, "WWW-Authenticate": key, "Location": "/" + key + "?key=" + url.QueryEscape(key),
	} {
		w.Header().Set(name, value)
	}
	detail := func(status int, mark string) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"detail":{"type":%q,"code":%[2]q,"status":%[2]q,"message":"permission %[1]s lacks, from %[1]s","request_id":%[3]q}}`, key, mark, half)
	}
	switch mood {
	case 0:
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"token":"sutkn_canary%[1]dQm7xZt4wKd9LpVb2YhNc","signed_url":"wss://%[2]s/v1?conversation_signature=canarysigned%[1]dQm7xZt4wKd9LpVb","conversation_id":"c","key":%[3]q}`, n, r.Host, key)
	case 1:
		detail(429, "rate_limit_exceeded")
	case 2:
		detail(500, key)
	case 3:
		w.WriteHeader(500)
		_, _ = io.WriteString(w, key)
	case 4:
		w.WriteHeader(200)
		_, _ = fmt.Fprintf(w, `{"key":%q}`, key)
	case 5:
		w.WriteHeader(200)
		_, _ = fmt.Fprintf(w, `{"token":"%s %s"`, key, key)
	case 6:
		w.WriteHeader(307)
	case 7:
		w.WriteHeader(422)
		_, _ = fmt.Fprintf(w, `{"detail":[{"loc":[%[1]q],"msg":%[1]q,"type":%[1]q}]}`, key)
	case 8:
		w.WriteHeader(404)
		_, _ = fmt.Fprintf(w, `{"detail":%q}`, key)
	case 9:
		<-r.Context().Done() // and nothing is said
	case 10:
		detail(401, "missing_permissions")
	case 11:
		detail(402, "paid_plan_required")
	case 12:
		detail(403, "forbidden")
	case 13:
		detail(401, "quota_exceeded")
	default:
		detail(401, "invalid_api_key")
	}
}

// overhear keeps all commands that a server gets, with their arguments.
func overhear(t *testing.T, s *testredis.Server) (heard func() string) {
	t.Helper()
	conn, err := net.Dial("unix", strings.TrimPrefix(s.URL, "unix://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "MONITOR\r\n"); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all strings.Builder
	go func() {
		for buffer := make([]byte, 64<<10); ; {
			n, err := conn.Read(buffer)
			mu.Lock()
			all.Write(buffer[:n])
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return all.String()
	}
}

const (
	canaryKeys   = "canary_first_Rt5BuWc2LdFhGaE9Qm7xZt4w,canary_other_Kd9LpVb2YhNc3kPq0mVz8sJ1"
	canarySecret = "canary_deployment_nXy5RtB7uWc2LdFh6GaE3kPq"
	canaryHS256  = "canary_sessions_0mVz8sJ1nXy5RtB7uWc2LdFh6Ga"
	canaryRedis  = "canary_redis_Vb2YhNc3kPq0mVz8sJ1"
	canaryPolicy = `
tokens:
  realtime_scribe: {per_user: 1000/1s}
  batch_scribe: {per_user: 2/1h}
  tts_websocket: {allow: '"speech" in scopes', per_user_daily: 1}
agents:
  agent_1: {per_user: 100/1s}
global: 1000/1s
`
)

// provocation is a service with marked secrets of which every outcome is asked.
type provocation struct {
	*house
	t        *testing.T
	vendor   *gossip
	heard    func() string
	folder   string
	settings []string
	seen     map[string]bool // codes, or statuses where there was none
}

func provoke(t *testing.T) *provocation {
	t.Helper()
	vendor, redis := startGossip(t), startRedis(t)
	p := &provocation{t: t, vendor: vendor, heard: overhear(t, redis), folder: t.TempDir(), seen: map[string]bool{}}
	p.house = newHouse(t, vendor.URL, strings.Replace(redis.URL, "unix://", "unix://canary:"+canaryRedis+"@", 1))
	p.house.redis = redis
	p.admit()
	p.settings = []string{
		"ELEVENLABS_API_KEY=" + canaryKeys, "FAREBOX_SECRET=" + canarySecret, "FAREBOX_SESSION_PUBLIC_KEY_FILE=", "FAREBOX_SESSION_HS256_SECRET=" + canaryHS256,
		"FAREBOX_AUDIT_FILE=" + filepath.Join(p.folder, "audit.log"), "FAREBOX_PPROF=true", "FAREBOX_POOL_MAX=4", "FAREBOX_LOGOUT_AUDIENCE=client",
		"FAREBOX_POLICY_FILE=" + writeFile(t, filepath.Join(p.folder, "policy.yaml"), canaryPolicy),
		"FAREBOX_SESSION_COOKIE=session", "FAREBOX_SESSION_HEADER=X-Session", "FAREBOX_ALLOWED_ORIGINS=https://app.example.com",
		"FAREBOX_MINT_TIMEOUT=400ms", "FAREBOX_REQUEST_TIMEOUT=1s", "OTEL_EXPORTER_OTLP_HEADERS=x-key=canary_collector_5RtB7uWc2LdFh",
	}
	return p
}

// admit makes the user that farebox is in Redis.
func (p *provocation) admit() {
	p.t.Helper()
	if err := p.redis.Client().Do(p.t.Context(), "acl", "setuser", "canary", "on", ">"+canaryRedis, "~*", "&*", "+@all").Err(); err != nil {
		p.t.Fatal(err)
	}
}

// open starts a replica without a pool, in which each request is a vendor's call.
func (p *provocation) open(more ...string) *replica {
	p.t.Helper()
	return p.serve(append(append(slices.Clone(p.settings), "FAREBOX_POOL_MAX=0"), more...)...)
}

func (p *provocation) sign(more jwt.MapClaims) string {
	p.t.Helper()
	claims := jwt.MapClaims{"iss": testIssuer, "aud": "farebox", "sub": "ada", "sid": "s1", "iat": time.Now().Add(-time.Minute).Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range more {
		claims[name] = value
	}
	raw, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(canaryHS256))
	if err != nil {
		p.t.Fatal(err)
	}
	secrets.noteSession(raw)
	return raw
}

// logoutToken ends bob's session s2.
func (p *provocation) logoutToken() string {
	p.t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": testIssuer, "aud": "client", "sub": "bob", "sid": "s2", "jti": "canary-jti", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	})
	token.Header["typ"] = "logout+jwt"
	raw, err := token.SignedString([]byte(canaryHS256))
	if err != nil {
		p.t.Fatal(err)
	}
	return raw
}

// ask asks with a session and a key, where not "", and further headers in pairs.
func (p *provocation) ask(at *replica, method, path, session, key string, more ...string) answer {
	p.t.Helper()
	header := http.Header{}
	if session != "" {
		header.Set("Authorization", "Bearer "+session)
	}
	if key != "" {
		header.Set("Idempotency-Key", key)
	}
	for i := 0; i < len(more); i += 2 {
		header[more[i]] = append(header[more[i]], more[i+1])
	}
	a := do(p.t, method, at.url+path, header, "")
	code, _ := a.body["code"].(string)
	if code == "" {
		code = strconv.Itoa(a.status)
	}
	p.seen[code] = true
	if a.header.Get("Idempotent-Replayed") != "" {
		p.seen["replayed"] = true
	}
	return a
}

const post, get = http.MethodPost, http.MethodGet

// Every outcome that the contract has is caused, with secrets in all the places
// where one may stray; the harness then searches all that came of it, and this all
// that went to Redis.
func TestNoSecretLeaksWhateverBecomesOfARequest(t *testing.T) {
	t.Parallel()
	p := provoke(t)
	r := p.serve(p.settings...)
	ada, bob := p.sign(nil), p.sign(jwt.MapClaims{"scope": "speech", "sub": "bob", "sid": "s2"})
	token := p.handOut(r, ada)
	p.refuse(r, ada, bob)
	for _, stray := range append(strings.Split(ada, ".")[1:], ada, strings.Split(ada, ".")[2][:20], token) {
		p.stray(r, ada, stray, stray == ada || stray == token)
	}
	p.overfill(r, ada)
	p.end(r, bob)
	p.spoilVendor(ada)
	other := p.dieInTheMiddle(ada)
	p.loseRedis(other, ada)
	for _, at := range []*replica{r, other} {
		at.signal(syscall.SIGTERM)
		if status := at.wait(); status != 0 {
			t.Errorf("status = %d", status)
		}
	}
	p.wantAllSeen(r)
	if found := secrets.find([]byte(p.heard())); found != "" {
		t.Errorf("Redis was sent %s", found)
	}
}

// handOut has something minted, taken from the pool and replayed, and returns a
// token.
func (p *provocation) handOut(r *replica, session string) string {
	p.t.Helper()
	const key = "canary-attempt-Vb2YhNc3kPq"
	first := p.ask(r, post, scribePath, session, key)
	p.ask(r, post, scribePath, session, key)
	p.ask(r, post, batchPath, session, key) // another path
	r.printed(`(dependency is up","dependency":"pool)`)
	for range 20 {
		p.ask(r, post, scribePath, session, "")
	}
	for _, path := range []string{signedURLPath, conversationTokenPath} {
		p.ask(r, get, path+"?agent_id=agent_1", session, "")
		p.ask(r, get, path+"?agent_id="+session, session, "")
		p.ask(r, get, path+"?agent_id="+strings.Split(session, ".")[2], session, "")
		p.ask(r, http.MethodHead, path+"?agent_id=agent_1", session, "")
	}
	return fmt.Sprint(first.body["token"])
}

// refuse has sessions refused, and callers by policy and limits.
func (p *provocation) refuse(r *replica, session, speaks string) {
	p.t.Helper()
	const speech = "/v1/single-use-token/tts_websocket"
	p.ask(r, post, scribePath, "", "")
	p.ask(r, post, scribePath, p.sign(jwt.MapClaims{"exp": time.Now().Add(-time.Hour).Unix()}), "")
	p.ask(r, post, scribePath, p.sign(jwt.MapClaims{"aud": "other"}), "")
	p.ask(r, post, scribePath, session+"x", "")
	p.ask(r, post, speech, session, "")
	for range 2 {
		p.ask(r, post, speech, speaks, "")
	}
	for range 3 {
		p.ask(r, post, batchPath, speaks, "")
	}
}

// stray has a secret in every place that a client may mistake. As a request's id
// it is whole, or goes with what it is a part of: by itself it passes for an id.
func (p *provocation) stray(r *replica, session, secret string, whole bool) {
	p.t.Helper()
	for _, name := range []string{
		"X-Request-Id", "Traceparent", "Tracestate", "Baggage", "User-Agent", "Referer", "X-Forwarded-For", "Forwarded", "X-Real-Ip",
		"Origin", "Sec-Fetch-Site", "Content-Type", "Accept", "Xi-Api-Key", "X-Session", "Sentry-Trace", "Access-Control-Request-Headers",
	} {
		p.ask(r, post, scribePath, session, "", name, secret)
		if whole || name != "X-Request-Id" {
			p.ask(r, post, scribePath, "", "", name, secret)
		}
	}
	p.ask(r, http.MethodOptions, scribePath, "", "", "Origin", "https://"+secret, "Access-Control-Request-Method", "POST")
	for _, origin := range []string{"https://x.example/?" + secret, "https://" + secret + ".example"} {
		p.ask(r, post, scribePath, session, "", "Origin", origin)
	}
	p.ask(r, post, scribePath, session, "", "Traceparent", "00-"+callersTrace+"-"+callersSpan+"-01", "Tracestate", "a="+secret)
	p.ask(r, post, scribePath, session, secret[:min(len(secret), 255)])
	p.ask(r, post, scribePath, "", "", "Cookie", "session="+secret)
	p.ask(r, post, scribePath, "", "", "Cookie", "session="+secret, "Sec-Fetch-Site", "same-origin")
	p.ask(r, post, scribePath, "", "", "Authorization", secret)
	p.ask(r, post, scribePath, "", "", "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("u:"+secret)))
	p.ask(r, "X"+strings.ToUpper(hex.EncodeToString([]byte(secret)))[:20], scribePath, session, "")
	for _, path := range []string{scribePath + "?token=" + secret, "/v1/single-use-token/" + secret, "/dev/session"} {
		p.ask(r, post, path, session, "")
	}
	for _, path := range []string{"/" + secret, "/?session=" + secret, "/sdk/" + secret} {
		p.ask(r, get, path, "", "")
	}
	for _, path := range []string{"/", "/metrics", "/readyz?", "/debug/pprof/cmdline?", "/debug/pprof/goroutine?debug=2&"} {
		do(p.t, get, r.ops+path+secret, http.Header{"Authorization": {"Bearer " + secret}, "X-Request-Id": {secret}}, "")
	}
	p.logout(r, secret)
}

func (p *provocation) logout(r *replica, token string) answer {
	p.t.Helper()
	return do(p.t, post, r.url+"/backchannel-logout", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, "logout_token="+token)
}

// overfill sends more than is taken, as header, session and body.
func (p *provocation) overfill(r *replica, session string) {
	p.t.Helper()
	much := strings.Repeat(session, 300)
	p.ask(r, post, scribePath, session, "", "X-Huge", much)
	p.ask(r, post, scribePath, much[:16<<10], "")
	// The connection may be closed before all of it is sent.
	if a, err := try(p.t.Context(), post, r.url+scribePath, http.Header{"Authorization": {"Bearer " + session}}, much); err == nil {
		p.seen[fmt.Sprint(a.body["code"])] = true
	}
}

// end has the session of bob end.
func (p *provocation) end(r *replica, session string) {
	p.t.Helper()
	raw := p.logoutToken()
	if a := p.logout(r, raw); a.status != http.StatusOK {
		p.t.Errorf("logout: %d %s", a.status, a.raw)
	}
	p.ask(r, post, scribePath, session, "")
	p.ask(r, post, scribePath, raw, "")
}

// spoilVendor has the vendor in every mood, for check too, which has no memory of
// the one before.
func (p *provocation) spoilVendor(session string) {
	p.t.Helper()
	for mood := 1; mood <= worst; mood++ {
		p.vendor.feel(mood)
		p.check("", []string{"--json"}, append(slices.Clone(p.settings), "FAREBOX_AUDIT_FILE=", "OTEL_EXPORTER_OTLP_HEADERS=", "FAREBOX_MINT_TIMEOUT=100ms")...)
	}
	// A breaker that opens, or a key that is set aside, ends what can be tried.
	for _, moods := range [][]int{{4, 5, 6, 7, 8}, {1, 2, 3}, {9}, {10, 11, 12, 13, 14}} {
		at := p.open()
		for _, mood := range moods {
			p.vendor.feel(mood)
			p.ask(at, post, scribePath, session, fmt.Sprint("k", mood))
			p.ask(at, get, signedURLPath+"?agent_id=agent_1", session, "")
			do(p.t, get, at.ops+"/readyz", nil, "")
		}
	}
}

// dieInTheMiddle kills a replica with an attempt under way, and asks another for
// the same, which it returns.
func (p *provocation) dieInTheMiddle(session string) *replica {
	p.t.Helper()
	p.vendor.feel(9)
	dies := p.open("FAREBOX_MINT_TIMEOUT=30s", "FAREBOX_REQUEST_TIMEOUT=30s")
	go func() {
		_, _ = try(context.WithoutCancel(p.t.Context()), post, dies.url+scribePath, http.Header{"Authorization": {"Bearer " + session}, "Idempotency-Key": {"cut-off"}}, "")
	}()
	p.eventually("the attempt is under way", func() bool {
		return strings.Contains(do(p.t, get, dies.ops+"/metrics", nil, "").raw, "farebox_mints_in_flight 1")
	})
	dies.signal(syscall.SIGKILL)
	dies.wait()
	other := p.open()
	p.ask(other, post, scribePath, session, "cut-off")
	return other
}

// loseRedis has Redis go, and come back empty.
func (p *provocation) loseRedis(other *replica, session string) {
	p.t.Helper()
	p.vendor.feel(0)
	strict := p.open("FAREBOX_REDIS_PREFIX=strict", "FAREBOX_REQUIRE_REVOCATION=true",
		"FAREBOX_POLICY_FILE="+writeFile(p.t, filepath.Join(p.folder, "strict.yaml"), "tokens: {realtime_scribe: {}}\nglobal: 1/1h\n"))
	for range 2 {
		p.ask(strict, post, scribePath, session, "") // more than all together may
	}
	if found := secrets.find(p.redis.Dump()); found != "" {
		p.t.Errorf("Redis holds %s", found)
	}
	p.redis.Forget()
	p.redis.Kill()
	p.eventually("it refuses without Redis", func() bool {
		return p.ask(strict, post, scribePath, session, "").body["code"] == "session_keys_unavailable"
	})
	for range 5 {
		p.ask(other, post, scribePath, session, "canary-attempt-without-redis")
	}
	p.redis.Launch()
	p.admit()
	p.eventually("Redis is back", func() bool {
		return strings.Contains(do(p.t, get, other.ops+"/readyz", nil, "").raw, `"status":"ready"`)
	})
}

// wantAllSeen wants every outcome to have been caused, and what was searched to be
// there.
func (p *provocation) wantAllSeen(r *replica) {
	p.t.Helper()
	p.seen[string(problem.InternalError)] = true // a fault of ours is what nobody can cause
	for _, code := range append(problem.Codes(), "200", "replayed") {
		if !p.seen[string(code)] {
			p.t.Errorf("nothing was answered with %s", code)
		}
	}
	audit, err := os.ReadFile(filepath.Join(p.folder, "audit.log"))
	if err != nil {
		p.t.Error(err)
	}
	for what, parts := range map[string][2]string{
		"the audit has pooled tokens": {string(audit), `"source":"pool"`}, "the audit has endings": {string(audit), `"session_revoked"`},
		"the spans have requests": {string(spans.of(r.spans)), "POST /v1/single-use-token/:token_type"}, "Redis has commands": {p.heard(), "{farebox:"},
		"the log has all": {r.text(), `"level":"DEBUG"`},
	} {
		if !strings.Contains(parts[0], parts[1]) {
			p.t.Errorf("it is not so that %s", what)
		}
	}
}
