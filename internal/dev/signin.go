// Package dev holds what only the dev command has: a demo sign-in.
package dev

import (
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"farebox/internal/problem"
	"farebox/internal/secret"

	"github.com/golang-jwt/jwt/v5"
)

// SignIn makes a session for whoever asks: POST with a form or JSON "sub", and
// any other claims in JSON. It is for dev alone. Its fields are not to be
// changed in use; it is safe for concurrent use.
type SignIn struct {
	Issuer    string
	Audiences []string
	Key       secret.Text // signs HS256
	Cookie    string      // the name of the session cookie
	Now       func() time.Time
}

// sessionLifetime is that of a demo session.
const sessionLifetime = time.Hour

// ServeHTTP implements http.Handler.
func (s *SignIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		problem.Answer{Code: problem.MethodNotAllowed}.Write(w, r)
		return
	}
	claims, err := readClaims(http.MaxBytesReader(w, r.Body, 16<<10), r.Header.Get("Content-Type"))
	if err != nil {
		problem.Answer{Code: problem.InvalidRequest, Detail: err.Error()}.Write(w, r)
		return
	}
	session, err := s.sign(claims)
	if err != nil {
		problem.Answer{Code: problem.InternalError}.Write(w, r)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: s.Cookie, Value: session, Path: "/", MaxAge: int(sessionLifetime / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
	})
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	_ = json.NewEncoder(w).Encode(map[string]any{"session": session, "expires_in": int(sessionLifetime / time.Second)})
}

// sign makes a JWT of claims, which win over what is set here.
func (s *SignIn) sign(claims map[string]any) (string, error) {
	now := s.Now()
	all := jwt.MapClaims{
		"iss": s.Issuer, "aud": s.Audiences,
		"iat": now.Unix(), "exp": now.Add(sessionLifetime).Unix(),
	}
	maps.Copy(all, claims)
	return jwt.NewWithClaims(jwt.SigningMethodHS256, all).SignedString([]byte(s.Key.Reveal()))
}

// complaint is a sentence for who tries to sign in.
type complaint string

func (c complaint) Error() string { return string(c) }

const errNoSubject = complaint(`Say who signs in, as a form or JSON field "sub" of 1 to 200 characters.`)

func readClaims(body io.Reader, contentType string) (map[string]any, error) {
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, complaint("The body is too large or broke off.")
	}
	mediaType, _, _ := mime.ParseMediaType(contentType)
	claims := map[string]any{}
	switch mediaType {
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(data))
		if err != nil {
			return nil, complaint("The form is malformed.")
		}
		claims["sub"] = form.Get("sub")
	case "application/json":
		decoder := json.NewDecoder(strings.NewReader(string(data)))
		decoder.UseNumber()
		if err := decoder.Decode(&claims); err != nil {
			return nil, complaint("The body is no JSON object.")
		}
	default:
		return nil, complaint("Send a form or JSON.")
	}
	subject, ok := claims["sub"].(string)
	if subject = strings.TrimSpace(subject); !ok || subject == "" || len(subject) > 200 || !utf8.ValidString(subject) {
		return nil, errNoSubject
	}
	claims["sub"] = subject
	return claims, nil
}
