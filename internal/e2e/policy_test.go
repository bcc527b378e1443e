package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const batchPath = "/v1/single-use-token/batch_scribe"

// governed is serve under a policy file, with a sandbox vendor.
type governed struct {
	*serving
	sandbox string
}

func startGoverned(t *testing.T, policy string) *governed {
	t.Helper()
	g := &governed{sandbox: start(t, []string{"sandbox"}, "FAREBOX_SANDBOX_LISTEN=127.0.0.1:0").printed(`answers at (http://127\.0\.0\.1:\d+)`)}
	g.serving = startServe(t, "ELEVENLABS_BASE_URL="+g.sandbox, "FAREBOX_POLICY_FILE="+policy)
	return g
}

// session signs a session with these claims beside the usual ones.
func (g *governed) session(sub string, more jwt.MapClaims) string {
	g.t.Helper()
	claims := jwt.MapClaims{"iss": "https://issuer.example", "aud": "farebox", "sub": sub, "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range more {
		claims[name] = value
	}
	raw, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(deploymentSecret))
	if err != nil {
		g.t.Fatal(err)
	}
	return raw
}

func (g *governed) mints() int {
	g.t.Helper()
	return strings.Count(do(g.t, http.MethodGet, g.sandbox+"/_sandbox/calls", nil, "").raw, `"operation":"mint"`)
}

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAPolicyFileSaysWhoMayHaveWhatAndHowMany(t *testing.T) {
	t.Parallel()
	g := startGoverned(t, writeFile(t, filepath.Join(t.TempDir(), "policy.yaml"), `
tokens:
  realtime_scribe:
    allow: '"speech" in scopes'
    per_user: 2/1h
  batch_scribe:
    per_user_daily: 3
plans:
  - name: pro
    when: 'has(claims.level) && claims.level == 3'
    per_user: 4/1h
`))
	for name, tt := range map[string]struct {
		path, sub string
		claims    jwt.MapClaims
		served    int
		status    int
		code      string
		policy    string
	}{
		"without the scope":                    {scribePath, "none", nil, 0, 403, "token_type_not_allowed", ""},
		"with the scope":                       {scribePath, "free", jwt.MapClaims{"scope": "openid speech"}, 2, 429, "rate_limited", `"per_user";q=2;w=3600, "per_user_daily";q=200;w=86400`},
		"in the plan, with the scope in scp":   {scribePath, "pro", jwt.MapClaims{"scp": []string{"openid", "speech"}, "level": 3}, 4, 429, "rate_limited", `"per_user";q=4;w=3600, "per_user_daily";q=200;w=86400`},
		"over the day":                         {batchPath, "many", nil, 3, 429, "quota_exhausted", `"per_user";q=10;w=60, "per_user_daily";q=3;w=86400`},
		"in the plan, which leaves the day be": {batchPath, "paid", jwt.MapClaims{"level": 3}, 3, 429, "quota_exhausted", `"per_user";q=4;w=3600, "per_user_daily";q=3;w=86400`},
		"a type that is not named":             {"/v1/single-use-token/tts_websocket", "any", jwt.MapClaims{"scope": "speech"}, 0, 403, "token_type_not_allowed", ""},
		"scopes that are no scopes":            {scribePath, "odd", jwt.MapClaims{"scope": map[string]any{"speech": true}}, 0, 403, "token_type_not_allowed", ""},
	} {
		before := g.mints()
		session := g.session(tt.sub, tt.claims)
		for i := range tt.served {
			if a := mint(t, g.url, tt.path, session, ""); a.status != 200 || a.header.Get("RateLimit-Policy") != tt.policy {
				t.Fatalf("%s: request %d: %d %s %v", name, i, a.status, a.raw, a.header)
			}
		}
		for range 2 {
			a := mint(t, g.url, tt.path, session, "")
			if a.status != tt.status || a.body["code"] != tt.code || a.header.Get("RateLimit-Policy") != tt.policy {
				t.Errorf("%s: %d %s %v", name, a.status, a.raw, a.header)
			}
			if (tt.status == 429) != (a.header.Get("Retry-After") != "") {
				t.Errorf("%s: Retry-After = %q", name, a.header.Get("Retry-After"))
			}
		}
		if made := g.mints() - before; made != tt.served {
			t.Errorf("%s: %d mints for %d tokens", name, made, tt.served)
		}
	}
}

func TestAPolicyFileIsReadAgainAndAWrongOneIsNot(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	// As Kubernetes mounts a ConfigMap.
	version := func(name, text string) {
		if err := os.Mkdir(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(root, name, "policy.yaml"), text)
		if err := os.Symlink(name, filepath.Join(root, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(root, "..data_tmp"), filepath.Join(root, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..1", "tokens: {realtime_scribe: {per_user: 1/24h}}\n")
	path := filepath.Join(root, "policy.yaml")
	if err := os.Symlink("..data/policy.yaml", path); err != nil {
		t.Fatal(err)
	}
	g := startGoverned(t, path)
	session := g.session("ada", nil)
	if a := mint(t, g.url, scribePath, session, ""); a.status != 200 {
		t.Fatalf("at first: %d %s", a.status, a.raw)
	}
	if a := mint(t, g.url, scribePath, session, ""); a.status != 429 {
		t.Fatalf("over the limit: %d %s", a.status, a.raw)
	}
	// One limit is loosened by far, and one type is new.
	version("..2", "tokens:\n  realtime_scribe: {per_user: 5/1s}\n  batch_scribe: {}\n")
	g.printed(`the policy file has changed and is in force`)
	if a := mint(t, g.url, batchPath, session, ""); a.status != 200 {
		t.Errorf("a new type: %d %s", a.status, a.raw)
	}
	if a := mint(t, g.url, scribePath, session, ""); a.status != 200 {
		t.Errorf("under the looser limit: %d %s", a.status, a.raw)
	}
	version("..3", "tokens:\n  realtime_scribe: {per_user: 5 a second}\n  canary: {}\n")
	g.printed(`the policy before it stays in force".*policy.yaml.*2:31: .*3:3: `)
	ready := do(t, http.MethodGet, g.ops+"/readyz", nil, "")
	if ready.status != 200 || ready.body["status"] != "degraded" || !strings.Contains(ready.raw, `"policy":{"state":"down"`) {
		t.Errorf("readyz = %d %s", ready.status, ready.raw)
	}
	if a := mint(t, g.url, batchPath, session, ""); a.status != 200 {
		t.Errorf("under the old policy: %d %s", a.status, a.raw)
	}
	version("..4", "tokens: {realtime_scribe: {}}\n")
	g.printed(`(?s)in force.*stays in force.*has changed and is in force`)
	if a := mint(t, g.url, batchPath, session, ""); a.status != 403 {
		t.Errorf("a type that is gone: %d %s", a.status, a.raw)
	}
	ready = do(t, http.MethodGet, g.ops+"/readyz", nil, "")
	if ready.body["status"] != "ready" {
		t.Errorf("readyz = %s", ready.raw)
	}
	text := g.text()
	if strings.Contains(text, "canary") || strings.Contains(text, root) {
		t.Errorf("the file's content or place is shown:\n%s", text)
	}
	for event, want := range map[string]int{`"event":"policy_loaded","audit":true,"outcome":"ok"`: 3, `"event":"policy_loaded","audit":true,"outcome":"refused"`: 1} {
		if got := strings.Count(text, event); got != want {
			t.Errorf("%d audit lines of %s, want %d", got, event, want)
		}
	}
}

func TestAWrongPolicyFileEndsTheStartWithAllFaults(t *testing.T) {
	t.Parallel()
	path := writeFile(t, filepath.Join(t.TempDir(), "policy.yaml"), "tokens:\n  batch_scribe:\n    allow: |\n      sub == 'x' &&\n      nobody\n    per_user: fast\n")
	p := start(t, []string{"serve"}, "FAREBOX_POLICY_FILE="+path, "FAREBOX_LOG_LEVEL=loud")
	if status := p.wait(); status != 2 {
		t.Errorf("status = %d", status)
	}
	for _, words := range []string{"\n  FAREBOX_POLICY_FILE: policy.yaml:5:7: undeclared reference", "\n  FAREBOX_POLICY_FILE: policy.yaml:6:15: write a rate", "\n  FAREBOX_LOG_LEVEL: ", "\n  FAREBOX_SECRET: "} {
		if !strings.Contains(p.text(), words) {
			t.Errorf("%q is not printed:\n%s", words, p.text())
		}
	}
	if strings.Contains(p.text(), filepath.Dir(path)) {
		t.Errorf("the setting's value is shown:\n%s", p.text())
	}
}

func TestDevTakesAPolicyFile(t *testing.T) {
	t.Parallel()
	d := startDev(t, "FAREBOX_POLICY_FILE="+writeFile(t, filepath.Join(t.TempDir(), "policy.yaml"), "tokens: {batch_scribe: {allow: 'sub == \"ada\"'}}\n"))
	for _, tt := range []struct {
		path, sub string
		want      int
	}{{batchPath, "ada", 200}, {batchPath, "bob", 403}, {scribePath, "ada", 403}} {
		if a := mint(t, d.url, tt.path, d.signIn(tt.sub), ""); a.status != tt.want {
			t.Errorf("%s for %s: %d, want %d", tt.path, tt.sub, a.status, tt.want)
		}
	}
}
