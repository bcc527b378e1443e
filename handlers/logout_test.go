package handlers_test

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"farebox/handlers"
	"farebox/internal/revocation"
	"farebox/internal/shard"
	"farebox/internal/telemetry"
	"farebox/session"

	"farebox/internal/secret"

	"github.com/golang-jwt/jwt/v5"
)

const logoutPath = "/backchannel-logout"

// flaky are Revocations whose Redis can be away.
type flaky struct {
	handlers.Revocations
	away bool
}

func (f *flaky) End(ctx context.Context, e revocation.Ending) error {
	if f.away {
		return shard.ErrAway
	}
	return f.Revocations.End(ctx, e)
}

// startLogout is a service that takes logout tokens, signed as its sessions.
func startLogout(t *testing.T, amend ...func(*handlers.Config)) (*service, *flaky) {
	t.Helper()
	keys, err := session.NewHS256(secret.New(sessionKey))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := session.NewLogoutVerifier(session.LogoutConfig{
		Issuer: "https://issuer.example", Audience: "client", Leeway: 5 * time.Second, Keys: keys, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	revocations := &flaky{}
	logout := &handlers.Logout{Verifier: verifier, Revocations: revocations}
	s := start(t, append([]func(*handlers.Config){func(c *handlers.Config) { c.Logout = logout }}, amend...)...)
	revocations.Revocations = s.revocations
	return s, revocations
}

// logoutToken signs one; claims win over what is good, and nil takes one out.
func logoutToken(t *testing.T, typ string, claims jwt.MapClaims) string {
	t.Helper()
	all := jwt.MapClaims{
		"iss": "https://issuer.example", "aud": "client", "jti": t.Name(), "sub": "ada", "sid": "session-1",
		"iat": time.Now().Unix(), "exp": time.Now().Add(2 * time.Minute).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, all)
	token.Header["typ"] = typ
	raw, err := token.SignedString([]byte(sessionKey))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (s *service) logout(t *testing.T, form string) answer {
	t.Helper()
	return s.do(t, call{path: logoutPath, body: form, header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}})
}

func form(token string) string { return url.Values{"logout_token": {token}}.Encode() }

func wantLogout(t *testing.T, a answer, status int, code string) {
	t.Helper()
	if a.StatusCode != status || a.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s, Cache-Control %q, want %d", a.StatusCode, a.raw, a.Header.Get("Cache-Control"), status)
	}
	if status == http.StatusOK && a.raw != "" {
		t.Errorf("a body: %s", a.raw)
	}
	if status != http.StatusOK && (a.body["error"] != code || a.body["error_description"] == "" || a.Header.Get("Content-Type") != "application/json") {
		t.Errorf("%s as %q, want %s", a.raw, a.Header.Get("Content-Type"), code)
	}
}

func TestALogoutTokenEndsWhatItNames(t *testing.T) {
	t.Parallel()
	before := jwt.MapClaims{"iat": time.Now().Add(-time.Minute).Unix()}
	sessions := map[string]jwt.MapClaims{
		"this session": {"sid": "session-1"}, "another of the subject": {"sid": "session-2"}, "one without an id": {},
		"another's": {"sub": "bob", "sid": "session-3"},
	}
	for name, c := range map[string]struct {
		token jwt.MapClaims
		typ   string
		ends  []string
	}{
		"a session and its subject": {typ: "logout+jwt", ends: []string{"this session", "one without an id"}},
		"a session alone":           {token: jwt.MapClaims{"sub": nil}, typ: "logout+jwt", ends: []string{"this session"}},
		"a subject alone": {token: jwt.MapClaims{"sid": nil}, typ: "JWT", ends: []string{
			"this session", "another of the subject", "one without an id",
		}},
		"without exp, as older providers": {token: jwt.MapClaims{"exp": nil, "sub": nil}, typ: "JWT", ends: []string{"this session"}},
		"for several clients":             {token: jwt.MapClaims{"aud": []string{"other", "client"}, "sub": nil}, typ: "application/logout+jwt", ends: []string{"this session"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := startLogout(t)
			wantLogout(t, s.logout(t, form(logoutToken(t, c.typ, c.token))), http.StatusOK, "")
			if e := s.audit.last(t); e.Event != telemetry.EventRevoked || e.Outcome != "ok" || e.SubjectHash == "" && e.SessionHash == "" {
				t.Errorf("audit = %+v", e)
			}
			for session, claims := range sessions {
				all := maps.Clone(before)
				maps.Copy(all, claims)
				a := s.do(t, call{header: bearer(sign(t, all))})
				ended := false
				for _, name := range c.ends {
					ended = ended || name == session
				}
				if ended {
					wantProblem(t, a, 401, "session_revoked")
				} else if a.StatusCode != http.StatusOK {
					t.Errorf("%s: %d %s", session, a.StatusCode, a.raw)
				}
			}
			a := s.do(t, call{header: bearer(sign(t, jwt.MapClaims{"iat": time.Now().Add(2 * time.Second).Unix()}))})
			if a.StatusCode != http.StatusOK {
				t.Errorf("a session that began later: %d %s", a.StatusCode, a.raw)
			}
		})
	}
}

func TestALogoutTokenThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	s, _ := startLogout(t)
	event := "http://schemas.openid.net/event/backchannel-logout"
	good := logoutToken(t, "logout+jwt", nil)
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"another issuer":              logoutToken(t, "JWT", jwt.MapClaims{"iss": "https://other.example"}),
		"no issuer":                   logoutToken(t, "JWT", jwt.MapClaims{"iss": nil}),
		"another audience":            logoutToken(t, "JWT", jwt.MapClaims{"aud": "farebox"}),
		"no audience":                 logoutToken(t, "JWT", jwt.MapClaims{"aud": nil}),
		"an ID token's nonce":         logoutToken(t, "JWT", jwt.MapClaims{"nonce": "n"}),
		"a nonce of nothing":          logoutToken(t, "JWT", jwt.MapClaims{"nonce": ""}),
		"no events":                   logoutToken(t, "JWT", jwt.MapClaims{"events": nil}),
		"another event":               logoutToken(t, "JWT", jwt.MapClaims{"events": map[string]any{"x": map[string]any{}}}),
		"an event that is no object":  logoutToken(t, "JWT", jwt.MapClaims{"events": map[string]any{event: true}}),
		"events as a list":            logoutToken(t, "JWT", jwt.MapClaims{"events": []string{event}}),
		"neither subject nor session": logoutToken(t, "JWT", jwt.MapClaims{"sub": nil, "sid": nil}),
		"a subject that is a number":  logoutToken(t, "JWT", jwt.MapClaims{"sub": 1}),
		"a session that is a number":  logoutToken(t, "JWT", jwt.MapClaims{"sid": 1}),
		"no id":                       logoutToken(t, "JWT", jwt.MapClaims{"jti": nil}),
		"an id that is a number":      logoutToken(t, "JWT", jwt.MapClaims{"jti": 1}),
		"an id without end":           logoutToken(t, "JWT", jwt.MapClaims{"jti": strings.Repeat("x", 256)}),
		"no iat":                      logoutToken(t, "JWT", jwt.MapClaims{"iat": nil}),
		"iat in the future":           logoutToken(t, "JWT", jwt.MapClaims{"iat": time.Now().Add(time.Minute).Unix()}),
		"not yet valid":               logoutToken(t, "JWT", jwt.MapClaims{"nbf": time.Now().Add(time.Minute).Unix()}),
		"expired":                     logoutToken(t, "JWT", jwt.MapClaims{"exp": time.Now().Add(-6 * time.Second).Unix()}),
		"good for a day":              logoutToken(t, "JWT", jwt.MapClaims{"exp": time.Now().Add(24 * time.Hour).Unix()}),
		"old, without exp":            logoutToken(t, "JWT", jwt.MapClaims{"exp": nil, "iat": time.Now().Add(-6 * time.Minute).Unix()}),
		"an access token by typ":      logoutToken(t, "at+jwt", nil),
		"another kind by typ":         logoutToken(t, "secevent+jwt", nil),
		"a session":                   sign(t, nil),
		"another signature":           parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"no JWT":                      "x",
		"too large":                   good + strings.Repeat("x", 9000),
	} {
		t.Run(name, func(t *testing.T) {
			wantLogout(t, s.logout(t, form(token)), http.StatusBadRequest, "invalid_request")
		})
	}
	for name, body := range map[string]string{
		"nothing": "", "another field": "token=" + good, "two": form(good) + "&" + form(good), "an empty one": "logout_token=",
		"a broken form": "logout_token=%zz", "a body without end": form(good) + "&x=" + strings.Repeat("x", 17<<10),
	} {
		t.Run(name, func(t *testing.T) {
			wantLogout(t, s.logout(t, body), http.StatusBadRequest, "invalid_request")
		})
	}
	t.Run("JSON", func(t *testing.T) {
		a := s.do(t, call{path: logoutPath, body: `{"logout_token":"` + good + `"}`, header: http.Header{"Content-Type": {"application/json"}}})
		wantLogout(t, a, http.StatusBadRequest, "invalid_request")
	})
	t.Run("in the query", func(t *testing.T) {
		a := s.do(t, call{path: logoutPath + "?" + form(good), header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}})
		wantLogout(t, a, http.StatusBadRequest, "invalid_request")
	})
	if a := s.do(t, call{header: bearer(sign(t, jwt.MapClaims{"sid": "session-1", "iat": time.Now().Add(-time.Minute).Unix()}))}); a.StatusCode != http.StatusOK {
		t.Errorf("one of them ended the session: %d %s", a.StatusCode, a.raw)
	}
}

func TestALogoutTokenIsUsedOnceAndSentAgainWhereItFailed(t *testing.T) {
	t.Parallel()
	s, revocations := startLogout(t)
	token := form(logoutToken(t, "logout+jwt", nil))
	revocations.away = true
	wantLogout(t, s.logout(t, token), http.StatusBadRequest, "temporarily_unavailable")
	if e := s.audit.last(t); e.Event != telemetry.EventRevoked || e.Outcome != "unconfirmed" {
		t.Errorf("audit = %+v", e)
	}
	revocations.away = false
	wantLogout(t, s.logout(t, token), http.StatusOK, "")
	wantLogout(t, s.logout(t, token), http.StatusBadRequest, "invalid_request")
	wantLogout(t, s.logout(t, form(logoutToken(t, "logout+jwt", jwt.MapClaims{"jti": "another"}))), http.StatusOK, "")
}

func TestLogoutIsThereOnlyWhereItIsSetUp(t *testing.T) {
	t.Parallel()
	s := start(t)
	wantProblem(t, s.logout(t, form("x")), http.StatusNotFound, "not_found")
	set, _ := startLogout(t)
	wantProblem(t, set.do(t, call{method: http.MethodGet, path: logoutPath}), http.StatusMethodNotAllowed, "method_not_allowed")
}

func TestAFloodOfJunkLogoutsKeepsNoGoodOneOut(t *testing.T) {
	t.Parallel()
	s, _ := startLogout(t)
	// What comes back of the rate while this runs is a few more.
	for range 400 {
		if a := s.logout(t, form("x")); a.body["error"] == "temporarily_unavailable" {
			wantLogout(t, a, http.StatusBadRequest, "temporarily_unavailable")
			wantLogout(t, s.logout(t, form(logoutToken(t, "logout+jwt", nil))), http.StatusOK, "")
			return
		}
	}
	t.Error("it goes on and on")
}
