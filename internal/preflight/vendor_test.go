package preflight_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"farebox/internal/policy"
	"farebox/internal/preflight"
	"farebox/internal/redisconn"
	"farebox/internal/secret"
	"farebox/session"
	vendorclient "farebox/vendor_client"
)

const (
	apiKey       = "canary-api-key-0123456789"
	vendorsToken = "sutkn_canary_token"
	vendorsWords = "canary words of the vendor"
)

// vendor answers like the vendor: each path with what the test says, all others
// well.
func vendor(t *testing.T, answers map[string]http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch answer, odd := answers[r.URL.Path]; {
		case odd:
			answer(w, r)
		case r.Header.Get("xi-api-key") != apiKey:
			w.WriteHeader(http.StatusUnauthorized)
		case r.Method == http.MethodGet && r.URL.Path == "/v1/models":
			_, _ = io.WriteString(w, `[{"model_id":"scribe_v2"}]`)
		case r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/v1/single-use-token/"):
			_, _ = io.WriteString(w, `{"token":"`+vendorsToken+`"}`)
		default:
			w.WriteHeader(http.StatusNotImplemented)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// config is one in which all is well, with an embedded Redis.
func config(t *testing.T, vendorURL string) preflight.Config {
	t.Helper()
	base, err := url.Parse(vendorURL)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := session.NewHS256(secret.New(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	redis, err := redisconn.Open(redisconn.Config{Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	return preflight.Config{
		Vendor: vendorclient.Config{
			BaseURL: base, Timeout: 5 * time.Second, Concurrency: 1, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		},
		APIKeys: []secret.Text{secret.New(apiKey)},
		Redis:   preflight.Redis{Conn: redis, Prefix: "farebox", FixedOwner: strings.Repeat("o", 32)},
		Keys:    keys, KeysSetting: "FAREBOX_SESSION_HS256_SECRET",
		Policy: policy.Default(vendorclient.TokenTypeNames()...),
	}
}

// run returns the results by name, and all that was told.
func run(t *testing.T, cfg preflight.Config) (map[string]preflight.Result, string) {
	t.Helper()
	var told strings.Builder
	report, err := preflight.Run(t.Context(), cfg, func(r preflight.Result) error { return r.WriteText(&told) })
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]preflight.Result{}
	failed := false
	for _, r := range report.Checks {
		results[r.Name] = r
		failed = failed || r.Status == preflight.Fail
	}
	if report.OK == failed {
		t.Errorf("the report's ok is %t:\n%s", report.OK, told.String())
	}
	if err := preflight.WriteJSON(&told, report); err != nil {
		t.Fatal(err)
	}
	for _, canary := range []string{apiKey, vendorsToken, vendorsWords} {
		if strings.Contains(told.String(), canary) {
			t.Errorf("it told %q:\n%s", canary, told.String())
		}
	}
	return results, told.String()
}

func TestEachCheckIsALineInAFixedOrder(t *testing.T) {
	t.Parallel()
	results, told := run(t, config(t, vendor(t, nil).URL))
	want := []string{
		"vendor_key", "mint_batch_scribe", "mint_realtime_scribe", "mint_tts_websocket",
		"redis", "redis_scripts", "redis_fence", "redis_eviction", "session_keys", "policy",
	}
	lines := strings.Split(told, "\n")
	for i, name := range want {
		if words := strings.Fields(lines[i]); len(words) < 3 || words[1] != name {
			t.Errorf("line %d is %q, want %s", i, lines[i], name)
		}
		if status := results[name].Status; status != preflight.OK && name != "redis" {
			t.Errorf("%s: %s", name, status)
		}
	}
	if r := results["redis"]; r.Status != preflight.Warn || !strings.Contains(r.Detail, "embedded") {
		t.Errorf("redis: %+v", r)
	}
}

func TestWhatTheVendorHasAgainstTheKeyIsSaidWithTheMend(t *testing.T) {
	t.Parallel()
	const detail = `{"detail":{"status":"`
	tests := map[string]struct {
		status       int
		body         string
		detail, mend string
	}{
		"a bad key":                        {401, detail + `invalid_api_key","message":"` + vendorsWords + `"}}`, "does not know the key", "set ELEVENLABS_BASE_URL to that: https://api.elevenlabs.io, https://api.eu.residency.elevenlabs.io, https://api.in.residency.elevenlabs.io or https://api.sg.residency.elevenlabs.io"},
		"a key's id":                       {400, `{"detail":{"code":"invalid_api_key","status":"invalid_api_key"}}`, "key's id", "to the key itself"},
		"a scope that is named":            {401, detail + `missing_permissions","message":"The API key is missing the permission speech_to_text to do this, ` + vendorsWords + `"}}`, "permission speech_to_text (status 401)", "give it to the key"},
		"a scope that is not named":        {401, detail + `missing_permissions"}}`, "permission to create single-use tokens", "give it to the key"},
		"no credits":                       {401, detail + `quota_exceeded"}}`, "credits", "raise the key's credit quota"},
		"a plan too low":                   {402, `{"detail":{"code":"paid_plan_required","status":"payment_required"}}`, "plan does not include", "change the plan"},
		"an address that is named":         {403, detail + `ip_not_allowed","message":"Not from 203.0.113.7."}}`, `address that this call came from, 203.0.113.7, and says "Not from 203.0.113.7." (status 403)`, "allowed addresses"},
		"an address of six that is named":  {403, `{"detail":"not from 2001:db8::7"}`, "came from, 2001:db8::7", "allowed addresses"},
		"an address with the key":          {403, `{"detail":"not with ` + apiKey + ` from 203.0.113.7"}`, "came from, 203.0.113.7 (status 403)", "allowed addresses"},
		"an address that is not named":     {403, `<html>` + vendorsWords, "address that this call came from (status 403)", "allowed addresses"},
		"too many at once":                 {429, `{"detail":{"code":"concurrent_limit_exceeded"}}`, "under way at once", "FAREBOX_MINT_CONCURRENCY"},
		"a rate limit":                     {429, `{"detail":{"code":"rate_limit_exceeded"}}`, "calls too often", "in a moment"},
		"busy":                             {429, `{"detail":{"code":"system_busy"}}`, "is busy", "in a moment"},
		"a fault of the vendor":            {500, vendorsWords, "the vendor fails (status 500)", "status page"},
		"a call that is not understood":    {422, `{"detail":[{"loc":["x"],"msg":"` + vendorsWords + `"}]}`, "does not know this call", "ELEVENLABS_BASE_URL"},
		"a path that is not there":         {404, vendorsWords, "does not know this call", "ELEVENLABS_BASE_URL"},
		"a redirect":                       {302, "", "redirects", "ELEVENLABS_BASE_URL"},
		"something else with a good state": {200, `{"` + vendorsWords + `":1}`, "something else than the vendor", "proxies between"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, vendor(t, map[string]http.HandlerFunc{
				"/v1/models": says(test.status, test.body), "/v1/single-use-token/tts_websocket": says(test.status, test.body),
			}).URL)
			results, _ := run(t, cfg)
			for _, check := range []string{"vendor_key", "mint_tts_websocket"} {
				r := results[check]
				if check == "vendor_key" && strings.HasPrefix(name, "a scope") {
					if r.Status != preflight.OK || !strings.Contains(r.Detail, "may not list models") {
						t.Errorf("a key that may not list models, but mint, is good: %+v", r)
					}
					continue
				}
				if r.Status != preflight.Fail || !strings.Contains(r.Detail, test.detail) || !strings.Contains(r.Mend, test.mend) {
					t.Errorf("%s: %+v", check, r)
				}
			}
			if r := results["mint_batch_scribe"]; r.Status != preflight.OK {
				t.Errorf("another type: %+v", r)
			}
		})
	}
}

func TestAVendorThatIsAwayOrHangsFailsItsChecksAndNoOthers(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hang := func(http.ResponseWriter, *http.Request) { <-release }
	hanging := vendor(t, map[string]http.HandlerFunc{"/v1/models": hang, "/v1/single-use-token/tts_websocket": hang})
	t.Cleanup(func() { close(release) })
	tests := map[string]struct{ url, says string }{
		"away":    {"http://127.0.0.1:1", "cannot be reached"},
		"hanging": {hanging.URL, "does not answer in time"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, test.url)
			cfg.Vendor.Timeout = 100 * time.Millisecond
			results, _ := run(t, cfg)
			for _, check := range []string{"vendor_key", "mint_tts_websocket"} {
				if r := results[check]; r.Status != preflight.Fail || !strings.Contains(r.Detail, test.says) {
					t.Errorf("%s: %+v", check, r)
				}
			}
			for _, check := range []string{"redis_scripts", "session_keys", "policy"} {
				if r := results[check]; r.Status != preflight.OK {
					t.Errorf("%s: %+v", check, r)
				}
			}
		})
	}
}

func TestOnlyTypesThatThePolicyNamesAreMinted(t *testing.T) {
	t.Parallel()
	cfg := config(t, vendor(t, nil).URL)
	var err error
	if cfg.Policy, err = policy.Read([]byte("tokens: {batch_scribe: {}}\nagents: {agent_1: {}}\n"), vendorclient.TokenTypeNames()); err != nil {
		t.Fatal(err)
	}
	cfg.PolicyFile = "policy.yaml"
	results, told := run(t, cfg)
	if _, minted := results["mint_batch_scribe"]; !minted || strings.Count(told, "mint_") != 2 { // a line, and in the JSON
		t.Errorf("minted otherwise:\n%s", told)
	}
	if r := results["policy"]; r.Detail != "policy.yaml names batch_scribe and 1 agent" {
		t.Errorf("policy: %+v", r)
	}
	if cfg.Policy, err = policy.Read([]byte("tokens: {}\n"), vendorclient.TokenTypeNames()); err != nil {
		t.Fatal(err)
	}
	if results, _ := run(t, cfg); results["policy"].Status != preflight.Warn {
		t.Errorf("a policy that lets nobody have anything: %+v", results["policy"])
	}
}

func TestSessionKeysAreCounted(t *testing.T) {
	t.Parallel()
	const set = `{"keys":[
		{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
		{"kty":"EC","crv":"P-256","kid":"2","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`
	tests := map[string]struct {
		answer http.HandlerFunc
		status preflight.Status
		says   string
	}{
		"a set":        {says(200, set), preflight.OK, "2 keys for ES256, EdDSA"},
		"no such set":  {says(404, vendorsWords), preflight.Fail, "cannot be loaded: "},
		"an empty one": {says(200, `{"keys":[]}`), preflight.Fail, "cannot be loaded: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuer := vendor(t, map[string]http.HandlerFunc{"/keys": test.answer})
			keys, err := session.NewJWKS(session.JWKSConfig{URL: issuer.URL + "/keys", Now: time.Now, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = keys.Close() })
			cfg := config(t, vendor(t, nil).URL)
			cfg.Keys, cfg.KeysSetting = keys, "FAREBOX_SESSION_JWKS_URL"
			results, _ := run(t, cfg)
			r := results["session_keys"]
			if r.Status != test.status || !strings.Contains(r.Detail, test.says) || test.status == preflight.Fail && !strings.Contains(r.Mend, cfg.KeysSetting) {
				t.Errorf("session_keys: %+v", r)
			}
		})
	}
}

// never is a source whose keys do not come.
type never struct{ session.KeySource }

func (never) Status() session.KeyStatus { return session.KeyStatus{} }

func TestACheckThatDoesNotEndIsGivenUpAndTheNextIsMade(t *testing.T) {
	t.Parallel()
	cfg := config(t, vendor(t, nil).URL)
	cfg.Keys, cfg.Limit = never{cfg.Keys}, 2*time.Second
	results, _ := run(t, cfg)
	if r := results["session_keys"]; r.Status != preflight.Fail || !strings.Contains(r.Detail, "not loaded in time") {
		t.Errorf("session_keys: %+v", r)
	}
	if r := results["policy"]; r.Status != preflight.OK {
		t.Errorf("policy: %+v", r)
	}
}
