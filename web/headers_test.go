package web

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// directives are those of a policy, by name.
func directives(policy string) map[string][]string {
	all := map[string][]string{}
	for directive := range strings.SplitSeq(policy, ";") {
		words := strings.Fields(directive)
		all[words[0]] = words[1:]
	}
	return all
}

// index is the answer for a caller who used host.
func index(t *testing.T, cfg Config, host string, overTLS bool) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = host
	if overTLS {
		r.TLS = &tls.ConnectionState{}
	}
	w := httptest.NewRecorder()
	newPage(t, cfg).ServeIndex(w, r, Visitor{})
	return w
}

func TestThePageIsConfined(t *testing.T) {
	t.Parallel()
	w := index(t, Config{}, "voice.example.com", true)
	want := map[string][]string{
		"default-src":               {"'none'"},
		"script-src":                {"'self'"},
		"worker-src":                {"'self'"},
		"style-src":                 {"'self'"},
		"img-src":                   {"'self'"},
		"connect-src":               {"'self'"},
		"base-uri":                  {"'none'"},
		"form-action":               {"'self'"},
		"frame-ancestors":           {"'none'"},
		"require-trusted-types-for": {"'script'"},
		"trusted-types":             {"'none'"},
	}
	if diff := cmp.Diff(want, directives(w.Header().Get("Content-Security-Policy"))); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	for name, value := range map[string]string{
		"Cache-Control":                "no-store",
		"Content-Type":                 "text/html; charset=utf-8",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Referrer-Policy":              "no-referrer",
		"X-Content-Type-Options":       "nosniff",
	} {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
}

func TestThePageMayUseTheMicrophoneAndNothingElse(t *testing.T) {
	t.Parallel()
	var allowed []string
	denied := 0
	for feature := range strings.SplitSeq(index(t, Config{}, "a", false).Header().Get("Permissions-Policy"), ", ") {
		if name, isDenied := strings.CutSuffix(feature, "=()"); isDenied && name != "" {
			denied++
			continue
		}
		allowed = append(allowed, feature)
	}
	if !slices.Equal(allowed, []string{"microphone=(self)"}) || denied < 10 {
		t.Errorf("allowed %q, denied %d", allowed, denied)
	}
}

func TestThePageMayConnectToWhereTokensAreRedeemed(t *testing.T) {
	t.Parallel()
	vendor := []string{"https://api.elevenlabs.io", "wss://api.elevenlabs.io"}
	for name, c := range map[string]struct {
		cfg     Config
		host    string
		overTLS bool
		want    []string
	}{
		"the vendor":                                {Config{VendorOrigins: vendor}, "voice.example.com", true, append([]string{"'self'"}, vendor...)},
		"a vendor on loopback":                      {Config{VendorOrigins: []string{"http://127.0.0.1:8081", "ws://[::1]:8081"}}, "a", false, []string{"'self'", "http://127.0.0.1:8081", "ws://[::1]:8081"}},
		"dev's own sockets":                         {Config{Dev: true}, "localhost:8080", false, []string{"'self'", "ws://localhost:8080"}},
		"dev's own sockets over TLS":                {Config{Dev: true}, "127.0.0.1:8443", true, []string{"'self'", "wss://127.0.0.1:8443"}},
		"dev's own sockets by IPv6":                 {Config{Dev: true}, "[::1]:8080", false, []string{"'self'", "ws://[::1]:8080"}},
		"in dev, a host that would add a directive": {Config{Dev: true}, "a; script-src *", false, []string{"'self'"}},
		"in dev, a host that would add a source":    {Config{Dev: true}, "a https:", false, []string{"'self'"}},
		"in dev, a host with a wildcard":            {Config{Dev: true}, "*:8080", false, []string{"'self'"}},
		"in dev, a host with an odd port":           {Config{Dev: true}, "a:*", false, []string{"'self'"}},
		"in dev, a host that is no address":         {Config{Dev: true}, "[::1;]:80", false, []string{"'self'"}},
		"in dev, a bracket that does not close":     {Config{Dev: true}, "[::1:80", false, []string{"'self'"}},
		"in dev, no host":                           {Config{Dev: true}, "", false, []string{"'self'"}},
		"not the host of the caller outside dev":    {Config{}, "voice.example.com", true, []string{"'self'"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy := index(t, c.cfg, c.host, c.overTLS).Header().Get("Content-Security-Policy")
			if diff := cmp.Diff(c.want, directives(policy)["connect-src"]); diff != "" {
				t.Errorf("connect-src (-want +got):\n%s", diff)
			}
			if got := directives(policy)["script-src"]; !slices.Equal(got, []string{"'self'"}) {
				t.Errorf("script-src is %q", got)
			}
		})
	}
}

func TestHeadOfThePageHasNoBody(t *testing.T) {
	t.Parallel()
	response, body := send(t, http.MethodHead, serve(t, Config{}, Visitor{})+"/", nil)
	if response.StatusCode != http.StatusOK || body != "" || response.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("status %d, %d bytes, policy %q", response.StatusCode, len(body), response.Header.Get("Content-Security-Policy"))
	}
}
