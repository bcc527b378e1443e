package sandbox_test

import (
	"net/http"
	"strings"
	"testing"

	"farebox/internal/localguard"
	"farebox/internal/sandbox"

	"github.com/coder/websocket"
)

func (v *vendor) ask(t *testing.T, method, path string, header http.Header) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, v.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	r.Host = header.Get("Host")
	response, err := v.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return reply{status: response.StatusCode, header: response.Header}
}

func TestOtherSitesAreKeptAway(t *testing.T) {
	t.Parallel()
	v := start(t)
	for name, tt := range map[string]struct {
		method, path string
		header       http.Header
		status       int
	}{
		"a rebound name":                {"GET", "/v1/models", http.Header{"Host": {"evil.example"}, "Xi-Api-Key": {"k"}}, 403},
		"a rebound name at the control": {"GET", "/_sandbox/calls", http.Header{"Host": {"evil.example"}}, 403},
		"a foreign page's mint":         {"POST", "/v1/single-use-token/batch_scribe", http.Header{"Origin": {"https://evil.example"}, "Xi-Api-Key": {"k"}}, 403},
		"a foreign page's fault":        {"POST", "/_sandbox/faults", http.Header{"Origin": {"null"}}, 403},
		"a foreign page's clearing":     {"DELETE", "/_sandbox/calls", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		"two keys at once":              {"GET", "/v1/models", http.Header{"Xi-Api-Key": {"k", "l"}}, 401},
		"a real key behind another":     {"GET", "/v1/models", http.Header{"Xi-Api-Key": {"k", "sk_abc"}}, 401},
		"this machine":                  {"GET", "/v1/models", http.Header{"Host": {"localhost"}, "Xi-Api-Key": {"k"}}, 200},
	} {
		a := v.ask(t, tt.method, tt.path, tt.header)
		if a.status != tt.status || a.header.Get("X-Farebox-Sandbox") != "true" {
			t.Errorf("%s: %d %v", name, a.status, a.header)
		}
	}
	for _, call := range v.Calls() {
		if call.Status == 403 || len(call.Key) != 12 {
			t.Errorf("recorded: %+v", call)
		}
	}
	if n := len(v.Calls()); n != 2 {
		t.Errorf("%d calls were recorded, not the two that came without a real key", n)
	}
}

func TestSocketsTakeLocalPagesAlone(t *testing.T) {
	t.Parallel()
	v := start(t)
	for _, path := range []string{scribePath, "/v1/text-to-speech/v/stream-input?", "/v1/text-to-speech/v/multi-stream-input?"} {
		for origin, status := range map[string]int{"http://localhost:5173": 101, "https://evil.example": 403, "null": 403} {
			conn, response, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(v.URL, "http")+path, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
			if err == nil {
				_ = conn.CloseNow()
			}
			if response == nil || response.StatusCode != status {
				t.Errorf("%s from %s: %v", path, origin, err)
			}
		}
	}
}

func TestLocalPagesMayTranscribeAcrossOrigins(t *testing.T) {
	t.Parallel()
	v := start(t)
	preflight := func(origin string) reply {
		return v.ask(t, http.MethodOptions, "/v1/speech-to-text", http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"POST"}})
	}
	for _, a := range []reply{
		preflight("http://localhost:5173"),
		v.ask(t, http.MethodPost, "/v1/speech-to-text", http.Header{"Origin": {"http://localhost:5173"}}),
	} {
		if a.header.Get("Access-Control-Allow-Origin") != "http://localhost:5173" || a.header.Get("Vary") != "Origin" {
			t.Errorf("a local page: %d %v", a.status, a.header)
		}
	}
	if a := preflight("https://evil.example"); a.status == 204 || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a foreign page: %d %v", a.status, a.header)
	}
}

func TestRedeemAndControlStandAlone(t *testing.T) {
	t.Parallel()
	v := start(t)
	for name, tt := range map[string]struct {
		handler      http.Handler
		method, path string
		status       int
	}{
		"redeeming does not mint":           {v.Redeem(), "POST", "/v1/single-use-token/batch_scribe", 501},
		"redeeming has no control":          {v.Redeem(), "GET", "/_sandbox/", 501},
		"redeeming knows its own":           {v.Redeem(), "POST", "/v1/speech-to-text", 422},
		"control has nothing of the vendor": {v.Control(), "GET", "/v1/models", 404},
		"control knows its own":             {v.Control(), "GET", "/_sandbox/", 200},
	} {
		if a := serve(tt.handler, tt.method, tt.path); a.Code != tt.status {
			t.Errorf("%s: %d", name, a.Code)
		}
	}
	guarded, err := sandbox.New(sandbox.Config{Guard: localguard.Guard{Hosts: []string{"example.com"}}})
	if err != nil {
		t.Fatal(err)
	}
	// httptest's requests are for example.com.
	if a := serve(guarded.Handler(), "GET", "/_sandbox/"); a.Code != 200 {
		t.Errorf("a listed host: %d", a.Code)
	}
	if a := serve(v.Handler(), "GET", "/_sandbox/"); a.Code != 403 {
		t.Errorf("an unlisted host: %d", a.Code)
	}
}
