package handlers_test

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"farebox/handlers"
	"farebox/internal/apidoc"
	"farebox/internal/dev"
	"farebox/internal/revocation"
	"farebox/internal/secret"
	"farebox/session"
	vendorclient "farebox/vendor_client"
	"farebox/web"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"
)

// deed has an operation give one of the answers that its description lists. good
// is a call that succeeds.
type deed func(t *testing.T, good call) answer

// deeds by status and, for problems, code.
type deeds map[string]deed

func (d deeds) and(more deeds) deeds {
	all := maps.Clone(d)
	maps.Copy(all, more)
	return all
}

// everything is a service with all that is described.
func everything(t *testing.T, amend ...func(*handlers.Config)) *service {
	t.Helper()
	page, err := web.New(web.Config{Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	signIn := &dev.SignIn{Issuer: "https://issuer.example", Key: secret.New(sessionKey), Cookie: "session", Now: time.Now}
	all := func(c *handlers.Config) {
		policyOf(t, "tokens: {realtime_scribe: {}, batch_scribe: {}}\nagents: {agent_1: {}}")(c)
		c.Page = page
		c.Routes = []handlers.Route{{Pattern: "/dev/session", Handler: signIn}}
	}
	s, _ := startLogout(t, append([]func(*handlers.Config){all}, amend...)...)
	return s
}

// well is the deed of a call that nothing is wrong with.
func well(t *testing.T, good call) answer { return everything(t).do(t, good) }

// asking changes the call.
func asking(change func(*call)) deed {
	return func(t *testing.T, good call) answer {
		change(&good)
		return everything(t).do(t, good)
	}
}

// amended changes the service.
func amended(amend func(*handlers.Config)) deed {
	return func(t *testing.T, good call) answer { return everything(t, amend).do(t, good) }
}

// under has another policy, and asks until a limit of it is reached.
func under(policy string) deed {
	return func(t *testing.T, good call) answer {
		s := everything(t, policyOf(t, policy))
		a := s.do(t, good)
		if a.StatusCode == http.StatusOK {
			a = s.do(t, good)
		}
		return a
	}
}

// minting has the vendor fail.
func minting(kind vendorclient.Kind) deed {
	return func(t *testing.T, good call) answer {
		s := everything(t)
		s.vendor.err = &vendorclient.Error{Operation: "mint", Kind: kind}
		return s.do(t, good)
	}
}

func withSession(claims jwt.MapClaims) deed {
	return func(t *testing.T, good call) answer {
		good.header = bearer(sign(t, claims))
		return everything(t).do(t, good)
	}
}

func verifying(err error) deed {
	return amended(func(c *handlers.Config) { c.Verifier = &verifiers{err: err} })
}

func ofKey(c call) call {
	c.header = with(c.header, "Idempotency-Key", "k")
	return c
}

// anywhere are the deeds that every operation knows.
var anywhere = deeds{
	"403 origin_not_allowed": amended(func(c *handlers.Config) {
		c.Guard = func(*http.Request) string { return "Requests from this origin are not accepted." }
	}),
	"431 request_too_large": asking(func(c *call) { c.header = with(c.header, "X-Padding", strings.Repeat("x", 40<<10)) }),
	"500 internal_error": amended(func(c *handlers.Config) {
		c.Guard = func(*http.Request) string { panic("a test panics") }
	}),
}

// granting are the deeds that every hand-out knows.
var granting = anywhere.and(deeds{
	"200":                 well,
	"400 invalid_request": asking(func(c *call) { c.path += "?%zz" }),
	"401 session_missing": asking(func(c *call) { c.header = nil }),
	"401 session_invalid": withSession(jwt.MapClaims{"iss": "https://evil.example"}),
	"401 session_expired": withSession(jwt.MapClaims{"exp": time.Now().Add(-time.Minute).Unix()}),
	"401 session_revoked": func(t *testing.T, good call) answer {
		s := everything(t)
		if err := s.revocations.End(t.Context(), revocation.Ending{Issuer: "https://issuer.example", Subject: "ada", At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		return s.do(t, good)
	},
	"409 request_in_progress": func(t *testing.T, good call) answer {
		s := everything(t, func(c *handlers.Config) { c.RequestTimeout = 50 * time.Millisecond })
		s.vendor.gate = make(chan struct{})
		defer close(s.vendor.gate)
		return s.do(t, ofKey(good))
	},
	"413 request_too_large": asking(func(c *call) { c.body = strings.Repeat("x", 17<<10) }),
	"422 idempotency_key_reused": func(t *testing.T, good call) answer {
		s := everything(t)
		s.do(t, call{path: "/v1/single-use-token/batch_scribe", header: ofKey(good).header})
		return s.do(t, ofKey(good))
	},
	"429 rate_limited":             under("tokens: {realtime_scribe: {per_user: 1/1h}}\nagents: {agent_1: {per_user: 1/1h}}"),
	"429 quota_exhausted":          under("tokens: {realtime_scribe: {per_user_daily: 1}}\nagents: {agent_1: {per_user_daily: 1}}"),
	"502 vendor_error":             minting(vendorclient.KindNoToken),
	"503 vendor_unavailable":       minting(vendorclient.KindBusy),
	"503 vendor_refused":           minting(vendorclient.KindKeyInvalid),
	"503 session_keys_unavailable": verifying(session.ErrKeysUnavailable),
	"503 overloaded":               under("tokens: {realtime_scribe: {}}\nagents: {agent_1: {}}\nglobal: 1/1h"),
})

var ofAgents = granting.and(deeds{
	"400 invalid_request":    asking(func(c *call) { c.path += "&%zz" }),
	"403 agent_not_allowed":  under("tokens: {realtime_scribe: {}}"),
	"405 method_not_allowed": asking(func(c *call) { c.method = http.MethodHead }),
})

var published = anywhere.and(deeds{
	"200": well,
	"304": func(t *testing.T, good call) answer {
		s := everything(t)
		good.header = with(nil, "If-None-Match", s.do(t, good).Header.Get("ETag"))
		return s.do(t, good)
	},
})

var preflight = deeds{
	"204": well,
	"403 origin_not_allowed": asking(func(c *call) {
		c.header = with(c.header)
		c.header.Set("Origin", "https://evil.example")
	}),
}

var asForm = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}

// operations are those of the description.
func operations(t *testing.T) map[string]struct {
	good  call
	deeds deeds
} {
	ada := bearer(sign(t, nil))
	asks := func(path, method string) call {
		return call{method: http.MethodOptions, path: path, header: http.Header{
			"Origin": {"https://app.example.com"}, "Access-Control-Request-Method": {method},
		}}
	}
	return map[string]struct {
		good  call
		deeds deeds
	}{
		"POST /v1/single-use-token/{token_type}": {call{path: scribePath, header: ada}, granting.and(deeds{
			"403 token_type_not_allowed": under("tokens: {batch_scribe: {}}"),
			"404 unknown_token_type":     asking(func(c *call) { c.path = "/v1/single-use-token/nonsense" }),
		})},
		"GET " + signedURLPath:                      {get(signedURLPath+ofAgent, ada), ofAgents},
		"GET " + conversationTokenPath:              {get(conversationTokenPath+ofAgent, ada), ofAgents},
		"OPTIONS /v1/single-use-token/{token_type}": {asks(scribePath, http.MethodPost), preflight},
		"OPTIONS " + signedURLPath:                  {asks(signedURLPath, http.MethodGet), preflight},
		"OPTIONS " + conversationTokenPath:          {asks(conversationTokenPath, http.MethodGet), preflight},
		"POST " + logoutPath: {call{path: logoutPath, header: asForm}, deeds{
			// The token is good for two minutes, so it is made when it is sent.
			"200": func(t *testing.T, good call) answer {
				good.body = form(logoutToken(t, "logout+jwt", nil))
				return well(t, good)
			},
			"400":                   asking(func(c *call) { c.body = "" }),
			"404 not_found":         amended(func(c *handlers.Config) { c.Logout = nil }),
			"431 request_too_large": anywhere["431 request_too_large"],
			"500 internal_error":    anywhere["500 internal_error"],
		}},
		"POST /dev/session": {call{path: "/dev/session", header: asForm, body: "sub=ada"}, anywhere.and(deeds{
			"200": well, "400 invalid_request": asking(func(c *call) { c.body = "" }),
			"404 not_found": amended(func(c *handlers.Config) { c.Routes = nil }),
		})},
		"GET /": {get("/", nil), anywhere.and(deeds{
			"200": well, "404 not_found": amended(func(c *handlers.Config) { c.Page = nil }),
		})},
		"GET /sdk/farebox.js":         {get("/sdk/farebox.js", nil), published},
		"GET /sdk/farebox.d.ts":       {get("/sdk/farebox.d.ts", nil), published},
		"GET /sdk/farebox-voice.js":   {get("/sdk/farebox-voice.js", nil), published},
		"GET /sdk/farebox-voice.d.ts": {get("/sdk/farebox-voice.d.ts", nil), published},
		"GET /sdk/{folder}/{file}": {get("/sdk/audio/recorder.worklet.js", nil), published.and(deeds{
			"404 not_found": asking(func(c *call) { c.path = "/sdk/audio/nonsense.js" }),
		})},
		"GET /openapi.yaml": {get("/openapi.yaml", nil), published},
		"GET /health/live":  {get("/health/live", nil), anywhere.and(deeds{"200": well})},
		"GET /health/ready": {get("/health/ready", nil), anywhere.and(deeds{"200": well, "503": func(t *testing.T, good call) answer {
			s := everything(t)
			s.board.Drain()
			return s.do(t, good)
		}})},
	}
}

// listed are the answers that an operation's description lists, by status and,
// for problems, code, with the example of each problem.
func listed(operation *openapi3.Operation) map[string]any {
	all := map[string]any{}
	for status, response := range operation.Responses.Map() {
		content := response.Value.Content["application/problem+json"]
		if content == nil {
			all[status] = nil
			continue
		}
		for code, example := range content.Examples {
			all[status+" "+code] = example.Value.Value
		}
	}
	return all
}

func TestEachAnswerThatIsDescribedIsGivenAndEachExampleIsReal(t *testing.T) {
	t.Parallel()
	known := operations(t)
	for path, item := range openDescription(t).Spec.Paths.Map() {
		for method, described := range item.Operations() {
			name := method + " " + path
			operation, list := known[name], listed(described)
			delete(known, name)
			if want, got := slices.Sorted(maps.Keys(operation.deeds)), slices.Sorted(maps.Keys(list)); !slices.Equal(want, got) {
				t.Errorf("%s is described with other answers than it gives: %s", name, cmp.Diff(want, got))
			}
			for answer, deed := range operation.deeds {
				t.Run(name+" "+answer, func(t *testing.T) {
					t.Parallel()
					a := deed(t, operation.good)
					status, code, isProblem := strings.Cut(answer, " ")
					if got := a.Status[:3]; got != status {
						t.Fatalf("%s %s", a.Status, a.raw)
					}
					if !isProblem || a.Request.Method == http.MethodHead {
						return
					}
					want := maps.Clone(list[answer].(map[string]any))
					want["request_id"], want["status"] = a.Header.Get("X-Request-Id"), float64(a.StatusCode)
					if code == "invalid_request" {
						want["detail"] = a.body["detail"] // it says what is malformed
					}
					if diff := cmp.Diff(want, a.body); diff != "" {
						t.Errorf("the example is not what is answered: %s", diff)
					}
				})
			}
		}
	}
	for name := range known {
		t.Errorf("%s is not described", name)
	}
}

func TestEachRouteIsDescribedAndEachPathIsARoute(t *testing.T) {
	t.Parallel()
	routes := map[string]bool{"POST /dev/session": true} // dev adds it
	for _, route := range everything(t).handler.(*echo.Echo).Routes() {
		path := regexp.MustCompile(`:(\w+)`).ReplaceAllString(route.Path, "{$1}")
		path = regexp.MustCompile(`^/sdk/\w+/[\w.]+$`).ReplaceAllString(path, "/sdk/{folder}/{file}")
		if route.Method != http.MethodHead && path != "/dev/session" && !apidoc.Beyond(path) {
			routes[route.Method+" "+path] = true
		}
	}
	described := map[string]bool{}
	for path, item := range openDescription(t).Spec.Paths.Map() {
		for method := range item.Operations() {
			if method != http.MethodOptions { // any path answers those
				described[method+" "+path] = true
			}
		}
	}
	if diff := cmp.Diff(routes, described); diff != "" {
		t.Error(diff)
	}
}
