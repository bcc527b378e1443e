package localguard_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"farebox/internal/localguard"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	g := localguard.Guard{Hosts: []string{"192.168.1.7"}}
	tests := map[string]struct {
		method, host string
		header       http.Header
		refused      bool
	}{
		"localhost":                        {"GET", "localhost:8080", nil, false},
		"localhost without port":           {"GET", "localhost", nil, false},
		"localhost with the root's dot":    {"GET", "localhost.:8080", nil, false},
		"a name below localhost":           {"GET", "app.localhost:8080", nil, false},
		"IPv4 loopback":                    {"GET", "127.0.0.1:8080", nil, false},
		"another IPv4 loopback":            {"GET", "127.8.9.1", nil, false},
		"IPv6 loopback":                    {"GET", "[::1]:8080", nil, false},
		"IPv4 loopback mapped to IPv6":     {"GET", "[::ffff:127.0.0.1]:8080", nil, false},
		"a listed host":                    {"POST", "192.168.1.7:8080", nil, false},
		"an unlisted host":                 {"GET", "192.168.1.8:8080", nil, true},
		"a rebound name":                   {"GET", "evil.example:8080", nil, true},
		"a name that begins like loopback": {"GET", "127.0.0.1.evil.example", nil, true},
		"a name that begins as localhost":  {"GET", "localhost.evil.example", nil, true},
		"no host":                          {"GET", "", nil, true},
		"a post without any origin":        {"POST", "localhost", nil, false},
		"a post from a loopback origin":    {"POST", "localhost", http.Header{"Origin": {"http://localhost:5173"}}, false},
		"a post from a foreign origin":     {"POST", "localhost", http.Header{"Origin": {"https://evil.example"}}, true},
		"a post from origin null":          {"POST", "localhost", http.Header{"Origin": {"null"}}, true},
		"a post with two origins":          {"POST", "localhost", http.Header{"Origin": {"http://localhost", "https://evil.example"}}, true},
		"a post that is cross-site":        {"POST", "localhost", http.Header{"Sec-Fetch-Site": {"cross-site"}}, true},
		"a post that is same-origin":       {"POST", "localhost", http.Header{"Sec-Fetch-Site": {"same-origin"}}, false},
		"a delete from a foreign origin":   {"DELETE", "localhost", http.Header{"Origin": {"https://evil.example"}}, true},
		"a get from a foreign origin":      {"GET", "localhost", http.Header{"Origin": {"https://evil.example"}}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(tt.method, "/", nil)
			r.Host = tt.host
			for k, v := range tt.header {
				r.Header[k] = v
			}
			if got := g.Check(r); (got != "") != tt.refused {
				t.Errorf("Check() = %q, want refused = %v", got, tt.refused)
			}
		})
	}
}

func TestWhatLooksLikeARealKey(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{"sk_abc": true, " sk_abc\n": true, "sandbox": false, "": false, "SK_abc": false, "xsk_abc": false} {
		if got := localguard.RealKey(key); got != want {
			t.Errorf("RealKey(%q) = %v", key, got)
		}
	}
}
