package handlers

import (
	"net/http"
	"strings"

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
	bearer, err := bearerToken(r)
	if bearer != "" || err != nil {
		return bearer, err
	}
	ambient, err := s.ambientCredential(r)
	if err != nil {
		return "", err
	}
	if ambient == "" {
		return "", &problem{code: CodeSessionMissing, challenge: "Bearer"}
	}
	if !s.origins.fromOurPages(r) {
		return "", failWith(CodeOriginNotAllowed, refusedOrigin(r.Header.Get("Origin")))
	}
	return ambient, nil
}

// bearerToken is the token of an Authorization header of that scheme
// (RFC 6750, 2.1), or "". Another scheme is no session.
func bearerToken(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	if len(values) > 1 {
		return "", malformed("The Authorization header is there more than once.")
	}
	if len(values) == 0 {
		return "", nil
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	return strings.Trim(token, " "), nil
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
