package session_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"farebox/internal/secret"
	"farebox/session"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestAGoodSessionIsAPrincipal(t *testing.T) {
	t.Parallel()
	v := verifier(t, sharedSecret(t))
	p, err := v.Verify(t.Context(), hs256(t, nil, map[string]any{"scope": "speech  admin", "level": 3, "ratio": 0.5, "big": 1e300}))
	if err != nil {
		t.Fatal(err)
	}
	want := &session.Principal{
		Issuer: issuer, Subject: "ada", SessionID: "s1", ID: "j1", IssuedAt: now, ExpiresAt: now.Add(time.Hour), Scopes: []string{"speech", "admin"},
	}
	level, ratio := p.Claims["level"], p.Claims["ratio"]
	p.Claims = nil
	if diff := cmp.Diff(want, p, cmpopts.IgnoreUnexported(session.Principal{})); diff != "" {
		t.Error(diff)
	}
	if level != int64(3) || ratio != 0.5 {
		t.Errorf("level = %T %v, ratio = %v", level, level, ratio)
	}
}

func TestGoodVariantsAreAccepted(t *testing.T) {
	t.Parallel()
	v := verifier(t, sharedSecret(t))
	for name, raw := range map[string]string{
		"typ JWT":                         hs256(t, nil, nil),
		"typ at+jwt":                      hs256(t, map[string]any{"typ": "at+jwt"}, nil),
		"typ application/at+JWT":          hs256(t, map[string]any{"typ": "application/at+JWT"}, nil),
		"no typ":                          hs256(t, map[string]any{"typ": nil}, nil),
		"aud in a list":                   hs256(t, nil, map[string]any{"aud": []string{"x", "farebox"}}),
		"no iat, nbf, jti, sid":           hs256(t, nil, map[string]any{"iat": nil, "nbf": nil, "jti": nil, "sid": nil}),
		"exp as a fraction":               hs256(t, nil, map[string]any{"exp": float64(now.Unix()) + 10.5}),
		"expired within the leeway":       hs256(t, nil, map[string]any{"exp": now.Unix() - 4}),
		"not yet valid within the leeway": hs256(t, nil, map[string]any{"nbf": now.Unix() + 5, "iat": now.Unix() + 5}),
		"expired within it by a fraction": hs256(t, nil, map[string]any{"exp": float64(now.Unix()) - 4.5}),
		"the longest lifetime and leeway": hs256(t, nil, map[string]any{"exp": now.Add(24*time.Hour + 5*time.Second).Unix()}),
		"a kid of somebody":               hs256(t, map[string]any{"kid": "../../etc/passwd"}, nil),
		"a subject beyond ASCII":          hs256(t, nil, map[string]any{"sub": "Ædå|🎟"}),
		"an ID token's claims":            hs256(t, nil, map[string]any{"nonce": "n", "at_hash": "h"}),
		"keys that it carries, ignored":   hs256(t, map[string]any{"jku": "https://evil.example", "jwk": map[string]any{"kty": "oct"}, "x5u": "https://evil.example", "x5c": []string{"x"}}, nil),
	} {
		if _, err := v.Verify(t.Context(), raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRequiredClaimsAndClaimNames(t *testing.T) {
	t.Parallel()
	v := verifier(t, sharedSecret(t), func(c *session.Config) {
		c.Audiences, c.SubjectClaim, c.SessionIDClaim = nil, "oid", "session"
		c.RequiredClaims = map[string][]string{"token_use": {"access"}, "client": {"abc", "def"}, "level": {"3"}}
	})
	good := map[string]any{"token_use": "access", "client": "def", "level": 3, "oid": "o1", "session": "x", "aud": nil}
	p, err := v.Verify(t.Context(), hs256(t, nil, good))
	if err != nil || p.Subject != "o1" || p.SessionID != "x" {
		t.Fatalf("%+v, %v", p, err)
	}
	for name, values := range map[string][]any{
		"token_use": {"id", "Access", nil, []string{"access"}},
		"client":    {"abcdef", "abc|def", true, map[string]any{"abc": 1}},
		"level":     {4, 3.5},
		"oid":       {nil, 7},
	} {
		for _, value := range values {
			bad := maps.Clone(good)
			bad[name] = value
			if _, err := v.Verify(t.Context(), hs256(t, nil, bad)); !errors.Is(err, session.ErrInvalid) {
				t.Errorf("%s = %v: %v", name, value, err)
			}
		}
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	v := verifier(t, sharedSecret(t))
	for name, tt := range map[string]struct {
		claims map[string]any
		want   []string
	}{
		"none":             {nil, nil},
		"scope as text":    {map[string]any{"scope": "a b"}, []string{"a", "b"}},
		"scp as a list":    {map[string]any{"scp": []string{"a", "b c"}}, []string{"a", "b c"}},
		"scp as text":      {map[string]any{"scp": "a b"}, []string{"a", "b"}},
		"scope before scp": {map[string]any{"scope": "a", "scp": "b"}, []string{"a"}},
		"of another type":  {map[string]any{"scope": 1}, nil},
	} {
		p, err := v.Verify(t.Context(), hs256(t, nil, tt.claims))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, p.Scopes); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestAShortSharedSecretIsRefused(t *testing.T) {
	t.Parallel()
	short := strings.Repeat("x", 31)
	if _, err := session.NewHS256(secret.New(short)); err == nil || strings.Contains(err.Error(), short) || !strings.Contains(err.Error(), "32") {
		t.Errorf("error = %v", err)
	}
	if _, err := session.NewHS256(secret.New(short + "x")); err != nil {
		t.Errorf("32 bytes: %v", err)
	}
}

func TestASharedSecretIsNotPrintedWithItsSource(t *testing.T) {
	t.Parallel()
	s := sharedSecret(t)
	if text := fmt.Sprintf("%v %+v %#v", s, s, *s); strings.Contains(text, shared) || strings.Contains(text, fmt.Sprint([]byte(shared)[:4])[1:8]) {
		t.Errorf("printed: %s", text)
	}
	if !s.Status().Usable {
		t.Error("not usable")
	}
}

// oneKey is a source that allows HS256 and answers any key, fitting or not.
type oneKey struct {
	*session.HS256
	key session.Key
}

func (s oneKey) Keys(context.Context, string, string) ([]session.Key, error) {
	return []session.Key{s.key}, nil
}

func TestAKeyThatDoesNotFitIsARefusalNotAPanic(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]session.Key{
		"material of another type":         {Algorithms: []string{"HS256"}, Material: "no bytes"},
		"no material":                      {Algorithms: []string{"HS256"}},
		"the secret for another algorithm": {Algorithms: []string{"HS384"}, Material: []byte(shared)},
		"the secret for no algorithm":      {Material: []byte(shared)},
	} {
		v := verifier(t, oneKey{sharedSecret(t), key})
		if _, err := v.Verify(t.Context(), hs256(t, nil, nil)); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("%s: error = %v", name, err)
		}
	}
}

func TestAConfigThatWillNotDoNamesTheField(t *testing.T) {
	t.Parallel()
	for field, amend := range map[string]func(*session.Config){
		"Keys":        func(c *session.Config) { c.Keys = nil },
		"Now":         func(c *session.Config) { c.Now = nil },
		"MaxLifetime": func(c *session.Config) { c.MaxLifetime = 0 },
		"Leeway":      func(c *session.Config) { c.Leeway = -1 },
	} {
		cfg := session.Config{Keys: sharedSecret(t), Now: time.Now, MaxLifetime: time.Hour}
		amend(&cfg)
		if _, err := session.NewVerifier(cfg); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
