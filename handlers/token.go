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
	"farebox/internal/problem"
	"farebox/internal/telemetry"
	"farebox/session"
	vendorclient "farebox/vendor_client"

	"github.com/labstack/echo/v4"
)

// tokenBody is the answer's JSON.
type tokenBody struct {
	Token            string                 `json:"token"`
	TokenType        vendorclient.TokenType `json:"token_type"`
	ExpiresAt        string                 `json:"expires_at"` // RFC 3339, UTC, whole seconds
	ExpiresIn        int64                  `json:"expires_in"` // whole seconds, rounded down
	BaseURL          string                 `json:"base_url"`
	WebSocketBaseURL string                 `json:"websocket_base_url"`
	TokenParameter   string                 `json:"token_parameter"`
}

// token is POST /v1/single-use-token/{token_type}.
func (s *server) token(c echo.Context) error {
	entry := telemetry.Entry{
		Event: telemetry.EventRefused, RequestID: requestID(c), Client: c.RealIP(),
	}
	grant, err := s.dispense(c, &entry)
	if err != nil {
		refused := toRefusal(err)
		entry.Outcome = outcome(refused)
		s.Audit.Record(c.Request().Context(), entry)
		return refused
	}
	entry.Event, entry.Outcome, entry.Source, entry.Token = telemetry.EventDispensed, "ok", string(grant.Source), grant.Token
	s.Audit.Record(c.Request().Context(), entry)

	h := c.Response().Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	setRateLimit(h, grant.Limits)
	if grant.Source == dispenser.SourceReplay {
		h.Set("Idempotent-Replayed", "true")
	}
	base, webSocketBase := s.Addresses(c.Request())
	return c.JSON(http.StatusOK, tokenBody{
		Token:            grant.Token.Reveal(),
		TokenType:        grant.Type,
		ExpiresAt:        grant.ExpiresAt.UTC().Truncate(time.Second).Format(time.RFC3339),
		ExpiresIn:        int64(grant.ExpiresAt.Sub(s.Now()) / time.Second),
		BaseURL:          base,
		WebSocketBaseURL: webSocketBase,
		TokenParameter:   grant.Type.Parameter(),
	})
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
func (s *server) dispense(c echo.Context, entry *telemetry.Entry) (dispenser.Grant, error) {
	r := c.Request()
	tokenType, ok := vendorclient.ParseTokenType(c.Param("token_type"))
	if !ok {
		return dispenser.Grant{}, fail(problem.UnknownTokenType)
	}
	entry.Type = string(tokenType)
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return dispenser.Grant{}, malformed("The query is malformed.")
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return dispenser.Grant{}, err
	}
	// The vendor's endpoint takes no body; what a client sends all the same is
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
	decision, err := s.Policy.DecideToken(asCaller(principal), string(tokenType))
	if err != nil {
		return dispenser.Grant{}, forbidden(problem.TokenTypeNotAllowed, err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.RequestTimeout)
	defer cancel()
	return s.Dispenser.Dispense(ctx, dispenser.Request{
		Issuer: principal.Issuer, Subject: principal.Subject,
		SessionID: principal.SessionID, TokenID: principal.ID, IssuedAt: principal.IssuedAt,
		Type: tokenType, Limits: decision.Limits,
		IdempotencyKey: key, Fingerprint: fingerprint(r),
	})
}

// asCaller is a session as the policy sees it.
func asCaller(p *session.Principal) policy.Caller {
	return policy.Caller{Issuer: p.Issuer, Subject: p.Subject, Scopes: p.Scopes, Claims: p.Claims}
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
