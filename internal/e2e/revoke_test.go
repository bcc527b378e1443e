//go:build real

package e2e_test

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// revoke runs the command with the few settings that it needs.
func (h *house) revoke(args ...string) (status int, printed string) {
	h.t.Helper()
	p := start(h.t, append([]string{"revoke"}, args...),
		"REDIS_URL="+h.redis.URL, "FAREBOX_SECRET="+deploymentSecret, "FAREBOX_SESSION_ISSUER="+testIssuer)
	return p.wait(), p.text()
}

// heard is how many endings a replica has learnt of.
func (r *replica) heard() (n int) {
	for _, match := range regexp.MustCompile(`"msg":"sessions were ended","endings":(\d+)`).FindAllStringSubmatch(r.text(), -1) {
		more, _ := strconv.Atoi(match[1])
		n += more
	}
	return n
}

func TestASessionThatIsRevokedIsRefusedByAllReplicas(t *testing.T) {
	t.Parallel()
	h := build(t)
	replicas := []*replica{h.serve(), h.serve()}
	old := jwt.MapClaims{"iat": time.Now().Add(-time.Minute).Unix(), "sid": "session-1", "jti": "jwt-1"}
	sessions := map[string]string{
		"--sub": h.session("ada", old), "--sid": h.session("bob", old), "--jti": h.session("carol", old),
	}
	for _, r := range replicas {
		for flag, session := range sessions {
			if a := mint(t, r.url, scribePath, session, "key"+flag); a.status != 200 {
				t.Fatalf("before: %d %s", a.status, a.raw)
			}
		}
	}
	before := h.mints()
	names := map[string]string{"--sub": "ada", "--sid": "session-1", "--jti": "jwt-1"}
	for _, flag := range []string{"--jti", "--sub", "--sid"} {
		status, printed := h.revoke(flag, names[flag])
		if status != 0 || !strings.Contains(printed, "Ended.") || !strings.Contains(printed, `"event":"session_revoked"`) {
			t.Fatalf("revoke %s: status %d\n%s", flag, status, printed)
		}
		// The audit has hashes alone.
		if strings.Contains(printed, names[flag]) {
			t.Errorf("revoke %s printed whom it ended:\n%s", flag, printed)
		}
		for i, r := range replicas {
			// By the script at once, a kept answer or not.
			for _, key := range []string{"", "key" + flag} {
				a := mint(t, r.url, scribePath, sessions[flag], key)
				if a.status != 401 || a.body["code"] != "session_revoked" || a.header.Get("WWW-Authenticate") != `Bearer error="invalid_token"` {
					t.Errorf("%s, replica %d: %d %s", flag, i, a.status, a.raw)
				}
			}
		}
	}
	if a := mint(t, replicas[0].url, scribePath, h.session("dave", jwt.MapClaims{"iat": old["iat"], "sid": "session-2"}), ""); a.status != 200 {
		t.Errorf("another's session: %d %s", a.status, a.raw)
	}
	if n := h.mints() - before; n > 1 {
		t.Errorf("%d mints, of one that was allowed", n)
	}
	// Each replica knows by itself, and for good.
	for _, r := range replicas {
		h.eventually("it has heard of all", func() bool { return r.heard() == 3 })
	}
	h.redis.Kill()
	for i, r := range replicas {
		if a := mint(t, r.url, scribePath, sessions["--sid"], ""); a.status != 401 || a.body["code"] != "session_revoked" {
			t.Errorf("without Redis, replica %d: %d %s", i, a.status, a.raw)
		}
	}
	strict := h.serve("FAREBOX_REQUIRE_REVOCATION=true")
	if a := mint(t, strict.url, scribePath, h.session("erin", nil), ""); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("without Redis, where revocation is required: %d %s", a.status, a.raw)
	}
	if status, printed := h.revoke("--sub", "ada"); status != 1 || !strings.Contains(printed, "do it again") {
		t.Errorf("revoke without Redis: status %d\n%s", status, printed)
	}
}

func TestAProvidersLogoutEndsTheSessionOnAllReplicas(t *testing.T) {
	t.Parallel()
	h := build(t)
	replicas := []*replica{h.serve("FAREBOX_LOGOUT_AUDIENCE=client"), h.serve()}
	session := h.session("ada", jwt.MapClaims{"sid": "session-1"})
	for _, r := range replicas {
		if a := mint(t, r.url, scribePath, session, ""); a.status != 200 {
			t.Fatalf("before: %d %s", a.status, a.raw)
		}
	}
	token := h.session("ada", jwt.MapClaims{
		"aud": "client", "sid": "session-1", "jti": "logout-1",
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	})
	send := func(r *replica) answer {
		return do(t, http.MethodPost, r.url+"/backchannel-logout", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, "logout_token="+token)
	}
	if a := send(replicas[1]); a.status != 404 {
		t.Errorf("where it is not set up: %d %s", a.status, a.raw)
	}
	if a := send(replicas[0]); a.status != 200 || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("logout: %d %s", a.status, a.raw)
	}
	for i, r := range replicas {
		if a := mint(t, r.url, scribePath, session, ""); a.status != 401 || a.body["code"] != "session_revoked" {
			t.Errorf("replica %d: %d %s", i, a.status, a.raw)
		}
	}
	if a := send(replicas[0]); a.status != 400 || a.body["error"] != "invalid_request" {
		t.Errorf("once more: %d %s", a.status, a.raw)
	}
}

func TestRevokeSaysWhatItNeeds(t *testing.T) {
	t.Parallel()
	h := &house{t: t}
	for _, args := range [][]string{nil, {"--sub", "a", "--sid", "b"}, {"--sub", ""}, {"ada"}} {
		p := start(t, append([]string{"revoke"}, args...), "REDIS_URL=redis://127.0.0.1:1", "FAREBOX_SECRET="+deploymentSecret, "FAREBOX_SESSION_ISSUER="+testIssuer)
		if status := p.wait(); status != 2 {
			t.Errorf("%v: status %d\n%s", args, status, p.text())
		}
	}
	p := start(h.t, []string{"revoke", "--sub", "ada"}, "REDIS_URL=memory:")
	status := p.wait()
	for _, name := range []string{"FAREBOX_SECRET", "FAREBOX_SESSION_ISSUER"} {
		if status != 2 || !strings.Contains(p.text(), name) {
			t.Errorf("%s is not asked for: status %d\n%s", name, status, p.text())
		}
	}
}
