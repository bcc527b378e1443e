package e2e_test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
)

func TestDevHandsOutATokenThatWorksOnce(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	session := d.signIn("ada")
	a := mint(t, d.url, scribePath, session, "k")
	if a.body["base_url"] != d.url || a.body["websocket_base_url"] != "ws"+strings.TrimPrefix(d.url, "http") {
		t.Errorf("addresses do not follow the caller's: %s", a.raw)
	}
	again := mint(t, d.url, scribePath, session, "k")
	if again.body["token"] != a.body["token"] || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the same key gave %s", again.raw)
	}
	wantWorksOnce(t, a)
	if b := mint(t, d.url, scribePath, session, ""); b.body["token"] == a.body["token"] {
		t.Error("a request without a key got the same token")
	}
	if ready := do(t, http.MethodGet, d.ops+"/readyz", nil, ""); ready.status != 200 || ready.body["status"] != "ready" {
		t.Errorf("readyz = %d %s", ready.status, ready.raw)
	}
}

func TestDevSignsInByFormAndCookieToo(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	a := do(t, http.MethodPost, d.url+"/dev/session", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, "sub=ada")
	if a.status != 200 || a.body["expires_in"] != float64(3600) || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("sign-in: %d %s", a.status, a.raw)
	}
	cookie := a.header.Get("Set-Cookie")
	for _, attribute := range []string{"HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, attribute) {
			t.Errorf("the cookie lacks %s: %s", attribute, strings.Split(cookie, ";")[1:])
		}
	}
	pair, _, _ := strings.Cut(cookie, ";")
	token := do(t, http.MethodPost, d.url+scribePath, http.Header{"Cookie": {pair}, "Sec-Fetch-Site": {"same-origin"}}, "")
	if token.status != 200 {
		t.Errorf("by cookie: %d %s", token.status, token.raw)
	}
	if bare := do(t, http.MethodPost, d.url+scribePath, http.Header{"Cookie": {pair}}, ""); bare.body["code"] != "origin_not_allowed" {
		t.Errorf("by cookie from nowhere: %s", bare.raw)
	}
	for _, body := range []string{"", "sub=", "sub=%zz", "sub=" + strings.Repeat("x", 201)} {
		if a := do(t, http.MethodPost, d.url+"/dev/session", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, body); a.status != 400 {
			t.Errorf("sign-in with %.20q: %d", body, a.status)
		}
	}
	expired := do(t, http.MethodPost, d.url+"/dev/session", http.Header{"Content-Type": {"application/json"}}, `{"sub":"ada","exp":1790000000}`)
	if a := mint(t, d.url, scribePath, expired.body["session"].(string), ""); a.body["code"] != "session_expired" {
		t.Errorf("an expired session: %s", a.raw)
	}
}

func TestDevKeepsOtherSitesAway(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	form := []string{"application/x-www-form-urlencoded"}
	for name, tt := range map[string]struct {
		method, url string
		header      http.Header
	}{
		"a rebound name at the page":         {http.MethodGet, d.url + "/", http.Header{"Host": {"evil.example"}}},
		"a rebound name at the sign-in":      {http.MethodPost, d.url + "/dev/session", http.Header{"Host": {"evil.example"}, "Content-Type": form}},
		"a rebound name at the sandbox":      {http.MethodGet, d.sandbox + "/v1/models", http.Header{"Host": {"evil.example"}, "Xi-Api-Key": {"x"}}},
		"a rebound name at the operators'":   {http.MethodGet, d.ops + "/readyz", http.Header{"Host": {"evil.example"}}},
		"a rebound name at its control":      {http.MethodGet, d.sandbox + "/_sandbox/calls", http.Header{"Host": {"evil.example"}}},
		"a foreign page at the sign-in":      {http.MethodPost, d.url + "/dev/session", http.Header{"Origin": {"https://evil.example"}, "Content-Type": form}},
		"a cross-site post at the sign-in":   {http.MethodPost, d.url + "/dev/session", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Content-Type": form}},
		"a foreign page at the token":        {http.MethodPost, d.url + scribePath, http.Header{"Origin": {"https://evil.example"}}},
		"a foreign page at the control":      {http.MethodPost, d.sandbox + "/_sandbox/faults", http.Header{"Origin": {"https://evil.example"}}},
		"a foreign page at dev's control":    {http.MethodPost, d.url + "/_sandbox/faults", http.Header{"Origin": {"null"}}},
		"a foreign page that clears records": {http.MethodDelete, d.sandbox + "/_sandbox/calls", http.Header{"Origin": {"https://evil.example"}}},
	} {
		if a := do(t, tt.method, tt.url, tt.header, "sub=ada"); a.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, a.status, a.raw)
		}
	}
	// A front end on another port of this machine is no other site.
	a := do(t, http.MethodPost, d.url+"/dev/session", http.Header{"Origin": {"http://localhost:5173"}, "Content-Type": form}, "sub=ada")
	if a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != "http://localhost:5173" {
		t.Errorf("a local front end: %d, allowed origin %q", a.status, a.header.Get("Access-Control-Allow-Origin"))
	}
}

func TestDevAndSandboxNeverTakeARealKey(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"dev", "sandbox"} {
		p := start(t, []string{command}, append(onLoopback, "ELEVENLABS_API_KEY=sk_0123456789abcdef0123456789abcdef")...)
		if status := p.wait(); status != 2 || !strings.Contains(p.text(), "ELEVENLABS_API_KEY") || strings.Contains(p.text(), "sk_0") {
			t.Errorf("%s: status %d: %s", command, status, p.text())
		}
	}
	d := startDev(t)
	a := do(t, http.MethodGet, d.sandbox+"/v1/models", http.Header{"Xi-Api-Key": {"sk_0123456789abcdef0123456789abcdef"}}, "")
	if a.status != 401 {
		t.Errorf("a real key at the sandbox: %d", a.status)
	}
	if calls := do(t, http.MethodGet, d.sandbox+"/_sandbox/calls", nil, ""); strings.Contains(calls.raw, "/v1/models") {
		t.Errorf("a call with a real key was recorded: %s", calls.raw)
	}
}

func TestASignalEndsItGracefully(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		d := startDev(t)
		d.signal(signal)
		if status := d.wait(); status != 0 {
			t.Errorf("%v: status %d", signal, status)
		}
	}
}
