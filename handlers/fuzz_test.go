package handlers_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"farebox/handlers"
	"farebox/internal/dispenser"
	"farebox/internal/health"
	"farebox/internal/identity"
	"farebox/internal/policy"
	"farebox/internal/secret"
	"farebox/session"
	vendorclient "farebox/vendor_client"

	"github.com/golang-jwt/jwt/v5"
)

// Whatever a request's headers are, it is answered with sense, and a token only
// where the session is the good one, and comes from one of our pages where a
// browser adds it by itself.
func FuzzRequestHeaders(f *testing.F) {
	raw, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": "https://issuer.example", "aud": "farebox", "sub": "ada", "exp": 1790003600,
	}).SignedString([]byte(sessionKey))
	if err != nil {
		f.Fatal(err)
	}
	const listed, foreign, wild = "https://app.example.com", "https://evil.example", "https://pr-1.preview.example.com"
	type seed struct{ authorization, cookie, proxy, origin, site, key, forwarded, id string }
	for _, s := range []seed{
		{},
		{authorization: "Bearer " + raw, key: "attempt-1", forwarded: "203.0.113.1", id: "id-1"},
		{authorization: "bearer  " + raw + " ", key: `"attempt-1"`, origin: foreign},
		{authorization: "Bearer " + raw + "\n"},
		{authorization: "Bearer", cookie: "session=" + raw, site: "same-origin"},
		{authorization: "Basic YTpi", cookie: "session=" + raw, origin: listed},
		{cookie: "session=" + raw, origin: foreign, site: "cross-site"},
		{cookie: "session=" + raw, origin: wild, site: "same-site"},
		{cookie: "session=" + raw + "; session=x", site: "same-origin"},
		{cookie: `session="` + raw + `"`, site: "same-origin"},
		{cookie: "session=" + raw, site: "same-origin, cross-site"},
		{cookie: "session=" + raw, origin: "http://farebox.example"},
		{proxy: raw, origin: "null"},
		{proxy: raw, origin: listed, forwarded: "unknown, [2001:db8::1]:1, 127.0.0.1"},
		{proxy: "Bearer " + raw, site: "same-origin", key: `"a";b=1`},
		{proxy: raw, cookie: "session=" + raw, site: "same-origin"},
		{authorization: "Bearer " + raw, key: strings.Repeat("k", 256), id: "<script>"},
		{authorization: "Bearer " + raw, key: "\x00", id: strings.Repeat("i", 129), forwarded: strings.Repeat(",", 99)},
	} {
		f.Add(s.authorization, s.cookie, s.proxy, s.origin, s.site, s.key, s.forwarded, s.id)
	}
	handler := fuzzedHandler(f)
	f.Fuzz(func(t *testing.T, authorization, cookie, proxy, origin, site, key, forwarded, id string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://farebox.example"+scribePath, nil)
		r.RemoteAddr = "127.0.0.1:1"
		for name, value := range map[string]string{
			"Authorization": authorization, "Cookie": cookie, "X-Session": proxy, "Origin": origin,
			"Sec-Fetch-Site": site, "Idempotency-Key": key, "X-Forwarded-For": forwarded, "X-Request-Id": id,
		} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		checkFuzzedAnswer(t, w)
		if w.Code != http.StatusOK {
			return
		}
		isBearer := len(authorization) > 6 && strings.EqualFold(authorization[:7], "Bearer ") && strings.Trim(authorization[7:], " ") == raw
		ofOurPages := site == "same-origin" || origin == listed || strings.EqualFold(origin, "http://farebox.example") || strings.EqualFold(origin, "https://farebox.example")
		switch {
		case isBearer:
		case !strings.Contains(cookie, raw) && proxy != raw:
			t.Error("a token without a session")
		case !ofOurPages && !sameHost(origin):
			t.Errorf("a token for a cookie from %q, %q", origin, site)
		}
		if given := w.Header().Get("Access-Control-Allow-Origin"); given != "" && given != listed && !strings.HasSuffix(given, ".preview.example.com") {
			t.Errorf("%q may read it", given)
		}
	})
}

// sameHost reports whether origin is one of the server's, in odd spelling.
func sameHost(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && strings.EqualFold(u.Host, "farebox.example")
}

// checkFuzzedAnswer checks what holds of every answer.
func checkFuzzedAnswer(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%d without JSON: %v", w.Code, err)
	}
	if w.Code >= 500 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w.Header().Get("X-Request-Id") == "" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("headers = %v", w.Header())
	}
	for name, values := range w.Header() {
		if strings.ContainsAny(strings.Join(values, ""), "\r\n\x00") {
			t.Errorf("%s = %q", name, values)
		}
	}
	if w.Code != http.StatusOK && body["status"] != float64(w.Code) {
		t.Errorf("%d with %s", w.Code, w.Body)
	}
}

// fuzzedHandler is the public handler with a clock that stands still and a
// dispenser of one token.
func fuzzedHandler(f *testing.F) http.Handler {
	now := func() time.Time { return time.Unix(1_790_000_000, 0) }
	keys, err := session.NewHS256(secret.New(sessionKey))
	if err != nil {
		f.Fatal(err)
	}
	verifier, err := session.NewVerifier(session.Config{
		Issuer: "https://issuer.example", Audiences: []string{"farebox"}, MaxLifetime: 24 * time.Hour, Keys: keys, Now: now,
	})
	if err != nil {
		f.Fatal(err)
	}
	hasher, err := identity.NewHasher([]secret.Text{secret.New("a deployment secret of more than 32 bytes")})
	if err != nil {
		f.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	handler, err := handlers.New(handlers.Config{
		Verifier: verifier, Policy: policy.Default("realtime_scribe"), Hasher: hasher, Audit: nobody{}, Board: health.NewBoard(now, log),
		Agents:    &vendor{},
		Dispenser: grants{dispenser.Grant{Token: secret.New("t"), Type: vendorclient.RealtimeScribe, ExpiresAt: now().Add(15 * time.Minute)}},
		Cookie:    "session", Header: "X-Session",
		Origins:        origins(f, "https://app.example.com,https://*.preview.example.com"),
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Addresses:      func(*http.Request) (string, string) { return "https://vendor.example", "wss://vendor.example" },
		RequestTimeout: 10 * time.Second, Now: now, Log: log,
	})
	if err != nil {
		f.Fatal(err)
	}
	return handler
}
