package session_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"farebox/internal/secret"
	"farebox/session"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

const (
	issuer = "https://issuer.example"
	shared = "a shared secret of more than 32 bytes"
)

var now = time.Unix(1_790_000_000, 0)

// keyPair is a private key and what verifies it.
type keyPair struct {
	method  jwt.SigningMethod
	private any
	public  crypto.PublicKey
}

// keyPairs has one key of each kind, made once.
func keyPairs(t *testing.T) map[string]keyPair {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pairs := map[string]keyPair{}
	for _, m := range []jwt.SigningMethod{
		jwt.SigningMethodRS256, jwt.SigningMethodRS384, jwt.SigningMethodRS512,
		jwt.SigningMethodPS256, jwt.SigningMethodPS384, jwt.SigningMethodPS512,
	} {
		pairs[m.Alg()] = keyPair{m, rsaKey, &rsaKey.PublicKey}
	}
	for m, curve := range map[jwt.SigningMethod]elliptic.Curve{
		jwt.SigningMethodES256: elliptic.P256(), jwt.SigningMethodES384: elliptic.P384(), jwt.SigningMethodES512: elliptic.P521(),
	} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		pairs[m.Alg()] = keyPair{m, key, &key.PublicKey}
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pairs["EdDSA"] = keyPair{jwt.SigningMethodEdDSA, private, public}
	return pairs
}

// claims are good ones, with more or others. A nil value takes one away.
func claims(more map[string]any) jwt.MapClaims {
	all := jwt.MapClaims{
		"iss": issuer, "aud": "farebox", "sub": "ada", "sid": "s1", "jti": "j1",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	for name, value := range more {
		if value == nil {
			delete(all, name)
		} else {
			all[name] = value
		}
	}
	return all
}

// sign makes a JWT; header members win over what is set.
func sign(t *testing.T, method jwt.SigningMethod, key any, header map[string]any, c jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	for name, value := range header {
		if value == nil {
			delete(token.Header, name)
		} else {
			token.Header[name] = value
		}
	}
	raw, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func hs256(t *testing.T, header map[string]any, more map[string]any) string {
	t.Helper()
	return sign(t, jwt.SigningMethodHS256, []byte(shared), header, claims(more))
}

// raw signs header and claims as they are written, with the shared secret.
func rawJWT(t *testing.T, header, body string) string {
	t.Helper()
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(body))
	signature, err := jwt.SigningMethodHS256.Sign(signed, []byte(shared))
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func verifier(t *testing.T, keys session.KeySource, amend ...func(*session.Config)) *session.Verifier {
	t.Helper()
	cfg := session.Config{
		Issuer: issuer, Audiences: []string{"farebox"}, Leeway: 5 * time.Second, MaxLifetime: 24 * time.Hour,
		Keys: keys, Now: func() time.Time { return now },
	}
	for _, f := range amend {
		f(&cfg)
	}
	v, err := session.NewVerifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func sharedSecret(t *testing.T) *session.HS256 {
	t.Helper()
	s, err := session.NewHS256(secret.New(shared))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

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
	if diff := cmp.Diff(want, p); diff != "" {
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
		"the longest lifetime":            hs256(t, nil, map[string]any{"exp": now.Add(24 * time.Hour).Unix()}),
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

func TestHostileSessionsAreRefused(t *testing.T) {
	t.Parallel()
	good := hs256(t, nil, nil)
	parts := strings.Split(good, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	header := func(h map[string]any) string { return hs256(t, h, nil) }
	claim := func(name string, value any) string { return hs256(t, nil, map[string]any{name: value}) }
	body := func(b string) string { return rawJWT(t, `{"alg":"HS256"}`, b) }
	end := strings.Join([]string{`"aud":"farebox","sub":"ada"`, `"exp":1790003600}`}, ",")
	pairs := keyPairs(t)
	tests := map[string]string{
		"empty":                            "",
		"one part":                         "abc",
		"two parts":                        parts[0] + "." + parts[1],
		"four parts":                       good + ".x",
		"five parts, as JWE":               good + ".x.y",
		"empty parts":                      "..",
		"no signature":                     parts[0] + "." + parts[1] + ".",
		"a signature cut short":            good[:len(good)-2],
		"another signature":                parts[0] + "." + parts[1] + "." + b64(make([]byte, 32)),
		"claims of another token":          parts[0] + "." + strings.Split(claim("sub", "mallory"), ".")[1] + "." + parts[2],
		"a space behind":                   good + " ",
		"a line break within":              parts[0] + ".\r\n" + parts[1] + "." + parts[2],
		"a line break within the base64":   parts[0][:4] + "\n" + parts[0][4:] + "." + parts[1] + "." + parts[2],
		"padding":                          parts[0] + "=." + parts[1] + "." + parts[2],
		"the other base64 alphabet":        parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-1] + "+",
		"a NUL":                            good + "\x00",
		"beyond ASCII":                     good + "é",
		"a question mark":                  good + "?",
		"enormous":                         claim("x", strings.Repeat("x", 9000)),
		"alg none":                         b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"alg none with a signature":        rawJWT(t, `{"alg":"none"}`, `{"iss":"`+issuer+`",`+end),
		"alg None":                         header(map[string]any{"alg": "None"}),
		"alg NONE":                         header(map[string]any{"alg": "NONE"}),
		"alg in small letters":             header(map[string]any{"alg": "hs256"}),
		"alg HS512":                        sign(t, jwt.SigningMethodHS512, []byte(shared), nil, claims(nil)),
		"alg RS256 with another key":       sign(t, jwt.SigningMethodRS256, pairs["RS256"].private, nil, claims(nil)),
		"alg missing":                      header(map[string]any{"alg": nil}),
		"alg a number":                     header(map[string]any{"alg": 256}),
		"alg a list":                       header(map[string]any{"alg": []string{"HS256"}}),
		"crit":                             header(map[string]any{"crit": []string{"exp"}}),
		"crit, empty":                      header(map[string]any{"crit": []string{}}),
		"b64 false":                        header(map[string]any{"b64": false}),
		"zip":                              header(map[string]any{"zip": "DEF"}),
		"nested":                           header(map[string]any{"cty": "JWT"}),
		"typ of a logout token":            header(map[string]any{"typ": "logout+jwt"}),
		"typ of a DPoP proof":              header(map[string]any{"typ": "dpop+jwt"}),
		"typ of a security event":          header(map[string]any{"typ": "secevent+jwt"}),
		"typ JOSE":                         header(map[string]any{"typ": "JOSE"}),
		"typ a number":                     header(map[string]any{"typ": 1}),
		"kid a number":                     header(map[string]any{"kid": 7}),
		"kid an object":                    header(map[string]any{"kid": map[string]any{}}),
		"kid empty":                        header(map[string]any{"kid": ""}),
		"kid enormous":                     header(map[string]any{"kid": strings.Repeat("k", 257)}),
		"a header twice over":              rawJWT(t, `{"alg":"HS256","alg":"none"}`, `{"iss":"`+issuer+`",`+end),
		"a header that is a list":          rawJWT(t, `["HS256"]`, `{"iss":"`+issuer+`",`+end),
		"a header with something behind":   rawJWT(t, `{"alg":"HS256"}{}`, `{"iss":"`+issuer+`",`+end),
		"a header that is no UTF-8":        rawJWT(t, "{\"alg\":\"HS256\",\"x\":\"\xff\"}", `{"iss":"`+issuer+`",`+end),
		"claims twice over":                body(`{"iss":"` + issuer + `","sub":"eve",` + end),
		"claims twice over, deep within":   body(`{"iss":"` + issuer + `","x":{"a":1,"a":2},` + end),
		"claims that are a list":           body(`[]`),
		"claims that are text":             body(`"x"`),
		"claims that are no JSON":          body(`{`),
		"claims that are no UTF-8":         body("{\"iss\":\"" + issuer + "\",\"x\":\"\xc3\x28\"," + end),
		"a number that is out of range":    body(`{"iss":"` + issuer + `","x":1e400,` + end),
		"no issuer":                        claim("iss", nil),
		"another issuer":                   claim("iss", "https://evil.example"),
		"an issuer with a slash more":      claim("iss", issuer+"/"),
		"an issuer in capitals":            claim("iss", strings.ToUpper(issuer)),
		"an issuer in a list":              claim("iss", []string{issuer}),
		"an issuer as an object":           claim("iss", map[string]any{"a": issuer}),
		"no audience":                      claim("aud", nil),
		"another audience":                 claim("aud", "other"),
		"an audience that begins alike":    claim("aud", "farebox2"),
		"an empty list of audiences":       claim("aud", []string{}),
		"a list with a number":             claim("aud", []any{"farebox", 1}),
		"an audience as a number":          claim("aud", 1),
		"no subject":                       claim("sub", nil),
		"an empty subject":                 claim("sub", ""),
		"a subject as a number":            claim("sub", 1),
		"a subject of many pages":          claim("sub", strings.Repeat("x", 256)),
		"a subject with a line break":      claim("sub", "ada\nadmin"),
		"a subject with a NUL":             claim("sub", "ada\x00"),
		"no expiry":                        claim("exp", nil),
		"an expiry as text":                claim("exp", "1790003600"),
		"an expiry of zero":                claim("exp", 0),
		"a negative expiry":                claim("exp", -1),
		"an expiry beyond all time":        claim("exp", int64(1)<<60),
		"an expiry beyond the longest":     claim("exp", now.Add(24*time.Hour+6*time.Second).Unix()),
		"an expiry of null":                body(`{"iss":"` + issuer + `","aud":"farebox","sub":"ada","exp":null}`),
		"not yet valid":                    claim("nbf", now.Unix()+6),
		"not valid before text":            claim("nbf", "x"),
		"issued in the future":             claim("iat", now.Unix()+6),
		"issued at text":                   claim("iat", "x"),
		"a session id as a number":         claim("sid", 1),
		"a jti as a number":                claim("jti", 1),
		"a logout token by its events":     claim("events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}),
		"an expired token of another user": strings.Join([]string{parts[0], strings.Split(claim("exp", now.Unix()-100), ".")[1], parts[2]}, "."),
		"an expired token with more wrong": hs256(t, nil, map[string]any{"exp": now.Unix() - 100, "sub": ""}),
	}
	if len(tests) < 60 {
		t.Errorf("only %d hostile tokens", len(tests))
	}
	v := verifier(t, sharedSecret(t))
	for name, raw := range tests {
		p, err := v.Verify(t.Context(), raw)
		if !errors.Is(err, session.ErrInvalid) || p != nil {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
			continue
		}
		for _, word := range []string{"mallory", "evil", "passwd", shared} {
			if strings.Contains(err.Error(), word) {
				t.Errorf("%s: the error shows %q: %v", name, word, err)
			}
		}
	}
}

func TestExpiredIsSaidOnlyOfWhatWasGood(t *testing.T) {
	t.Parallel()
	v := verifier(t, sharedSecret(t))
	for _, ago := range []int64{5, 6, 3600} {
		if _, err := v.Verify(t.Context(), hs256(t, nil, map[string]any{"exp": now.Unix() - ago})); !errors.Is(err, session.ErrExpired) {
			t.Errorf("%d seconds ago: %v", ago, err)
		}
	}
	other := sign(t, jwt.SigningMethodHS256, []byte("another secret of more than 32 bytes"), nil, claims(map[string]any{"exp": now.Unix() - 100}))
	if _, err := v.Verify(t.Context(), other); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("signed by somebody else: %v", err)
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
	for name, value := range map[string]any{"token_use": "id", "client": "abcdef", "level": 4, "oid": nil} {
		bad := maps.Clone(good)
		bad[name] = value
		if _, err := v.Verify(t.Context(), hs256(t, nil, bad)); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("%s = %v: %v", name, value, err)
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
	if _, err := session.NewHS256(secret.New("short")); err == nil || strings.Contains(err.Error(), "short") && !strings.Contains(err.Error(), "32") {
		t.Errorf("error = %v", err)
	}
	if _, err := session.NewVerifier(session.Config{}); err == nil {
		t.Error("an empty Config was taken")
	}
}

// gated is a source whose keys come when the test lets them.
type gated struct {
	*session.HS256
	material any
}

func (g gated) Keys(context.Context, string, string) ([]session.Key, error) {
	return []session.Key{{Algorithms: []string{"HS256"}, Material: g.material}}, nil
}

func TestAKeyThatCannotVerifyIsARefusalNotAPanic(t *testing.T) {
	t.Parallel()
	v := verifier(t, gated{sharedSecret(t), "no bytes"})
	if _, err := v.Verify(t.Context(), hs256(t, nil, nil)); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("error = %v", err)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
