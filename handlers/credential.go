package handlers

import (
	"net/http"
	"strings"

	"farebox/internal/problem"
	"farebox/session"

	"github.com/labstack/echo/v4"
)

// principal verifies the caller's session.
func (s *server) principal(c echo.Context) (*session.Principal, error) {
	raw, err := s.credential(c.Request())
	if err != nil {
		return nil, err
	}
	return s.Verifier.Verify(c.Request().Context(), raw)
}

// credential finds the session JWT: a bearer token counts alone; what a
// browser or a proxy adds by itself counts only for requests of our own pages.
func (s *server) credential(r *http.Request) (string, error) {
	missing := &refusal{Answer: problem.Answer{Code: problem.SessionMissing, Challenge: "Bearer"}}
	bearer, isBearer, err := bearerToken(r)
	switch {
	case err != nil:
		return "", err
	case isBearer && bearer == "":
		return "", missing
	case isBearer:
		return bearer, nil
	}
	ambient, err := s.ambientCredential(r)
	switch {
	case err != nil:
		return "", err
	case ambient == "":
		return "", missing
	}
	if !s.origins.fromOurPages(r) {
		return "", failWith(problem.OriginNotAllowed, s.origins.refused(r))
	}
	return ambient, nil
}

// bearerToken is the token of an Authorization header of that scheme
// (RFC 6750, 2.1). Another scheme is no session.
func bearerToken(r *http.Request) (token string, isBearer bool, err error) {
	values := r.Header.Values("Authorization")
	if len(values) > 1 {
		return "", false, malformed("The Authorization header is there more than once.")
	}
	if len(values) == 0 {
		return "", false, nil
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	return strings.Trim(token, " "), strings.EqualFold(scheme, "Bearer"), nil
}

// ambientCredential is the JWT in the session cookie or the login proxy's header.
func (s *server) ambientCredential(r *http.Request) (string, error) {
	var found []string
	if s.Header != "" {
		found = append(found, r.Header.Values(s.Header)...)
	}
	if s.Cookie != "" {
		for _, cookie := range r.CookiesNamed(s.Cookie) {
			found = append(found, cookie.Value)
		}
	}
	switch {
	case len(found) == 0:
		return "", nil
	case len(found) > 1:
		return "", malformed("The session is there more than once.")
	}
	return found[0], nil
}
