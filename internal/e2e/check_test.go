//go:build real

package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"farebox/internal/preflight"

	"github.com/golang-jwt/jwt/v5"
)

// checked is what one `farebox check` came to.
type checked struct {
	status         int
	stdout, stderr string
}

// check runs the command with serve's settings; pairs win over what is good, and
// an empty one takes its setting away.
func (h *house) check(stdin string, args []string, pairs ...string) checked {
	h.t.Helper()
	settings := map[string]string{
		"ELEVENLABS_API_KEY": testAPIKey, "ELEVENLABS_BASE_URL": h.sandbox, "REDIS_URL": h.redisURL,
		"FAREBOX_SECRET": deploymentSecret, "FAREBOX_SESSION_ISSUER": testIssuer, "FAREBOX_SESSION_AUDIENCE": "farebox",
		"FAREBOX_SESSION_PUBLIC_KEY_FILE": h.pem, "FAREBOX_LOG_LEVEL": "debug",
	}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		settings[name] = value
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"check"}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range settings {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	secrets.noteSettings(cmd.Env)
	secrets.noteSession(stdin)
	var stdout, stderr strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		h.t.Fatal(err)
	}
	c := checked{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	if found := secrets.find([]byte(c.stdout + c.stderr)); found != "" {
		h.t.Errorf("check printed %s", found)
	}
	for _, canary := range []string{testAPIKey, deploymentSecret, "canary", "sutkn_", stdin} {
		if canary != "" && strings.Contains(c.stdout+c.stderr, canary) {
			h.t.Errorf("check printed %q:\n%s\n%s", canary, c.stdout, c.stderr)
		}
	}
	return c
}

// report is what --json printed.
func report[T any](t *testing.T, c checked) (v T) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(c.stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&v); err != nil || decoder.More() {
		t.Fatalf("it printed no single JSON document (%v): %s", err, c.stdout)
	}
	return v
}

func TestCheckFindsAllWell(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := h.check("", nil)
	if c.status != 0 || c.stderr != "" {
		t.Fatalf("status %d\n%s\n%s", c.status, c.stdout, c.stderr)
	}
	lines := strings.Split(strings.TrimSpace(c.stdout), "\n")
	if len(lines) != 10 {
		t.Errorf("it printed %d lines:\n%s", len(lines), c.stdout)
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "ok ") {
			t.Errorf("not ok: %s", line)
		}
	}
	if mints := h.mints(); mints != 3 {
		t.Errorf("%d tokens were minted, want one of each type", mints)
	}
	c = h.check("", []string{"--json"})
	r := report[preflight.Report](t, c)
	if c.status != 0 || !r.OK || len(r.Checks) != 10 || r.Checks[0].Name != "vendor_key" || r.Checks[0].Status != preflight.OK {
		t.Errorf("status %d, report %+v", c.status, r)
	}
}

func TestCheckFindsSeveralFailuresAtOnce(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.inject(`{"operation":"mint","fault":"scope_missing"}`)
	h.redis.Kill()
	args := []string{"--json"}
	// Nothing listens at port 1.
	c := h.check("", args, "FAREBOX_SESSION_PUBLIC_KEY_FILE=", "FAREBOX_SESSION_JWKS_URL=http://127.0.0.1:1/keys")
	r := report[preflight.Report](t, c)
	if c.status != 1 || r.OK || c.stderr != "" {
		t.Errorf("status %d, ok %t, stderr %s", c.status, r.OK, c.stderr)
	}
	for _, check := range r.Checks {
		wantFail := check.Name != "vendor_key" && check.Name != "policy"
		if (check.Status == preflight.Fail) != wantFail || wantFail && check.Mend == "" {
			t.Errorf("%+v", check)
		}
		if strings.HasPrefix(check.Name, "mint_") && !strings.Contains(check.Detail, "lacks the permission") {
			t.Errorf("%+v", check)
		}
	}
}

func TestCheckSaysWhatToChangeWhateverTheVendorHasAgainstTheKey(t *testing.T) {
	t.Parallel()
	h := build(t)
	for fault, says := range map[string][2]string{
		"key_invalid":       {"does not know the key", "ELEVENLABS_BASE_URL to that: https://api.elevenlabs.io, https://api.eu.residency.elevenlabs.io"},
		"key_id_as_key":     {"the key's id", "ELEVENLABS_API_KEY to the key itself"},
		"scope_missing":     {"lacks the permission speech_to_text", "give it to the key"},
		"credits_exhausted": {"credits", "raise the key's credit quota, or buy credits"},
		"plan_too_low":      {"plan does not include", "change the plan"},
		"address_refused":   {`and says "Your address is not allowed."`, "the key's allowed addresses"},
	} {
		h.inject(`{"operation":"mint","fault":"` + fault + `"}`)
		c := h.check("", nil)
		line := regexp.MustCompile(`(?m)^fail  mint_tts_websocket .*$`).FindString(c.stdout)
		if c.status != 1 || c.stderr != "" || !strings.Contains(line, says[0]) || !strings.Contains(line, says[1]) {
			t.Errorf("%s: status %d\n%s\n%s", fault, c.status, c.stdout, c.stderr)
		}
		c = h.check("", []string{"--json"})
		for _, check := range report[preflight.Report](t, c).Checks {
			if check.Name == "mint_tts_websocket" && (c.status != 1 || !strings.Contains(check.Detail, says[0]) || !strings.Contains(check.Mend, says[1])) {
				t.Errorf("%s, as JSON: status %d, %+v", fault, c.status, check)
			}
		}
		if a := do(t, http.MethodDelete, h.sandbox+"/_sandbox/faults", nil, ""); a.status != http.StatusNoContent {
			t.Fatalf("clear: %d", a.status)
		}
	}
}

func TestCheckWarnsOfARedisThatEvicts(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.redisURL = startRedis(t, "--maxmemory-policy", "allkeys-lru").URL
	if c := h.check("", nil); c.status != 0 || !strings.Contains(c.stdout, "warn  redis_eviction") || !strings.Contains(c.stdout, "allkeys-lru") {
		t.Errorf("status %d\n%s", c.status, c.stdout)
	}
}

func TestCheckTellsFaultsOfSettingsFromFailures(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "http://127.0.0.1:1", "redis://127.0.0.1:1")
	policy := writeFile(t, filepath.Join(t.TempDir(), "policy.yaml"), "tokens: {batch: {}}\n")
	c := h.check("", nil, "REDIS_URL=", "FAREBOX_POLICY_FILE="+policy)
	if c.status != 2 || c.stdout != "" || !strings.Contains(c.stderr, "REDIS_URL") || !strings.Contains(c.stderr, "policy.yaml:1:10") {
		t.Errorf("status %d\n%s\n%s", c.status, c.stdout, c.stderr)
	}
	if c := h.check("", []string{"--sesion", "x"}); c.status != 2 {
		t.Errorf("an unknown flag: status %d", c.status)
	}
	if c := h.check("", []string{"-h"}); c.status != 0 || !strings.Contains(c.stderr, "standard input") {
		t.Errorf("help: status %d\n%s", c.status, c.stderr)
	}
}

func TestCheckExplainsASession(t *testing.T) {
	t.Parallel()
	h := build(t)
	policy := writeFile(t, filepath.Join(t.TempDir(), "policy.yaml"), "tokens:\n  realtime_scribe: {per_user: 7/1m}\n  batch_scribe:\n    allow: '\"admin\" in scopes'\n")
	setting := "FAREBOX_POLICY_FILE=" + policy
	old := jwt.MapClaims{"iat": time.Now().Add(-time.Minute).Unix(), "sid": "session-1"}
	tests := map[string]struct {
		raw    string
		status int
		says   []string
	}{
		"good, but for one type": {h.session("ada", old), 0, []string{
			"ok    session", `subject "ada"`, `issuer "` + testIssuer + `"`, `session id "session-1"`,
			"ok    realtime_scribe  7/1m a user", "no    batch_scribe     policy.yaml line 4, tokens.batch_scribe.allow, is false",
			"no    tts_websocket    the policy does not name it",
		}},
		"expired":          {h.session("ada", jwt.MapClaims{"exp": time.Now().Add(-time.Hour).Unix()}), 1, []string{"fail  session", "exp is past"}},
		"another audience": {h.session("ada", jwt.MapClaims{"aud": "other"}), 1, []string{"another audience; FAREBOX_SESSION_AUDIENCE decides this"}},
		"empty":            {"", 1, []string{"not three parts"}},
	}
	for name, test := range tests {
		// By standard input; the list of processes never has it.
		c := h.check(test.raw, []string{"--session", "-"}, setting)
		if c.status != test.status {
			t.Errorf("%s: status %d\n%s\n%s", name, c.status, c.stdout, c.stderr)
		}
		for _, words := range test.says {
			if !strings.Contains(c.stdout, words) {
				t.Errorf("%s: it lacks %q:\n%s", name, words, c.stdout)
			}
		}
		if asArgument := h.check("", []string{"--session", test.raw}, setting); asArgument != c {
			t.Errorf("%s: as an argument: %+v", name, asArgument)
		}
	}

	good := h.session("ada", old)
	s := report[preflight.Session](t, h.check(good, []string{"--json", "--session", "-"}, setting))
	if !s.OK || s.Who == nil || s.Who.SubjectHash == "" || len(s.Verdicts) != 3 {
		t.Errorf("session = %+v", s)
	}
	if status, printed := h.revoke("--sub", "ada"); status != 0 {
		t.Fatalf("revoke: %s", printed)
	}
	c := h.check(good, []string{"--session", "-"}, setting)
	if c.status != 1 || !strings.Contains(c.stdout, "fail  session          it was ended") || !strings.Contains(c.stdout, `subject "ada"`) {
		t.Errorf("revoked: status %d\n%s", c.status, c.stdout)
	}
	// The list of another process' embedded Redis is not empty, but unknown.
	if c := h.check(good, []string{"--session", "-"}, setting, "REDIS_URL=memory:"); c.status != 0 || !strings.Contains(c.stdout, "warn  ended            REDIS_URL is memory:") {
		t.Errorf("embedded: status %d\n%s", c.status, c.stdout)
	}
	if mints := h.mints(); mints != 0 {
		t.Errorf("explaining minted %d tokens", mints)
	}
}
