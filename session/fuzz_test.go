package session_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"farebox/session"

	"github.com/golang-jwt/jwt/v5"
)

// sealed is a JWT of header and body as they are written, signed with the shared
// secret.
func sealed(header, body string) string {
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(body))
	signature, err := jwt.SigningMethodHS256.Sign(signed, []byte(shared))
	if err != nil {
		panic(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

const goodBody = `{"iss":"` + issuer + `","aud":"farebox","sub":"ada","exp":1790003600}`

// Nobody makes a good JWT of another one, or out of nothing.
func FuzzVerify(f *testing.F) {
	good := []string{
		sealed(`{"alg":"HS256"}`, goodBody),
		sealed(`{"alg":"HS256","typ":"at+jwt","kid":"k"}`, `{"iss":"`+issuer+`","aud":["farebox"],"sub":"ada","scp":["a"],"exp":1790003600.5}`),
	}
	for _, raw := range good {
		f.Add(raw)
		f.Add(raw + "\n")
		f.Add(raw[:len(raw)-1])
		f.Add(strings.Replace(raw, ".", "..", 1))
		f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(raw, ".")[1] + ".")
	}
	v := fuzzedVerifier(f)
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := v.Verify(t.Context(), raw)
		checkVerdict(t, p, err)
		if (err == nil) != slices.Contains(good, raw) {
			t.Errorf("%q: %v", raw, err)
		}
		// A suspect's JWT is judged alike.
		if _, again := v.VerifySuspect(t.Context(), raw); session.Reason(again) != session.Reason(err) {
			t.Errorf("%v, and for a suspect %v", err, again)
		}
	})
}

// Whatever the issuer signs, a Principal is one that can be relied on.
func FuzzClaims(f *testing.F) {
	for _, header := range []string{`{"alg":"HS256"}`, `{"alg":"HS256","alg":"none"}`, `{"alg":"HS256","crit":[]}`, `{"alg":"HS256","typ":"logout+jwt"}`} {
		f.Add(header, goodBody)
	}
	for _, body := range []string{
		`{`, `[]`, `null`, `{"sub":"ada","sub":"eve"}`, strings.Replace(goodBody, "ada", `\ud800`, 1), strings.Replace(goodBody, "1790003600", "1e400", 1),
		strings.Replace(goodBody, "1790003600", "-0", 1), strings.Replace(goodBody, `"farebox"`, `["farebox",null]`, 1), strings.Repeat(`{"a":`, 500),
	} {
		f.Add(`{"alg":"HS256"}`, body)
	}
	v := fuzzedVerifier(f)
	f.Fuzz(func(t *testing.T, header, body string) {
		p, err := v.Verify(t.Context(), sealed(header, body))
		checkVerdict(t, p, err)
		if err != nil {
			return
		}
		switch {
		case !utf8.ValidString(header) || !utf8.ValidString(body):
			t.Error("what is no UTF-8 was taken")
		case p.Issuer != issuer || p.Claims["iss"] != issuer:
			t.Errorf("issuer %q", p.Issuer)
		case p.Subject == "" || len(p.Subject) > 255 || strings.ContainsAny(p.Subject, "\x00\n\r\u007f\ufffd"):
			t.Errorf("subject %q", p.Subject)
		case !p.ExpiresAt.Add(5*time.Second).After(now) || p.ExpiresAt.After(now.Add(24*time.Hour+5*time.Second)):
			t.Errorf("it expires at %v", p.ExpiresAt)
		case p.IssuedAt.After(now.Add(5 * time.Second)):
			t.Errorf("it was issued at %v", p.IssuedAt)
		}
	})
}

func fuzzedVerifier(f *testing.F) *session.Verifier {
	keys, err := session.NewHS256(sharedText)
	if err != nil {
		f.Fatal(err)
	}
	v, err := session.NewVerifier(session.Config{
		Issuer: issuer, Audiences: []string{"farebox"}, Leeway: 5 * time.Second, MaxLifetime: 24 * time.Hour,
		Keys: keys, Now: func() time.Time { return now },
	})
	if err != nil {
		f.Fatal(err)
	}
	return v
}

// checkVerdict checks what holds of every answer.
func checkVerdict(t *testing.T, p *session.Principal, err error) {
	t.Helper()
	if (p == nil) != (err != nil) {
		t.Errorf("%+v and %v", p, err)
	}
	if err != nil && (!errors.Is(err, session.ErrInvalid) && !errors.Is(err, session.ErrExpired) || session.Reason(err) == "") {
		t.Errorf("error = %v", err)
	}
}
