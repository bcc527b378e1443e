package handlers

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"farebox/internal/limit"
	"farebox/internal/problem"
	"farebox/session"
)

// principal verifies the caller's session.
func (s *server) principal(a *arrival) (*session.Principal, error) {
	raw, err := s.credential(a.Request())
	if err != nil {
		return nil, err
	}
	state, suspect := s.failures.suspect(a.client)
	verify := s.Verifier.Verify
	if suspect {
		verify = s.Verifier.VerifySuspect
	}
	principal, err := verify(a.Request().Context(), raw)
	if errors.Is(err, session.ErrInvalid) && s.failures.charge(a.client) {
		s.Log.Warn("many sessions that are not accepted come from one address; if it is a proxy's, name it in FAREBOX_TRUSTED_PROXIES", "client", a.client)
	}
	if suspect && errors.Is(err, session.ErrInvalid) {
		return nil, tooManyFailures(state, err)
	}
	return principal, err
}

// tooManyFailures answers a suspect address for one failure more.
func tooManyFailures(state limit.State, cause error) *refusal {
	r := later(problem.RateLimited, max(state.Reset, time.Nanosecond), cause)
	r.Detail = "Too many sessions that are not accepted have come from this address. Try again later."
	r.limits = []limit.State{state}
	return r
}

// credential finds the session JWT: a bearer token counts alone; what a
// browser or a proxy adds by itself counts only for requests of our own pages.
func (s *server) credential(r *http.Request) (string, error) {
	bearer, isBearer, err := bearerToken(r)
	switch {
	case err != nil:
		return "", err
	case isBearer && bearer == "":
		return "", noSession()
	case isBearer:
		return bearer, nil
	}
	ambient, err := s.ambientCredential(r)
	switch {
	case err != nil:
		return "", err
	case ambient == "":
		return "", noSession()
	}
	if !s.origins.fromOurPages(r) {
		return "", failWith(problem.OriginNotAllowed, s.origins.refused(r))
	}
	return ambient, nil
}

func noSession() error {
	return &refusal{Answer: problem.Answer{Code: problem.SessionMissing, Challenge: "Bearer"}}
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
