package handlers_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"farebox/internal/revocation"
	"farebox/internal/telemetry"
	vendorclient "farebox/vendor_client"

	"github.com/golang-jwt/jwt/v5"
)

const (
	signedURLPath         = "/v1/convai/conversation/get-signed-url"
	conversationTokenPath = "/v1/convai/conversation/token"
	ofAgent               = "?agent_id=agent_1"
)

// withAgents is a service whose policy names agents.
func withAgents(t *testing.T) *service {
	t.Helper()
	return start(t, policyOf(t, `
tokens:
  realtime_scribe: {per_user: 1/1h}
agents:
  agent_1: {per_user: 2/1h, per_user_daily: none}
  agent_2: {allow: 'sub == "bob"'}
  agent_3: {per_user: 1/1h}
`))
}

func get(path string, header http.Header) call {
	return call{method: http.MethodGet, path: path, header: header}
}

// askedOf is what was asked of the vendor for agents.
func (v *vendor) askedOf() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.asked)
}

func TestAgentsCredentialsAreAnsweredAsTheVendorWould(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct {
		auditType, value string
		members          []string
	}{
		signedURLPath:         {"signed_url", "signed_url", []string{"expires_at", "expires_in", "signed_url"}},
		conversationTokenPath: {"conversation_token", "token", []string{"conversation_id", "token"}},
	} {
		s := withAgents(t)
		// What else is in the query goes nowhere.
		a := s.do(t, get(path+ofAgent+"&participant_name=eve&include_conversation_id=false", bearer(sign(t, jwt.MapClaims{"sid": "s1"}))))
		if a.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", path, a.StatusCode, a.raw)
		}
		var members []string
		for name := range a.body {
			members = append(members, name)
		}
		slices.Sort(members)
		value, _ := a.body[want.value].(string)
		if !slices.Equal(members, want.members) || !strings.Contains(value, "sutkn_1") {
			t.Errorf("%s: %s", path, a.raw)
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "Pragma": "no-cache", "Idempotent-Replayed": "", "RateLimit-Policy": `"per_user";q=2;w=3600`,
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %s = %q, want %q", path, name, got, want)
			}
		}
		e := s.audit.last(t)
		if e.Event != telemetry.EventDispensed || e.Type != want.auditType || e.Agent != "agent_1" || e.Source != "mint" || e.Outcome != "ok" ||
			e.Token.Reveal() != value || e.SubjectHash == "" || e.SessionHash == "" {
			t.Errorf("%s: audit = %+v", path, e)
		}
		expected := map[string]string{"signed_url": "signed_url agent_1", "conversation_token": "token agent_1 " + e.SubjectHash}[want.auditType]
		if got := s.vendor.askedOf(); !slices.Equal(got, []string{expected}) {
			t.Errorf("%s: the vendor was asked for %q, want %q", path, got, expected)
		}
	}
}

func TestASignedURLIsGoodFor15MinutesFromBeforeTheCall(t *testing.T) {
	t.Parallel()
	s := withAgents(t)
	a := s.do(t, get(signedURLPath+ofAgent, bearer(sign(t, nil))))
	in, _ := a.body["expires_in"].(float64)
	at, err := time.Parse("2006-01-02T15:04:05Z", a.body["expires_at"].(string))
	if in != float64(int(in)) || in > 900 || in < 890 || err != nil || time.Until(at) > 15*time.Minute || time.Until(at) < 14*time.Minute {
		t.Errorf("%s: %v", a.raw, err)
	}
}

func TestAnAgentsIdempotencyKeyGivesTheSameAnswer(t *testing.T) {
	t.Parallel()
	for _, path := range []string{signedURLPath, conversationTokenPath} {
		s := withAgents(t)
		h := with(bearer(sign(t, nil)), "Idempotency-Key", "attempt-1")
		first := s.do(t, get(path+ofAgent, h))
		again := s.do(t, get(path+ofAgent, h))
		for _, name := range []string{"signed_url", "token", "conversation_id"} {
			if again.body[name] != first.body[name] {
				t.Errorf("%s: %s, then %s", path, first.raw, again.raw)
			}
		}
		if again.Header.Get("Idempotent-Replayed") != "true" || again.Header.Get("Pragma") != "no-cache" || s.vendor.count() != 1 {
			t.Errorf("%s: %v after %d calls", path, again.Header, s.vendor.count())
		}
		wantProblem(t, s.do(t, get(path+ofAgent+"&x=1", h)), 422, "idempotency_key_reused")
		wantProblem(t, s.do(t, call{header: h}), 422, "idempotency_key_reused")
		other := s.do(t, get(path+ofAgent, with(bearer(sign(t, jwt.MapClaims{"sub": "bob"})), "Idempotency-Key", "attempt-1")))
		if other.StatusCode != 200 || other.raw == first.raw {
			t.Errorf("%s: another caller got %d %s", path, other.StatusCode, other.raw)
		}
	}
}

func TestAnAgentsLimitsAreItsOwnAndHoldForBothCredentials(t *testing.T) {
	t.Parallel()
	s := withAgents(t)
	ada := bearer(sign(t, nil))
	for _, path := range []string{signedURLPath, conversationTokenPath} {
		if a := s.do(t, get(path+ofAgent, ada)); a.StatusCode != 200 {
			t.Fatalf("%s: %d %s", path, a.StatusCode, a.raw)
		}
	}
	for _, path := range []string{signedURLPath, conversationTokenPath} {
		a := s.do(t, get(path+ofAgent, ada))
		wantProblem(t, a, 429, "rate_limited")
		if e := s.audit.last(t); a.Header.Get("RateLimit") == "" || e.Outcome != "rate_limited" || e.Agent != "agent_1" {
			t.Errorf("%s: %v, audit %+v", path, a.Header, e)
		}
	}
	for name, c := range map[string]call{"tokens": {header: ada}, "another agent": get(signedURLPath+"?agent_id=agent_3", ada)} {
		if a := s.do(t, c); a.StatusCode != 200 {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.raw)
		}
	}
	bob := bearer(sign(t, jwt.MapClaims{"sub": "bob"}))
	for _, agent := range []string{"agent_1", "agent_2"} {
		if a := s.do(t, get(signedURLPath+"?agent_id="+agent, bob)); a.StatusCode != 200 {
			t.Errorf("bob and %s: %d %s", agent, a.StatusCode, a.raw)
		}
	}
	if s.vendor.count() != 6 {
		t.Errorf("%d vendor calls for 6 answers", s.vendor.count())
	}
}

func TestAnAgentsRequestThatIsRefusedNeverReachesTheVendor(t *testing.T) {
	t.Parallel()
	good := sign(t, nil)
	for name, tt := range map[string]struct {
		method, query string
		header        http.Header
		status        int
		code          string
	}{
		"no session":                           {"GET", ofAgent, nil, 401, "session_missing"},
		"a session that has expired":           {"GET", ofAgent, bearer(sign(t, jwt.MapClaims{"exp": time.Now().Add(-time.Minute).Unix()})), 401, "session_expired"},
		"an API key in place of one":           {"GET", ofAgent, http.Header{"Xi-Api-Key": {"sk_1"}}, 401, "session_missing"},
		"no agent":                             {"GET", "", bearer(good), 400, "invalid_request"},
		"an empty agent":                       {"GET", "?agent_id=", bearer(good), 400, "invalid_request"},
		"an agent twice":                       {"GET", ofAgent + "&agent_id=agent_1", bearer(good), 400, "invalid_request"},
		"an agent with a space":                {"GET", "?agent_id=agent%201", bearer(good), 400, "invalid_request"},
		"an agent beyond ASCII":                {"GET", "?agent_id=%C3%A4gent", bearer(good), 400, "invalid_request"},
		"an agent with a line break":           {"GET", "?agent_id=agent_1%0a", bearer(good), 400, "invalid_request"},
		"an agent that is too long":            {"GET", "?agent_id=" + strings.Repeat("a", 129), bearer(good), 400, "invalid_request"},
		"a query that is malformed":            {"GET", ofAgent + "&%zz", bearer(good), 400, "invalid_request"},
		"an idempotency key that is none":      {"GET", ofAgent, with(bearer(good), "Idempotency-Key", "a b"), 400, "invalid_request"},
		"an agent that the policy has not":     {"GET", "?agent_id=agent_9", bearer(good), 403, "agent_not_allowed"},
		"an agent in capitals":                 {"GET", "?agent_id=AGENT_1", bearer(good), 403, "agent_not_allowed"},
		"an agent as a token type":             {"GET", "?agent_id=realtime_scribe", bearer(good), 403, "agent_not_allowed"},
		"an agent that is for others":          {"GET", "?agent_id=agent_2", bearer(good), 403, "agent_not_allowed"},
		"a cookie from nowhere":                {"GET", ofAgent, http.Header{"Cookie": {"session=" + good}}, 403, "origin_not_allowed"},
		"a cookie from the address bar":        {"GET", ofAgent, with(nil, "Cookie", "session="+good, "Sec-Fetch-Site", "none"), 403, "origin_not_allowed"},
		"a cookie from another site":           {"GET", ofAgent, with(nil, "Cookie", "session="+good, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), 403, "origin_not_allowed"},
		"a cookie from a wildcard origin":      {"GET", ofAgent, with(nil, "Cookie", "session="+good, "Origin", "https://pr-1.preview.example.com"), 403, "origin_not_allowed"},
		"a login proxy's header from nowhere":  {"GET", ofAgent, with(nil, "X-Session", good), 403, "origin_not_allowed"},
		"a method that the paths do not take":  {"POST", ofAgent, bearer(good), 405, "method_not_allowed"},
		"another method that they do not take": {"PUT", ofAgent, bearer(good), 405, "method_not_allowed"},
	} {
		for _, path := range []string{signedURLPath, conversationTokenPath} {
			s := withAgents(t)
			a := s.do(t, call{method: tt.method, path: path + tt.query, header: tt.header})
			t.Run(name, func(t *testing.T) { wantProblem(t, a, tt.status, tt.code) })
			if s.vendor.count() != 0 {
				t.Errorf("%s, %s: it was minted for nothing", name, path)
			}
			if tt.status == 405 && !strings.Contains(a.Header.Get("Allow"), "GET") {
				t.Errorf("%s, %s: Allow = %q", name, path, a.Header.Get("Allow"))
			}
			if tt.code == "agent_not_allowed" {
				named := map[bool]string{true: "agent_2", false: ""}[tt.query == "?agent_id=agent_2"]
				if e := s.audit.last(t); e.Outcome != tt.code || e.Agent != named || a.Header.Get("WWW-Authenticate") != `Bearer error="insufficient_scope"` {
					t.Errorf("%s, %s: audit %+v, %v", name, path, e, a.Header)
				}
			}
		}
	}
}

func TestWithoutAPolicyFileNoAgentIsAllowed(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, path := range []string{signedURLPath, conversationTokenPath} {
		wantProblem(t, s.do(t, get(path+ofAgent, bearer(sign(t, nil)))), 403, "agent_not_allowed")
	}
	if s.vendor.count() != 0 {
		t.Error("the vendor was asked")
	}
}

func TestHEADOfAnAgentsCredentialMintsNothing(t *testing.T) {
	t.Parallel()
	s := withAgents(t)
	for _, path := range []string{signedURLPath, conversationTokenPath} {
		a := s.do(t, call{method: http.MethodHead, path: path + ofAgent, header: bearer(sign(t, nil))})
		if a.StatusCode != 405 || !strings.Contains(a.Header.Get("Allow"), "GET") || strings.Contains(a.Header.Get("Allow"), "HEAD") || a.raw != "" {
			t.Errorf("%s: %d %v %s", path, a.StatusCode, a.Header, a.raw)
		}
	}
	if s.vendor.count() != 0 {
		t.Error("the vendor was asked")
	}
}

func TestCookieCallersOfOurPagesHaveAgentsCredentials(t *testing.T) {
	t.Parallel()
	s := withAgents(t)
	for path, h := range map[string]http.Header{
		signedURLPath:         with(nil, "Cookie", "session="+sign(t, nil), "Sec-Fetch-Site", "same-origin"),
		conversationTokenPath: with(nil, "Cookie", "session="+sign(t, nil), "Origin", "https://app.example.com", "Sec-Fetch-Site", "cross-site"),
	} {
		a := s.do(t, get(path+ofAgent, h))
		if want := h.Get("Origin"); a.StatusCode != 200 || a.Header.Get("Access-Control-Allow-Origin") != want {
			t.Errorf("%s: %d %s %v", path, a.StatusCode, a.raw, a.Header)
		}
	}
}

func TestAnEndedSessionHasNoAgent(t *testing.T) {
	t.Parallel()
	s := withAgents(t)
	h := with(bearer(sign(t, jwt.MapClaims{"iat": time.Now().Add(-time.Minute).Unix()})), "Idempotency-Key", "attempt-1")
	if a := s.do(t, get(signedURLPath+ofAgent, h)); a.StatusCode != 200 {
		t.Fatalf("before: %d %s", a.StatusCode, a.raw)
	}
	if err := s.revocations.End(t.Context(), revocation.Ending{Issuer: "https://issuer.example", Subject: "ada", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{signedURLPath, conversationTokenPath} {
		wantProblem(t, s.do(t, get(path+ofAgent, h)), 401, "session_revoked")
	}
	if s.vendor.count() != 1 {
		t.Error("the vendor was asked")
	}
}

func TestTheVendorsErrorsOfAgentsAreMappedAndGivenBack(t *testing.T) {
	t.Parallel()
	for kind, want := range map[vendorclient.Kind]struct {
		status int
		code   string
	}{
		vendorclient.KindScopeMissing:     {503, "vendor_refused"},
		vendorclient.KindBreakerOpen:      {503, "vendor_unavailable"},
		vendorclient.KindQueueFull:        {503, "overloaded"},
		vendorclient.KindNoToken:          {502, "vendor_error"},
		vendorclient.KindUnexpectedStatus: {502, "vendor_error"},
	} {
		for _, path := range []string{signedURLPath, conversationTokenPath} {
			s := withAgents(t)
			s.vendor.err = &vendorclient.Error{Operation: "signed_url", Kind: kind, Status: 404, Permission: "secret_permission", RequestID: "vendor-id"}
			for range 3 { // more than the limit lets pass
				a := s.do(t, get(path+ofAgent, bearer(sign(t, nil))))
				wantProblem(t, a, want.status, want.code)
				for _, word := range []string{"secret_permission", "vendor-id", "404"} {
					if strings.Contains(a.raw, word) {
						t.Errorf("the answer holds %q: %s", word, a.raw)
					}
				}
			}
			if e := s.audit.last(t); e.Event != telemetry.EventRefused || e.Outcome != want.code || !e.Token.IsZero() {
				t.Errorf("audit = %+v", e)
			}
			// What says nothing of the vendor as a whole leaves its state alone.
			if state := string(s.board.Report().Dependencies["vendor"].State); (state == "down") != (want.code == "vendor_refused" || want.code == "vendor_unavailable") {
				t.Errorf("%s: the vendor is %s", kind, state)
			}
		}
	}
}
