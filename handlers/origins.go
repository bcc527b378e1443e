package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"farebox/internal/problem"
)

// origins are those that browsers may call from.
type origins struct {
	list   []Origin
	public *url.URL // this server's own address, where it is not the Host header's; nil for none
}

// listed reports whether origin is allowed, and whether it is so by name.
func (o origins) listed(origin string) (allowed, exact bool) {
	for _, candidate := range o.list {
		if candidate.Matches(origin) {
			allowed = true
			exact = exact || !candidate.Wildcard()
		}
	}
	return allowed, exact
}

// same reports whether origin is this server's own. Behind a proxy that ends TLS
// the scheme is not known, unless the public address tells it.
func (o origins) same(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return false
	}
	if o.public != nil && strings.EqualFold(u.Host, o.public.Host) {
		return u.Scheme == o.public.Scheme
	}
	return strings.EqualFold(u.Host, r.Host) && (r.TLS == nil || u.Scheme == "https")
}

// fromOurPages reports whether a browser says that a page of this origin, or of
// a listed one, sent r. Without that word a credential that the browser adds
// by itself counts for nothing.
func (o origins) fromOurPages(r *http.Request) bool {
	if site := r.Header.Values("Sec-Fetch-Site"); len(site) == 1 && site[0] == "same-origin" {
		return true
	}
	origin := r.Header.Values("Origin")
	if len(origin) != 1 {
		return false
	}
	_, exact := o.listed(origin[0])
	return exact || o.same(origin[0], r)
}

const (
	corsRequestHeaders = "Authorization, Content-Type, Idempotency-Key, X-Request-Id, traceparent, tracestate, baggage, sentry-trace"
	corsExposedHeaders = "Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, Idempotent-Replayed, WWW-Authenticate"
)

// cors lets pages of listed origins call and read, errors too. Preflights are
// answered here, without a session.
func (s *server) cors(a *arrival) (answered bool, err error) {
	if s.published[a.Path()] != nil {
		return false, nil // its handler lets every origin read it
	}
	r, h := a.Request(), a.Response().Header()
	h["Vary"] = byOrigin
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false, nil
	}
	preflight := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
	allowed, exact := s.origins.listed(origin)
	switch {
	case allowed:
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", corsExposedHeaders)
		if exact {
			h.Set("Access-Control-Allow-Credentials", "true")
		}
	case preflight:
		return false, failWith(problem.OriginNotAllowed, s.origins.refused(r))
	case !s.origins.same(origin, r):
		s.Log.WarnContext(r.Context(), "origin not allowed", "request_id", a.requestID, "error", s.origins.refused(r).Error())
	}
	if !preflight {
		return false, nil
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", corsRequestHeaders)
	h.Set("Access-Control-Max-Age", "7200")
	return true, a.NoContent(http.StatusNoContent)
}

// serialized reports whether an origin is as browsers write it (RFC 6454, 6.2): scheme
// and host, in lower case, and nothing more. A JWT that strayed is none.
func serialized(origin string) bool {
	u, err := url.Parse(origin)
	return origin == "null" || err == nil && u.Host != "" && origin == u.Scheme+"://"+u.Host && origin == strings.ToLower(origin)
}

// refused names the origin and the setting, for the log.
func (o origins) refused(r *http.Request) error {
	const most = 256
	origin := r.Header.Get("Origin")
	allowed, _ := o.listed(origin)
	switch {
	case origin == "":
		return errors.New("the request carries neither Sec-Fetch-Site: same-origin nor an Origin; a cookie or proxy header alone is not enough")
	case !serialized(origin):
		return errors.New("the Origin is none that a browser writes, so it is not shown")
	case allowed:
		return fmt.Errorf("origin %.*q is in FAREBOX_ALLOWED_ORIGINS by a wildcard, which holds for bearer callers only", most, origin)
	}
	return fmt.Errorf("origin %.*q is not in FAREBOX_ALLOWED_ORIGINS", most, origin)
}
