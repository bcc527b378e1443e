package handlers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/policy"
	"farebox/internal/telemetry"
	"farebox/session"

	"github.com/labstack/echo/v4"
)

// ask is what one request asks for.
type ask struct {
	// decide asks the policy. An error is a refusal.
	decide func(policy.Caller) (policy.Decision, error)
	// complete adds what is asked for to the caller's request.
	complete func(*dispenser.Request)
}

// handOut answers a request for a credential, and records how it ended. read
// finds out what is asked for, before anybody is known; body is the answer's.
func (s *server) handOut(
	c echo.Context,
	read func(echo.Context, *telemetry.Entry) (ask, error),
	body func(echo.Context, dispenser.Grant) any,
) error {
	entry := telemetry.Entry{
		Event: telemetry.EventRefused, RequestID: requestID(c), Client: clientOf(c),
	}
	grant, err := s.dispense(c, &entry, read)
	if err != nil {
		refused := toRefusal(err)
		entry.Outcome = outcome(refused)
		if !refused.quiet {
			s.Observer.Refused(entry.Type, string(refused.Code), refused.Code.Blame())
		}
		s.Audit.Record(c.Request().Context(), entry)
		return refused
	}
	entry.Event, entry.Outcome, entry.Source, entry.Token = telemetry.EventDispensed, "ok", string(grant.Source), grant.Token
	s.Audit.Record(c.Request().Context(), entry)
	s.Observer.Dispensed(entry.Type, entry.Source)

	h := c.Response().Header()
	h["Cache-Control"] = noStore
	h["Pragma"] = noCache
	setRateLimit(h, grant.Limits)
	if grant.Source == dispenser.SourceReplay {
		h.Set("Idempotent-Replayed", "true")
	}
	return c.JSON(http.StatusOK, body(c, grant))
}

// outcome is a refusal in the audit. A caller who hung up was refused nothing.
func outcome(r *refusal) string {
	if r.quiet {
		return "caller_gone"
	}
	return string(r.Code)
}

// dispense is the one way of a request: shape, session, policy, dispenser. It
// notes in entry what becomes known on the way.
func (s *server) dispense(c echo.Context, entry *telemetry.Entry, read func(echo.Context, *telemetry.Entry) (ask, error)) (dispenser.Grant, error) {
	r := c.Request()
	ask, err := read(c, entry)
	if err != nil {
		return dispenser.Grant{}, err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return dispenser.Grant{}, err
	}
	// The vendor's endpoints take no body; what a client sends all the same is
	// read, so that the connection can be used again.
	if err := discardBody(c.Response(), r); err != nil {
		return dispenser.Grant{}, err
	}
	principal, err := s.principal(c)
	if err != nil {
		return dispenser.Grant{}, err
	}
	entry.SubjectHash = s.Hasher.Subject(principal.Issuer, principal.Subject)
	entry.SessionHash = s.Hasher.Session(principal.Issuer, principal.SessionID)
	decision, err := ask.decide(asCaller(principal))
	if err != nil {
		return dispenser.Grant{}, err
	}
	ctx, cancel := context.WithTimeout(telemetry.WithRequestID(r.Context(), entry.RequestID), s.RequestTimeout)
	defer cancel()
	req := dispenser.Request{
		Issuer: principal.Issuer, Subject: principal.Subject,
		SessionID: principal.SessionID, TokenID: principal.ID, IssuedAt: principal.IssuedAt,
		Limits:         decision.Limits,
		IdempotencyKey: key, Fingerprint: fingerprint(r),
	}
	ask.complete(&req)
	return s.Dispenser.Dispense(ctx, req)
}

// expiry is when a grant ends: RFC 3339 in UTC, and in how many whole seconds.
func (s *server) expiry(grant dispenser.Grant) (at string, in int64) {
	at = grant.ExpiresAt.UTC().Truncate(time.Second).Format(time.RFC3339)
	return at, int64(grant.ExpiresAt.Sub(s.Now()) / time.Second)
}

// asCaller is a session as the policy sees it.
func asCaller(p *session.Principal) policy.Caller {
	return policy.Caller{Issuer: p.Issuer, Subject: p.Subject, Scopes: p.Scopes, Claims: p.Claims}
}

func parseQuery(r *http.Request) (url.Values, error) {
	if r.URL.RawQuery == "" {
		return nil, nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, malformed("The query is malformed.")
	}
	return query, nil
}

func discardBody(w http.ResponseWriter, r *http.Request) error {
	_, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if err == nil || errors.As(err, &tooLarge) {
		return err
	}
	return malformed("The body is malformed, too slow or broke off.")
}

func fingerprint(r *http.Request) string {
	return r.Method + " " + r.URL.EscapedPath() + "?" + r.URL.RawQuery
}

var _ Verifier = (*session.Verifier)(nil)
