package handlers_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"farebox/handlers"

	"github.com/google/go-cmp/cmp"
)

func TestCORS(t *testing.T) {
	t.Parallel()
	s := start(t)
	const requested = "authorization,idempotency-key"
	preflight := func(origin string) answer {
		return s.do(t, call{method: http.MethodOptions, header: with(nil, "Origin", origin,
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", requested)})
	}
	for origin, credentials := range map[string]string{"https://app.example.com": "true", "https://pr-1.preview.example.com": ""} {
		a := preflight(origin)
		if a.StatusCode != http.StatusNoContent {
			t.Fatalf("preflight of %s: %d", origin, a.StatusCode)
		}
		got := map[string]string{}
		for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Access-Control-Max-Age", "Vary"} {
			got[name] = a.Header.Get(name)
		}
		want := map[string]string{
			"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": credentials,
			"Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, X-Request-Id, traceparent, tracestate, baggage, sentry-trace",
			"Access-Control-Max-Age":       "7200", "Vary": "Origin",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		// On errors too.
		a = s.do(t, call{header: with(nil, "Origin", origin)})
		wantProblem(t, a, 401, "session_missing")
		if a.Header.Get("Access-Control-Allow-Origin") != origin ||
			a.Header.Get("Access-Control-Expose-Headers") != "Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, Idempotent-Replayed, WWW-Authenticate" {
			t.Errorf("headers = %v", a.Header)
		}
	}
	a := preflight("https://evil.example")
	wantProblem(t, a, 403, "origin_not_allowed")
	if a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a foreign origin is allowed")
	}
	if a := s.do(t, call{header: with(bearer(sign(t, nil)), "Origin", "https://evil.example")}); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a foreign origin may read")
	}
}

func TestWhatIsRefusedEarlyCanBeReadByListedOriginsToo(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *handlers.Config) {
		c.Guard = func(r *http.Request) string {
			return map[bool]string{true: "refused for a test"}[r.Host == "evil.example"]
		}
	})
	const origin = "https://app.example.com"
	for name, c := range map[string]call{
		"headers too large": {header: with(nil, "Origin", origin, "X-Padding", strings.Repeat("x", 40<<10))},
		"the guard":         {header: with(nil, "Origin", origin), host: "evil.example"},
	} {
		a := s.do(t, c)
		if a.StatusCode < 400 || a.Header.Get("Access-Control-Allow-Origin") != origin || a.Header.Get("Vary") != "Origin" {
			t.Errorf("%s: %d, %v", name, a.StatusCode, a.Header)
		}
	}
}

func TestABodyThatCannotBeReadIsMalformed(t *testing.T) {
	t.Parallel()
	s := start(t)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "POST "+scribePath+" HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil || response.StatusCode != 400 || body["code"] != "invalid_request" {
		t.Errorf("%d %v, %v", response.StatusCode, body, err)
	}
}

func TestEveryOriginMayReadTheSDKAndTheDescription(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, path := range []string{"/sdk/farebox.js", "/sdk/farebox.d.ts", "/sdk/farebox-voice.js", "/sdk/audio/recorder.worklet.js", "/openapi.yaml"} {
		for _, origin := range []string{"https://evil.example", "https://app.example.com", ""} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				a := s.do(t, call{method: method, path: path, header: with(nil, "Origin", origin)})
				if a.StatusCode != 200 || a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("Access-Control-Allow-Credentials") != "" ||
					a.Header.Get("ETag") == "" || (a.raw == "") != (method == http.MethodHead) {
					t.Errorf("%s %s from %q: %d, %v", method, path, origin, a.StatusCode, a.Header)
				}
			}
		}
		wantProblem(t, s.do(t, call{path: path}), 405, "method_not_allowed")
	}
	s.logMu.Lock()
	defer s.logMu.Unlock()
	if strings.Contains(s.log.String(), "origin not allowed") {
		t.Error("a page that loads the SDK is logged as refused")
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	s := start(t)
	for given, kept := range map[string]bool{
		"abc-1_2.3": true, "": false, "with space": false, strings.Repeat("x", 129): false, "<script>": false,
	} {
		a := s.do(t, call{header: http.Header{"X-Request-Id": {given}}})
		got := a.Header.Get("X-Request-Id")
		if got == "" || (got == given) != kept {
			t.Errorf("%q gives %q", given, got)
		}
	}
}

// An id goes into the log and the audit.
func TestASecretThatStrayedIntoTheRequestsIDIsNotTakenForOne(t *testing.T) {
	t.Parallel()
	s := start(t)
	const session, signature = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.", "3kPq0mVz8sJ1nXy5RtB7uWc2LdFh6GaE"
	for what, header := range map[string]http.Header{
		"a session":                  {"X-Request-Id": {session + signature}},
		"a token":                    {"X-Request-Id": {"sutkn_1234567890"}},
		"a key":                      {"X-Request-Id": {"sk_1234567890"}},
		"a signature of the session": {"X-Request-Id": {signature}, "Authorization": {"Bearer " + session + signature}},
		"a part of the cookie":       {"X-Request-Id": {signature[:12]}, "Cookie": {"session=" + signature}},
		"the Idempotency-Key":        {"X-Request-Id": {"attempt-1"}, "Idempotency-Key": {`"attempt-1"`}},
	} {
		a := s.do(t, call{header: header})
		if id := header.Get("X-Request-Id"); a.Header.Get("X-Request-Id") == id || strings.Contains(s.log.String(), id) {
			t.Errorf("%s is taken", what)
		}
	}
	if a := s.do(t, call{header: http.Header{"X-Request-Id": {"k1"}, "Idempotency-Key": {"k1"}}}); a.Header.Get("X-Request-Id") != "k1" {
		t.Error("an id too short to tell is not taken")
	}
}

func TestAnOriginThatNoBrowserWritesIsNotShown(t *testing.T) {
	t.Parallel()
	s := start(t)
	const canary = "Qm7xZt4wKd9L"
	for _, origin := range []string{canary, "https://" + canary + ".example", "https://evil.example/?" + canary, "https://u:" + canary + "@evil.example", "https://evil.example#" + canary} {
		s.do(t, call{header: http.Header{"Origin": {origin}}})
	}
	if text := s.log.String(); strings.Contains(text, canary) || strings.Count(text, "none that a browser writes") != 5 {
		t.Errorf("the log:\n%s", text)
	}
	s.do(t, call{header: http.Header{"Origin": {"https://evil.example:8443"}}})
	if !strings.Contains(s.log.String(), "evil.example:8443") {
		t.Error("an origin that is not allowed is not named")
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	s := start(t)
	keys := s.board.Lamp("session_keys", true)
	ops := httptest.NewServer(handlers.NewOps(s.board, http.NotFoundHandler()))
	t.Cleanup(ops.Close)
	get := func(address string) (int, string) {
		t.Helper()
		response, err := http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var body map[string]any
		_ = json.NewDecoder(response.Body).Decode(&body)
		text, _ := json.Marshal(body)
		return response.StatusCode, string(text)
	}
	check := func(path string, base string, want int) {
		t.Helper()
		if got, body := get(base + path); got != want {
			t.Errorf("%s = %d %s, want %d", path, got, body, want)
		}
	}
	check("/health/live", s.URL, 200)
	check("/health/ready", s.URL, 503)
	check("/livez", ops.URL, 200)
	check("/readyz", ops.URL, 503)
	keys.Up()
	check("/health/ready", s.URL, 200)
	check("/readyz", ops.URL, 200)
	s.board.Drain()
	check("/health/live", s.URL, 200)
	check("/health/ready", s.URL, 503)
	_, body := get(ops.URL + "/readyz")
	for _, word := range []string{`"status":"not_ready"`, `"draining":true`, `"session_keys":{`, `"since":"`} {
		if !strings.Contains(body, word) {
			t.Errorf("/readyz lacks %s: %s", word, body)
		}
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/debug/pprof/"} {
		wantProblem(t, s.do(t, call{method: http.MethodGet, path: path}), 404, "not_found")
	}
}

func TestTheGuardAnswersAProblem(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *handlers.Config) {
		c.Guard = func(r *http.Request) string {
			if r.Host == "evil.example" {
				return "refused for a test"
			}
			return ""
		}
	})
	a := s.do(t, call{header: bearer(sign(t, nil)), host: "evil.example"})
	wantProblem(t, a, 403, "origin_not_allowed")
	if a.body["detail"] != "refused for a test" || s.vendor.count() != 0 {
		t.Errorf("detail = %v after %d vendor calls", a.body["detail"], s.vendor.count())
	}
}

func TestNewRefusesAnIncompleteConfig(t *testing.T) {
	t.Parallel()
	if _, err := handlers.New(handlers.Config{}); err == nil {
		t.Error("an empty Config was taken")
	}
}
