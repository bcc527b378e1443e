package handlers_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"farebox/handlers"
	"farebox/internal/dispenser"
	"farebox/internal/limit"
	"farebox/internal/policy"
	"farebox/internal/secret"
	"farebox/internal/telemetry"
	vendorclient "farebox/vendor_client"

	"github.com/golang-jwt/jwt/v5"
)

func TestATokenIsAnsweredWithEverythingToRedeemIt(t *testing.T) {
	t.Parallel()
	s := start(t)
	for tokenType, parameter := range map[string]string{
		"realtime_scribe": "token", "batch_scribe": "token", "tts_websocket": "single_use_token",
	} {
		a := s.do(t, call{path: "/v1/single-use-token/" + tokenType, header: bearer(sign(t, jwt.MapClaims{"sid": "s1"}))})
		if a.StatusCode != http.StatusOK {
			t.Fatalf("status = %d: %s", a.StatusCode, a.raw)
		}
		token, _ := a.body["token"].(string)
		if !strings.HasPrefix(token, "sutkn_") || a.body["token_type"] != tokenType || a.body["token_parameter"] != parameter ||
			a.body["base_url"] != "https://vendor.example" || a.body["websocket_base_url"] != "wss://vendor.example" || len(a.body) != 7 {
			t.Errorf("body = %s", a.raw)
		}
		in, _ := a.body["expires_in"].(float64)
		if in != float64(int(in)) || in > 900 || in < 890 {
			t.Errorf("expires_in = %v", a.body["expires_in"])
		}
		at, err := time.Parse("2006-01-02T15:04:05Z", a.body["expires_at"].(string))
		if err != nil || time.Until(at) > 15*time.Minute || time.Until(at) < 14*time.Minute {
			t.Errorf("expires_at = %v: %v", a.body["expires_at"], err)
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff", "Idempotent-Replayed": "",
			"RateLimit-Policy": `"per_user";q=10;w=60, "per_user_daily";q=200;w=86400`,
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
		if got := a.Header.Get("RateLimit"); !regexp.MustCompile(`^"per_user";r=9;t=6, "per_user_daily";r=199;t=\d+$`).MatchString(got) {
			t.Errorf("RateLimit = %q", got)
		}
		e := s.audit.last(t)
		if e.Event != telemetry.EventDispensed || e.Type != tokenType || e.Source != "mint" || e.Outcome != "ok" ||
			e.Token.Reveal() != token || e.SubjectHash == "" || e.SessionHash == "" || e.RequestID != a.Header.Get("X-Request-Id") || e.Client != "127.0.0.1" {
			t.Errorf("audit = %+v", e)
		}
	}
}

// grants is a dispenser of one grant.
type grants struct{ grant dispenser.Grant }

func (g grants) Dispense(context.Context, dispenser.Request) (dispenser.Grant, error) {
	return g.grant, nil
}

func TestSecondsToLiveAreRoundedDown(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := start(t, func(c *handlers.Config) {
		c.Now = func() time.Time { return now }
		c.Dispenser = grants{dispenser.Grant{
			Token: secret.New("t"), Type: vendorclient.BatchScribe, ExpiresAt: now.Add(899*time.Second + 999*time.Millisecond),
		}}
	})
	a := s.do(t, call{header: bearer(sign(t, nil))})
	if want := now.Add(899*time.Second + 999*time.Millisecond).UTC().Format("2006-01-02T15:04:05Z"); a.body["expires_in"] != 899.0 || a.body["expires_at"] != want {
		t.Errorf("expires_in %v, expires_at %v, want %s", a.body["expires_in"], a.body["expires_at"], want)
	}
}

func TestACallerWhoHangsUpIsBlamedOnNobody(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.vendor.gate = make(chan struct{})
	defer close(s.vendor.gate)
	ctx, hangUp := context.WithCancel(t.Context())
	go func() {
		for s.vendor.count() == 0 {
			time.Sleep(time.Millisecond)
		}
		hangUp()
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+scribePath, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = bearer(sign(t, nil))
	if response, err := s.Client().Do(r); err == nil {
		response.Body.Close()
		t.Fatal("it was answered")
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		s.audit.mu.Lock()
		n := len(s.audit.entries)
		s.audit.mu.Unlock()
		if n > 0 || time.Now().After(deadline) {
			break
		}
	}
	if e := s.audit.last(t); e.Outcome != "caller_gone" {
		t.Errorf("audit = %+v", e)
	}
	s.logMu.Lock()
	defer s.logMu.Unlock()
	if strings.Contains(s.log.String(), "level=WARN") || strings.Contains(s.log.String(), "level=ERROR") {
		t.Errorf("the log:\n%s", s.log.String())
	}
}

func TestAnIdempotencyKeyGivesTheSameAnswerAndSaysSo(t *testing.T) {
	t.Parallel()
	s := start(t)
	h := with(bearer(sign(t, nil)), "Idempotency-Key", "attempt-1")
	first := s.do(t, call{header: h})
	for _, key := range []string{"attempt-1", `"attempt-1"`} {
		again := s.do(t, call{header: with(bearer(sign(t, nil)), "Idempotency-Key", key)})
		if again.body["token"] != first.body["token"] || again.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("key %s: %s, replayed %q", key, again.raw, again.Header.Get("Idempotent-Replayed"))
		}
	}
	if e := s.audit.last(t); e.Source != "replay" {
		t.Errorf("audit = %+v", e)
	}
	wantProblem(t, s.do(t, call{path: scribePath + "?x=1", header: h}), 422, "idempotency_key_reused")
	wantProblem(t, s.do(t, call{path: "/v1/single-use-token/batch_scribe", header: h}), 422, "idempotency_key_reused")
	other := s.do(t, call{header: with(bearer(sign(t, jwt.MapClaims{"sub": "bob"})), "Idempotency-Key", "attempt-1")})
	if other.body["token"] == first.body["token"] {
		t.Error("another caller saw the answer")
	}
	if s.vendor.count() != 2 {
		t.Errorf("%d vendor calls for 2 tokens", s.vendor.count())
	}
}

func TestARequestThatIsRefusedNeverReachesTheVendor(t *testing.T) {
	t.Parallel()
	good := sign(t, nil)
	long := strings.Repeat("k", 256)
	tests := map[string]struct {
		call
		status int
		code   string
	}{
		"no session":                                  {call{}, 401, "session_missing"},
		"another scheme":                              {call{header: http.Header{"Authorization": {"Basic YTpi"}}}, 401, "session_missing"},
		"an empty bearer":                             {call{header: http.Header{"Authorization": {"Bearer "}}}, 401, "session_missing"},
		"an API key in place of a session":            {call{header: http.Header{"Xi-Api-Key": {"sk_1"}}}, 401, "session_missing"},
		"a JWT that is none":                          {call{header: bearer("x.y.z")}, 401, "session_invalid"},
		"a JWT that was tampered with":                {call{header: bearer(good[:len(good)-4] + "AAAA")}, 401, "session_invalid"},
		"a JWT of another issuer":                     {call{header: bearer(sign(t, jwt.MapClaims{"iss": "https://evil.example"}))}, 401, "session_invalid"},
		"a JWT that has expired":                      {call{header: bearer(sign(t, jwt.MapClaims{"exp": time.Now().Add(-time.Minute).Unix()}))}, 401, "session_expired"},
		"two Authorization headers":                   {call{header: http.Header{"Authorization": {"Bearer " + good, "Bearer " + good}}}, 400, "invalid_request"},
		"an empty idempotency key":                    {call{header: with(bearer(good), "Idempotency-Key", "")}, 400, "invalid_request"},
		"an empty quoted idempotency key":             {call{header: with(bearer(good), "Idempotency-Key", `""`)}, 400, "invalid_request"},
		"an idempotency key that is too long":         {call{header: with(bearer(good), "Idempotency-Key", long)}, 400, "invalid_request"},
		"an idempotency key with a space":             {call{header: with(bearer(good), "Idempotency-Key", "a b")}, 400, "invalid_request"},
		"an idempotency key beyond ASCII":             {call{header: with(bearer(good), "Idempotency-Key", "schlüssel")}, 400, "invalid_request"},
		"an idempotency key with half its quotes":     {call{header: with(bearer(good), "Idempotency-Key", `"abc`)}, 400, "invalid_request"},
		"an idempotency key with parameters":          {call{header: with(bearer(good), "Idempotency-Key", `"abc";p=1`)}, 400, "invalid_request"},
		"two idempotency keys":                        {call{header: with(bearer(good), "Idempotency-Key", "a", "Idempotency-Key", "b")}, 400, "invalid_request"},
		"a type that is unknown":                      {call{path: "/v1/single-use-token/nonsense", header: bearer(good)}, 404, "unknown_token_type"},
		"a type in capitals":                          {call{path: "/v1/single-use-token/REALTIME_SCRIBE", header: bearer(good)}, 404, "unknown_token_type"},
		"a path that is unknown":                      {call{path: "/v1/nonsense", header: bearer(good)}, 404, "not_found"},
		"a method that is not taken":                  {call{method: http.MethodGet, header: bearer(good)}, 405, "method_not_allowed"},
		"a body that is too large":                    {call{header: bearer(good), body: strings.Repeat("x", 17<<10)}, 413, "request_too_large"},
		"an empty bearer beside a good cookie":        {call{header: with(http.Header{"Authorization": {"Bearer "}}, "Cookie", "session="+good, "Sec-Fetch-Site", "same-origin")}, 401, "session_missing"},
		"headers that are too large":                  {call{header: with(bearer(good), "X-Padding", strings.Repeat("x", 40<<10))}, 431, "request_too_large"},
		"a cookie from nowhere":                       {call{header: http.Header{"Cookie": {"session=" + good}}}, 403, "origin_not_allowed"},
		"a cookie from another site":                  {call{header: with(nil, "Cookie", "session="+good, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")}, 403, "origin_not_allowed"},
		"a cookie from a wildcard origin":             {call{header: with(nil, "Cookie", "session="+good, "Origin", "https://pr-1.preview.example.com")}, 403, "origin_not_allowed"},
		"a cookie from another page of the same site": {call{header: with(nil, "Cookie", "session="+good, "Sec-Fetch-Site", "same-site")}, 403, "origin_not_allowed"},
		"a cookie from the address bar":               {call{header: with(nil, "Cookie", "session="+good, "Sec-Fetch-Site", "none")}, 403, "origin_not_allowed"},
		"a cookie from the public address by http":    {call{header: with(nil, "Cookie", "session="+good, "Origin", "http://voice.example.com")}, 403, "origin_not_allowed"},
		"a query that is malformed":                   {call{path: scribePath + "?%zz", header: bearer(good)}, 400, "invalid_request"},
		"a cookie with origin null":                   {call{header: with(nil, "Cookie", "session="+good, "Origin", "null")}, 403, "origin_not_allowed"},
		"a login proxy's header from nowhere":         {call{header: with(nil, "X-Session", good)}, 403, "origin_not_allowed"},
		"two session cookies":                         {call{header: with(nil, "Cookie", "session="+good+"; session="+good, "Sec-Fetch-Site", "same-origin")}, 400, "invalid_request"},
		"a bad bearer beside a good cookie":           {call{header: with(bearer("x.y.z"), "Cookie", "session="+good, "Sec-Fetch-Site", "same-origin")}, 401, "session_invalid"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(c *handlers.Config) { c.PublicURL = &url.URL{Scheme: "https", Host: "voice.example.com"} })
			a := s.do(t, tt.call)
			wantProblem(t, a, tt.status, tt.code)
			if s.vendor.count() != 0 {
				t.Error("a token was minted for nothing")
			}
			if tt.code == "session_missing" && a.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("WWW-Authenticate = %q, want Bearer without an error", a.Header.Get("WWW-Authenticate"))
			}
			if strings.HasPrefix(tt.code, "session_i") && !strings.Contains(a.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
				t.Errorf("WWW-Authenticate = %q", a.Header.Get("WWW-Authenticate"))
			}
			if tt.status == 405 && a.Header.Get("Allow") == "" {
				t.Error("no Allow")
			}
		})
	}
}

func TestCookieAndProxyCallersOfOurPagesAreServed(t *testing.T) {
	t.Parallel()
	good := sign(t, nil)
	s := start(t, func(c *handlers.Config) { c.PublicURL = &url.URL{Scheme: "https", Host: "voice.example.com"} })
	for name, h := range map[string]http.Header{
		"a cookie with Sec-Fetch-Site: same-origin":         with(nil, "Cookie", "session="+good, "Sec-Fetch-Site", "same-origin"),
		"a cookie from a listed origin":                     with(nil, "Cookie", "session="+good, "Origin", "https://app.example.com", "Sec-Fetch-Site", "cross-site"),
		"a cookie from the same origin":                     with(nil, "Cookie", "session="+good, "Origin", s.URL),
		"a cookie from the public address":                  with(nil, "Cookie", "session="+good, "Origin", "https://voice.example.com"),
		"a login proxy's header":                            with(nil, "X-Session", good, "Sec-Fetch-Site", "same-origin"),
		"a bearer from nowhere":                             bearer(good),
		"a bearer in small letters from an unlisted origin": with(nil, "Authorization", "bearer "+good, "Origin", "https://evil.example"),
		"a good bearer beside a bad cookie":                 with(bearer(good), "Cookie", "session=x"),
	} {
		if a := s.do(t, call{header: h}); a.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.raw)
		}
	}
}

func TestEveryErrorOfTheVendorHasItsAnswer(t *testing.T) {
	t.Parallel()
	for kind, want := range map[vendorclient.Kind]struct {
		status int
		code   string
	}{
		vendorclient.KindKeyInvalid:       {503, "vendor_refused"},
		vendorclient.KindKeyIDAsKey:       {503, "vendor_refused"},
		vendorclient.KindScopeMissing:     {503, "vendor_refused"},
		vendorclient.KindCreditsExhausted: {503, "vendor_refused"},
		vendorclient.KindPlanTooLow:       {503, "vendor_refused"},
		vendorclient.KindAddressRefused:   {503, "vendor_refused"},
		vendorclient.KindTooManyAtOnce:    {503, "vendor_unavailable"},
		vendorclient.KindRateLimited:      {503, "vendor_unavailable"},
		vendorclient.KindBusy:             {503, "vendor_unavailable"},
		vendorclient.KindServerError:      {503, "vendor_unavailable"},
		vendorclient.KindTimeout:          {503, "vendor_unavailable"},
		vendorclient.KindUnreachable:      {503, "vendor_unavailable"},
		vendorclient.KindBreakerOpen:      {503, "vendor_unavailable"},
		vendorclient.KindQueueFull:        {503, "overloaded"},
		vendorclient.KindValidation:       {502, "vendor_error"},
		vendorclient.KindNoToken:          {502, "vendor_error"},
		vendorclient.KindBodyTooLarge:     {502, "vendor_error"},
		vendorclient.KindRedirected:       {502, "vendor_error"},
		vendorclient.KindUnexpectedStatus: {502, "vendor_error"},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.vendor.err = &vendorclient.Error{Operation: "mint", Kind: kind, Status: 401, Permission: "secret_permission", RequestID: "vendor-id"}
			a := s.do(t, call{header: bearer(sign(t, nil))})
			wantProblem(t, a, want.status, want.code)
			for _, word := range []string{"secret_permission", "vendor-id", "401"} {
				if strings.Contains(a.raw, word) {
					t.Errorf("the answer holds %q: %s", word, a.raw)
				}
			}
			if e := s.audit.last(t); e.Event != telemetry.EventRefused || e.Outcome != want.code || !e.Token.IsZero() || e.SubjectHash == "" {
				t.Errorf("audit = %+v", e)
			}
		})
	}
}

func TestLimitsAreTheCallersOwn(t *testing.T) {
	t.Parallel()
	s := start(t)
	ada := bearer(sign(t, nil))
	for range 10 {
		if a := s.do(t, call{header: ada}); a.StatusCode != http.StatusOK {
			t.Fatalf("status = %d", a.StatusCode)
		}
	}
	a := s.do(t, call{header: ada})
	wantProblem(t, a, 429, "rate_limited")
	if got := a.Header.Get("RateLimit-Policy"); got != `"per_user";q=10;w=60, "per_user_daily";q=200;w=86400` {
		t.Errorf("RateLimit-Policy = %q", got)
	}
	if got := a.Header.Get("RateLimit"); !regexp.MustCompile(`^"per_user";r=0;t=[1-6], "per_user_daily";r=190;t=\d+$`).MatchString(got) {
		t.Errorf("RateLimit = %q", got)
	}
	if got := s.do(t, call{header: bearer(sign(t, jwt.MapClaims{"sub": "bob"}))}); got.StatusCode != http.StatusOK {
		t.Errorf("another caller: %d", got.StatusCode)
	}
}

// policyOf is a policy file's content.
func policyOf(t *testing.T, text string) func(*handlers.Config) {
	t.Helper()
	p, err := policy.Read([]byte(text), vendorclient.TokenTypeNames())
	if err != nil {
		t.Fatal(err)
	}
	return func(c *handlers.Config) { c.Policy = p }
}

func TestWhomThePolicyRefusesHasNoTokenAndNoCharge(t *testing.T) {
	t.Parallel()
	s := start(t, policyOf(t, "tokens:\n  realtime_scribe: {allow: 'claims.level == 3 && \"speech\" in scopes', per_user: 1/1h}\n"))
	good := jwt.MapClaims{"level": 3, "scope": "openid speech"}
	for name, tt := range map[string]struct {
		call
		level string
	}{
		"a type that is not named":      {call{path: "/v1/single-use-token/batch_scribe", header: bearer(sign(t, good))}, "DEBUG"},
		"another level":                 {call{header: bearer(sign(t, jwt.MapClaims{"level": 4, "scope": "speech"}))}, "DEBUG"},
		"a claim that is missing":       {call{header: bearer(sign(t, jwt.MapClaims{"sub": "canary", "scope": "speech"}))}, "WARN"},
		"a claim of another kind":       {call{header: bearer(sign(t, jwt.MapClaims{"level": "3", "scope": "speech"}))}, "DEBUG"},
		"with a key, before any replay": {call{header: with(bearer(sign(t, jwt.MapClaims{"level": 1})), "Idempotency-Key", "k")}, "DEBUG"},
	} {
		a := s.do(t, tt.call)
		wantProblem(t, a, 403, "token_type_not_allowed")
		if got := a.Header.Get("WWW-Authenticate"); got != `Bearer error="insufficient_scope"` {
			t.Errorf("%s: WWW-Authenticate = %q", name, got)
		}
		if a.Header.Get("RateLimit") != "" {
			t.Errorf("%s: a limit is shown", name)
		}
		s.logMu.Lock()
		if !regexp.MustCompile(`level=` + tt.level + ` msg="request refused" request_id=` + a.Header.Get("X-Request-Id") + ` `).MatchString(s.log.String()) {
			t.Errorf("%s: not logged at %s", name, tt.level)
		}
		s.logMu.Unlock()
	}
	if s.vendor.count() != 0 {
		t.Errorf("%d vendor calls for nobody", s.vendor.count())
	}
	// The one event of the limit is still there, for the same caller.
	if a := s.do(t, call{header: bearer(sign(t, good))}); a.StatusCode != http.StatusOK {
		t.Errorf("who is allowed: %d %s", a.StatusCode, a.raw)
	}
	s.logMu.Lock()
	defer s.logMu.Unlock()
	if !strings.Contains(s.log.String(), "tokens.realtime_scribe.allow in line 2: failed") || strings.Contains(s.log.String(), "canary") {
		t.Errorf("the log:\n%s", s.log.String())
	}
}

func TestTheRateLimitFieldsFollowThePolicy(t *testing.T) {
	t.Parallel()
	s := start(t, policyOf(t, "tokens:\n  realtime_scribe: {per_user: 1/90s, per_user_daily: none}\n  batch_scribe: {per_user: none, per_user_daily: 1}\n  tts_websocket: {per_user: none, per_user_daily: none}\n"))
	ada := bearer(sign(t, nil))
	for path, want := range map[string]struct{ code, policy, left string }{
		scribePath:                          {"rate_limited", `"per_user";q=1;w=90`, `^"per_user";r=0;t=(90|[1-8]\d)$`},
		"/v1/single-use-token/batch_scribe": {"quota_exhausted", `"per_user_daily";q=1;w=86400`, `^"per_user_daily";r=0;t=\d+$`},
	} {
		if a := s.do(t, call{path: path, header: ada}); a.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d", path, a.StatusCode)
		}
		a := s.do(t, call{path: path, header: ada})
		wantProblem(t, a, 429, want.code)
		if a.Header.Get("RateLimit-Policy") != want.policy || !regexp.MustCompile(want.left).MatchString(a.Header.Get("RateLimit")) {
			t.Errorf("RateLimit = %q, RateLimit-Policy = %q", a.Header.Get("RateLimit"), a.Header.Get("RateLimit-Policy"))
		}
	}
	if a := s.do(t, call{path: "/v1/single-use-token/tts_websocket", header: ada}); a.StatusCode != http.StatusOK || a.Header.Get("RateLimit") != "" || a.Header.Get("RateLimit-Policy") != "" {
		t.Errorf("without limits: %d %v", a.StatusCode, a.Header)
	}
}

// over is a dispenser of one refusal.
type over struct{ err error }

func (o over) Dispense(context.Context, dispenser.Request) (dispenser.Grant, error) {
	return dispenser.Grant{}, o.err
}

func TestRetryAfterIsNeverEarlierThanTheLimitSays(t *testing.T) {
	t.Parallel()
	const reset = 8*time.Second + 100*time.Millisecond
	s := start(t, func(c *handlers.Config) {
		c.Dispenser = over{&dispenser.LimitError{Limit: limit.PerUser, RetryAfter: reset, States: []limit.State{{
			Name: limit.PerUser, Quota: 10, Window: 90 * time.Second, Reset: reset,
		}}}}
	})
	waits := map[string]int{}
	for range 100 {
		a := s.do(t, call{header: bearer(sign(t, nil))})
		wantProblem(t, a, 429, "rate_limited")
		if got := a.Header.Get("RateLimit"); got != `"per_user";r=0;t=9` {
			t.Fatalf("RateLimit = %q", got)
		}
		waits[a.Header.Get("Retry-After")]++
	}
	if len(waits) != 2 || waits["9"] == 0 || waits["10"] == 0 {
		t.Errorf("Retry-After = %v, want 9 and, by jitter, 10", waits)
	}
}

func TestAnAttemptThatTakesTooLongIsInProgressOrUnavailable(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *handlers.Config) { c.RequestTimeout = 50 * time.Millisecond })
	s.vendor.gate = make(chan struct{})
	ada := bearer(sign(t, nil))
	wantProblem(t, s.do(t, call{header: with(ada, "Idempotency-Key", "k")}), 409, "request_in_progress")
	wantProblem(t, s.do(t, call{header: ada}), 503, "vendor_unavailable")
	close(s.vendor.gate)
	deadline := time.Now().Add(10 * time.Second)
	for {
		a := s.do(t, call{header: with(ada, "Idempotency-Key", "k")})
		if a.StatusCode == http.StatusOK && a.Header.Get("Idempotent-Replayed") == "true" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the kept answer never came: %s", a.raw)
		}
	}
}

func TestAPanicIsOneRequestsProblem(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.vendor.panic = true
	wantProblem(t, s.do(t, call{header: bearer(sign(t, nil))}), 500, "internal_error")
	wantProblem(t, s.do(t, call{header: with(bearer(sign(t, nil)), "Idempotency-Key", "k")}), 500, "internal_error")
	s.vendor.panic = false
	if a := s.do(t, call{header: bearer(sign(t, nil))}); a.StatusCode != http.StatusOK {
		t.Errorf("the next request: %d", a.StatusCode)
	}
}

func TestNeitherLogNorProblemHoldsTokenOrSession(t *testing.T) {
	t.Parallel()
	s := start(t)
	good := sign(t, nil)
	token := s.do(t, call{header: bearer(good)}).body["token"].(string)
	s.do(t, call{path: "/v1/" + good, header: bearer(good + "x")})
	s.do(t, call{path: scribePath + "?session=" + good, header: with(bearer(good), "Origin", "https://evil.example")})
	s.logMu.Lock()
	defer s.logMu.Unlock()
	if !strings.Contains(s.log.String(), "request_id") {
		t.Fatal("nothing was logged")
	}
	for _, word := range []string{token, good, good[len(good)-20:], sessionKey} {
		if strings.Contains(s.log.String(), word) {
			t.Errorf("the log holds %q:\n%s", word, s.log.String())
		}
	}
	if !strings.Contains(s.log.String(), "https://evil.example") || !strings.Contains(s.log.String(), "FAREBOX_ALLOWED_ORIGINS") {
		t.Error("a refused origin is not told with its setting")
	}
}

func TestWhereAllKeysAreAsideTheCallerLearnsWhenOneIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status      int
		after       time.Duration
		least, most int
		logged      bool
	}{
		"the vendor was asked":    {401, 0, 30, 33, true},
		"a key is due soon":       {0, time.Second, 5, 6, false},
		"a key is due in a while": {0, 100 * time.Second, 100, 110, false},
	} {
		s := start(t)
		s.vendor.err = &vendorclient.Error{Operation: "mint", Kind: vendorclient.KindCreditsExhausted, Status: tt.status, RetryAfter: tt.after}
		a := s.do(t, call{header: bearer(sign(t, nil))})
		wantProblem(t, a, 503, "vendor_refused")
		if seconds, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || seconds < tt.least || seconds > tt.most {
			t.Errorf("%s: Retry-After = %q", name, a.Header.Get("Retry-After"))
		}
		// Once all keys are set aside the log has said so.
		if logged := strings.Contains(s.log.String(), "level=ERROR"); logged != tt.logged {
			t.Errorf("%s: the log has it: %t\n%s", name, logged, s.log.String())
		}
	}
}
