package preflight_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"
	"time"

	"farebox/internal/identity"
	"farebox/internal/policy"
	"farebox/internal/preflight"
	"farebox/internal/redisconn"
	"farebox/internal/revocation"
	"farebox/internal/secret"
	"farebox/internal/shard"
	"farebox/session"
	vendorclient "farebox/vendor_client"

	"github.com/golang-jwt/jwt/v5"
)

const (
	issuer = "https://issuer.example"
	shared = "canary-shared-secret-of-more-than-32-bytes"
)

type silent struct{}

func (silent) Up()         {}
func (silent) Down(string) {}

// judge is what sessions are judged by, under a policy in policy.yaml.
func judge(t *testing.T, rules string, redis shard.Redis) preflight.SessionConfig {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	cfg := preflight.SessionConfig{KeysSetting: "FAREBOX_SESSION_HS256_SECRET", PolicyFile: "policy.yaml", Now: time.Now}
	var err error
	must := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cfg.Policy, err = policy.Read([]byte(rules), vendorclient.TokenTypeNames())
	must()
	cfg.Hasher, err = identity.NewHasher([]secret.Text{secret.New("canary-deployment-secret-of-32-bytes-or-more")})
	must()
	cfg.Keys, err = session.NewHS256(secret.New(shared))
	must()
	cfg.Verifier, err = session.NewVerifier(session.Config{
		Issuer: issuer, Audiences: []string{"farebox"}, MaxLifetime: 24 * time.Hour, Keys: cfg.Keys, Now: time.Now,
	})
	must()
	shards, err := shard.New(shard.Config{Redis: redis, Prefix: "farebox", State: silent{}, Log: log})
	must()
	cfg.Revocations, err = revocation.New(revocation.Config{
		Shards: shards, Hasher: cfg.Hasher, Lifetime: 24 * time.Hour, FixedOwner: strings.Repeat("o", shard.OwnerSize), Now: time.Now, Log: log,
	})
	must()
	return cfg
}

func openRedis(t *testing.T, cfg redisconn.Config) *redisconn.Conn {
	t.Helper()
	redis, err := redisconn.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	return redis
}

func signed(t *testing.T, more jwt.MapClaims) string {
	t.Helper()
	claims := jwt.MapClaims{
		"iss": issuer, "aud": "farebox", "sub": "ada", "sid": "session-1",
		"iat": time.Now().Add(-time.Minute).Unix(), "exp": time.Now().Add(time.Hour).Unix(), "scope": "speech",
	}
	for name, value := range more {
		claims[name] = value
	}
	raw, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(shared))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// explain returns what is made of raw, and as text and JSON what is printed.
func explain(t *testing.T, cfg preflight.SessionConfig, raw string) (preflight.Session, string) {
	t.Helper()
	s, err := preflight.Explain(t.Context(), cfg, raw)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := s.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	lines := text.String()
	if err := preflight.WriteJSON(&text, s); err != nil {
		t.Fatal(err)
	}
	for _, canary := range []string{"canary", raw, raw[strings.LastIndexByte(raw, '.')+1:]} {
		if strings.Contains(text.String(), canary) {
			t.Errorf("it printed %q:\n%s", canary, text.String())
		}
	}
	return s, lines
}

const rules = `tokens:
  realtime_scribe:
    allow: '"speech" in scopes'
    per_user: 10/1m
    per_user_daily: 300
  tts_websocket:
    allow: 'claims.level > 3'
agents:
  agent_1:
    allow: 'claims.plan == "pro"'
    per_user: 5/90s
    per_user_daily: none
plans:
  - name: pro
    when: 'has(claims.plan) && claims.plan == "pro"'
    per_user: 60/1h
global: none
`

func TestAGoodSessionIsExplained(t *testing.T) {
	t.Parallel()
	cfg := judge(t, rules, openRedis(t, redisconn.Config{Embedded: true}))
	s, text := explain(t, cfg, signed(t, nil))
	if !s.OK || s.Refused != nil || s.Warning != "" {
		t.Errorf("session = %+v", s)
	}
	if s.Who.Subject != "ada" || s.Who.SubjectHash != cfg.Hasher.Subject(issuer, "ada") || s.Who.SessionID != "session-1" || s.Who.Issuer != issuer {
		t.Errorf("who = %+v", s.Who)
	}
	for _, line := range []string{
		"ok    session          it is good",
		`      subject "ada", in the audit ` + cfg.Hasher.Subject(issuer, "ada"),
		"ok    realtime_scribe  10/1m a user, 300 a UTC day, none for all together",
		"no    batch_scribe     the policy does not name it; FAREBOX_POLICY_FILE decides this: name it in policy.yaml",
		"no    tts_websocket    policy.yaml line 7, tokens.tts_websocket.allow, cannot be evaluated for this session: no such key: level; FAREBOX_POLICY_FILE",
		"no    agent agent_1    policy.yaml line 10, agents.agent_1.allow, cannot be evaluated",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("it lacks %q:\n%s", line, text)
		}
	}
	_, text = explain(t, cfg, signed(t, jwt.MapClaims{"plan": "pro", "level": 3}))
	for _, line := range []string{
		`ok    realtime_scribe  60/1h a user, 300 a UTC day, none for all together, by the plan "pro"`,
		"no    tts_websocket    policy.yaml line 7, tokens.tts_websocket.allow, is false for this session; FAREBOX_POLICY_FILE",
		`ok    agent agent_1    60/1h a user, none a UTC day`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("it lacks %q:\n%s", line, text)
		}
	}
}

func TestASessionThatMayHaveNothingIsNotOK(t *testing.T) {
	t.Parallel()
	cfg := judge(t, "tokens: {realtime_scribe: {allow: '\"admin\" in scopes'}}\n", openRedis(t, redisconn.Config{Embedded: true}))
	if s, _ := explain(t, cfg, signed(t, nil)); s.OK || s.Refused != nil {
		t.Errorf("session = %+v", s)
	}
}

func TestASessionThatIsRefusedNamesTheSettingThatDecides(t *testing.T) {
	t.Parallel()
	cfg := judge(t, rules, openRedis(t, redisconn.Config{Embedded: true}))
	good := signed(t, nil)
	tests := map[string]struct {
		raw     string
		reason  string
		setting string
	}{
		"expired":         {signed(t, jwt.MapClaims{"exp": time.Now().Add(-time.Hour).Unix()}), "exp is past", "FAREBOX_SESSION_LEEWAY"},
		"another's":       {signed(t, jwt.MapClaims{"aud": "other"}), "another audience", "FAREBOX_SESSION_AUDIENCE"},
		"another issuer":  {signed(t, jwt.MapClaims{"iss": "https://other.example"}), "another issuer", "FAREBOX_SESSION_ISSUER"},
		"too long":        {signed(t, jwt.MapClaims{"exp": time.Now().Add(48 * time.Hour).Unix()}), "more left than", "FAREBOX_SESSION_MAX_LIFETIME"},
		"a bad signature": {good[:len(good)-10] + "AAAAAAAAAA", "signature", "FAREBOX_SESSION_HS256_SECRET"},
		"no JWT":          {"not a jwt", "characters that no JWT has", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, text := explain(t, cfg, test.raw)
			if s.OK || s.Who != nil || s.Refused == nil || !strings.HasPrefix(s.Refused.Reason, test.reason) || s.Refused.Setting != test.setting {
				t.Errorf("session = %+v, refused %+v", s, s.Refused)
			}
			if !strings.HasPrefix(text, "fail  session          "+test.reason) {
				t.Errorf("text = %s", text)
			}
		})
	}
}

func TestASessionThatWasEndedIsRefusedAndALaterOneIsNot(t *testing.T) {
	t.Parallel()
	redis := openRedis(t, redisconn.Config{Embedded: true})
	ending := judge(t, rules, redis).Revocations
	ended := func(e revocation.Ending) {
		t.Helper()
		if err := ending.End(context.WithoutCancel(t.Context()), e); err != nil {
			t.Fatal(err)
		}
	}
	cfg := judge(t, rules, redis) // as another process: it knows what Redis says
	before := time.Now().Add(-30 * time.Second)
	ended(revocation.Ending{Issuer: issuer, Subject: "ada", At: before})
	ended(revocation.Ending{Issuer: issuer, SessionID: "session-2", At: before})
	ended(revocation.Ending{Issuer: issuer, TokenID: "jwt-3", At: before})
	for name, test := range map[string]struct {
		claims jwt.MapClaims
		ended  bool
	}{
		"its subject":      {jwt.MapClaims{}, true},
		"its session":      {jwt.MapClaims{"sub": "bob", "sid": "session-2"}, true},
		"its id":           {jwt.MapClaims{"sub": "bob", "jti": "jwt-3"}, true},
		"issued later":     {jwt.MapClaims{"iat": time.Now().Unix()}, false},
		"somebody else's":  {jwt.MapClaims{"sub": "bob"}, false},
		"without its time": {jwt.MapClaims{"iat": 1}, true},
	} {
		s, _ := explain(t, cfg, signed(t, test.claims))
		if refused := s.Refused != nil && strings.Contains(s.Refused.Reason, "was ended"); refused != test.ended || s.OK == test.ended || s.Who == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestWithoutRedisItIsSaidThatItMayHaveEnded(t *testing.T) {
	t.Parallel()
	redis := openRedis(t, redisconn.Config{URL: secret.New("redis://127.0.0.1:1"), Mode: redisconn.Single})
	cfg := judge(t, rules, redis)
	if s, text := explain(t, cfg, signed(t, nil)); !s.OK || !strings.Contains(text, "warn  ended            Redis cannot say") {
		t.Errorf("session = %+v\n%s", s, text)
	}
	cfg.RequireRevocations = true
	if s, _ := explain(t, cfg, signed(t, nil)); s.OK || s.Refused == nil || s.Refused.Setting != "FAREBOX_REQUIRE_REVOCATION" {
		t.Errorf("session = %+v", s)
	}
}

func TestWhatASessionClaimsBreaksNoLine(t *testing.T) {
	t.Parallel()
	cfg := judge(t, `tokens: {realtime_scribe: {allow: 'claims[sub + "\n\u001b[2J" + claims.evil] == "x"'}}`+"\n", openRedis(t, redisconn.Config{Embedded: true}))
	_, text := explain(t, cfg, signed(t, jwt.MapClaims{"sid": "a\nok    b\x1b[2J", "evil": "\r\nok    all\x1b[2J"}))
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "ok    b") || strings.HasPrefix(line, "ok    all") || strings.ContainsAny(line, "\x1b\r") {
			t.Errorf("a claim wrote a line of its own: %q", line)
		}
	}
}

func TestWithoutKeysNothingIsSaidOfASession(t *testing.T) {
	t.Parallel()
	cfg := judge(t, rules, openRedis(t, redisconn.Config{Embedded: true}))
	keys, err := session.NewJWKS(session.JWKSConfig{URL: "http://127.0.0.1:1/keys", Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	if cfg.Verifier, err = session.NewVerifier(session.Config{MaxLifetime: time.Hour, Keys: keys, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	cfg.Keys, cfg.KeysSetting = keys, "FAREBOX_SESSION_JWKS_URL"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"sub": "ada", "exp": time.Now().Add(time.Minute).Unix()}).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := explain(t, cfg, raw)
	if s.OK || s.Refused == nil || s.Refused.Reason != session.ErrKeysUnavailable.Error() || s.Refused.Setting != cfg.KeysSetting {
		t.Errorf("session = %+v, refused %+v", s, s.Refused)
	}
}
