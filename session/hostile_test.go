package session_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"farebox/session"

	"github.com/golang-jwt/jwt/v5"
)

func TestHostileSessionsAreRefused(t *testing.T) {
	t.Parallel()
	good := hs256(t, nil, nil)
	parts := strings.Split(good, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	header := func(h map[string]any) string { return hs256(t, h, nil) }
	claim := func(name string, value any) string { return hs256(t, nil, map[string]any{name: value}) }
	body := func(b string) string { return sealed(`{"alg":"HS256"}`, b) }
	end := strings.Join([]string{`"aud":"farebox","sub":"ada"`, `"exp":1790003600}`}, ",")
	signedOver := func(text string) string {
		signature, err := jwt.SigningMethodHS256.Sign(text, []byte(shared))
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + b64(signature)
	}
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
		"a line break behind":              good + "\n",
		"a line break in the signature":    good[:len(good)-9] + "\r\n" + good[len(good)-9:],
		"a line break that is signed":      signedOver(parts[0][:4] + "\n" + parts[0][4:] + "." + parts[1]),
		"a signature's loose bits set":     good[:len(good)-1] + string(good[len(good)-1]+1),
		"padding":                          parts[0] + "=." + parts[1] + "." + parts[2],
		"the other base64 alphabet":        parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-1] + "+",
		"a NUL":                            good + "\x00",
		"beyond ASCII":                     good + "é",
		"a question mark":                  good + "?",
		"enormous":                         claim("x", strings.Repeat("x", 9000)),
		"alg none":                         b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"alg none with a signature":        sealed(`{"alg":"none"}`, `{"iss":"`+issuer+`",`+end),
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
		"a header twice over":              sealed(`{"alg":"HS256","alg":"none"}`, `{"iss":"`+issuer+`",`+end),
		"a header that is a list":          sealed(`["HS256"]`, `{"iss":"`+issuer+`",`+end),
		"a header with something behind":   sealed(`{"alg":"HS256"}{}`, `{"iss":"`+issuer+`",`+end),
		"a header that is no UTF-8":        sealed("{\"alg\":\"HS256\",\"x\":\"\xff\"}", `{"iss":"`+issuer+`",`+end),
		"claims twice over":                body(`{"iss":"` + issuer + `","sub":"eve",` + end),
		"claims twice over, deep within":   body(`{"iss":"` + issuer + `","x":{"a":1,"a":2},` + end),
		"claims that are no base64":        parts[0] + ".A." + parts[2],
		"claims of 5000 lists, not closed": body(strings.Repeat("[", 5000)),
		"claims with a comma too many":     body(`{"iss":"` + issuer + `","x":[1,],` + end),
		"claims with a member unnamed":     body(`{1:2}`),
		"an expiry beyond all numbers":     body(`{"iss":"` + issuer + `","aud":"farebox","sub":"ada","exp":1e400}`),
		"an iss of null":                   body(`{"iss":null,` + end),
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
		"a subject with half a surrogate":  body(`{"iss":"` + issuer + `","aud":"farebox","sub":"ada\ud800","exp":1790003600}`),
		"a member twice, once escaped":     body(`{"iss":"` + issuer + `","\u0073ub":"eve",` + end),
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
		if session.Reason(err) == "" || !strings.HasSuffix(err.Error(), session.Reason(err)) {
			t.Errorf("%s: %v for the reason %q", name, err, session.Reason(err))
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

func TestAReasonNamesTheRuleThatFailed(t *testing.T) {
	t.Parallel()
	v := verifier(t, sharedSecret(t))
	verify := func(raw string) error {
		_, err := v.Verify(t.Context(), raw)
		return err
	}
	for want, err := range map[string]error{
		"algorithm not allowed":          verify(hs256(t, map[string]any{"alg": "none"}, nil)),
		"another audience":               verify(hs256(t, nil, map[string]any{"aud": "other"})),
		"signature":                      verify(sign(t, jwt.SigningMethodHS256, []byte("another secret of more than 32 bytes"), nil, claims(nil))),
		"exp is past":                    verify(hs256(t, nil, map[string]any{"exp": now.Unix() - 100})),
		"session keys unavailable":       fmt.Errorf("%w: status 502", session.ErrKeysUnavailable),
		"too many signatures to check":   fmt.Errorf("%w: %w", session.ErrOverloaded, context.Canceled),
		"no reason of this package's is": errors.New("anything"),
	} {
		got := session.Reason(err)
		if strings.HasPrefix(want, "no reason") {
			want = ""
		}
		if got != want {
			t.Errorf("Reason(%v) = %q, want %q", err, got, want)
		}
	}
}

func TestKeysThatATokenBringsAlongAreNeitherUsedNorFetched(t *testing.T) {
	t.Parallel()
	trap := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was fetched because a token said so", r.URL.Path)
	}))
	t.Cleanup(trap.Close)
	ours, theirs := keyPairs(t)["ES256"], keyPairs(t)["ES256"]
	p := newProvider(t)
	v := verifier(t, p.serves(t, jwk(ours, "k")))
	der, err := x509.MarshalPKIXPublicKey(theirs.public)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{
		"jwk": jwk(theirs, "k"),
		"jku": trap.URL + "/jku",
		"x5u": trap.URL + "/x5u",
		"x5c": []string{base64.StdEncoding.EncodeToString(der)},
		"kid": trap.URL + "/kid",
	} {
		header := map[string]any{"kid": "k"}
		header[name] = value
		if err := decided(t, v, sign(t, theirs.method, theirs.private, header, claims(nil))); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnOddKidFindsNoKeyAndDoesNoHarm(t *testing.T) {
	t.Parallel()
	pair := keyPairs(t)["ES256"]
	p := newProvider(t)
	v := verifier(t, p.serves(t, jwk(pair, "k")))
	for _, kid := range []string{"../../../dev/null", "file:///etc/passwd", "' OR '1'='1", "k\x00", "K", "k ", "$(id)"} {
		if err := decided(t, v, signKid(t, pair, kid)); !errors.Is(err, session.ErrInvalid) || strings.Contains(err.Error(), kid) {
			t.Errorf("kid %q: %v", kid, err)
		}
	}
	if _, err := v.Verify(t.Context(), signKid(t, pair, "k")); err != nil {
		t.Error(err)
	}
}
