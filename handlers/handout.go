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
)

// ask is what one request asks for: a single-use token, or a credential of an
// agent's.
type ask struct {
	name    string                 // in the audit; "" where it is not known
	token   vendorclient.TokenType // "" for an agent's
	agentID string
	mint    func(ctx context.Context, agentID, participant string) (vendorclient.Credential, error)
}

// handOut serves what was read of a request, or, where it could not be read, what
// is wrong with it; and records how it ended. The headers of the answer are set
// then, and its body is the caller's to write.
func (s *server) handOut(a *arrival, ask ask, unread error) (dispenser.Grant, error) {
	entry := telemetry.Entry{
		Event: telemetry.EventRefused, RequestID: a.requestID, Client: a.client, Type: ask.name,
	}
	grant, err := dispenser.Grant{}, unread
	if err == nil {
		grant, err = s.dispense(a, &entry, ask)
	}
	if err != nil {
		refused := toRefusal(err)
		entry.Outcome = outcome(refused)
		if !refused.quiet {
			s.Observer.Refused(entry.Type, string(refused.Code), refused.Code.Blame())
		}
		s.Audit.Record(a.Request().Context(), entry)
		return dispenser.Grant{}, refused
	}
	entry.Event, entry.Outcome, entry.Source, entry.Token = telemetry.EventDispensed, "ok", string(grant.Source), grant.Token
	s.Audit.Record(a.Request().Context(), entry)
	s.Observer.Dispensed(entry.Type, entry.Source)

	h := a.Response().Header()
	h["Cache-Control"] = noStore
	h["Pragma"] = noCache
	setRateLimit(h, grant.Limits)
	if grant.Source == dispenser.SourceReplay {
		h.Set("Idempotent-Replayed", "true")
	}
	return grant, nil
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
func (s *server) dispense(a *arrival, entry *telemetry.Entry, ask ask) (dispenser.Grant, error) {
	r := a.Request()
	key, err := idempotencyKey(r)
	if err != nil {
		return dispenser.Grant{}, err
	}
	// The vendor's endpoints take no body; what a client sends all the same is
	// read, so that the connection can be used again.
	if err := discardBody(a.Response(), r); err != nil {
		return dispenser.Grant{}, err
	}
	principal, err := s.principal(a)
	if err != nil {
		return dispenser.Grant{}, err
	}
	of := s.acquaintanceOf(principal)
	entry.SubjectHash, entry.SessionHash = of.subjectHash, of.sessionHash
	decision, err := s.decide(principal, ask, entry)
	if err != nil {
		return dispenser.Grant{}, err
	}
	req := dispenser.Request{
		Issuer: principal.Issuer, Subject: principal.Subject,
		SessionID: principal.SessionID, TokenID: principal.ID, IssuedAt: principal.IssuedAt, Memo: &of.memo,
		Type: ask.token, Limits: decision.Limits,
	}
	if ask.token == "" {
		req.Bespoke = bespoke(ask, of.subjectHash)
	}
	if key != "" {
		req.IdempotencyKey, req.Fingerprint = key, fingerprint(r)
	}
	ctx := &patience{parent: r.Context(), requestID: a.requestID, until: time.Now().Add(s.RequestTimeout)}
	defer ctx.end()
	return s.Dispenser.Dispense(ctx, req)
}

// decide asks the policy, and answers its refusals.
func (s *server) decide(p *session.Principal, ask ask, entry *telemetry.Entry) (policy.Decision, error) {
	caller := policy.Caller{Issuer: p.Issuer, Subject: p.Subject, Scopes: p.Scopes, Claims: p.Claims}
	if ask.token == "" {
		return s.decideAgent(caller, ask.agentID, entry)
	}
	decision, err := s.Policy.DecideToken(caller, string(ask.token))
	if err != nil {
		return decision, forbidden(problem.TokenTypeNotAllowed, err)
	}
	return decision, nil
}

// acquaintance is what a session is known by, worked out once.
type acquaintance struct {
	subjectHash, sessionHash string // in the audit
	memo                     dispenser.Memo
}

func (s *server) acquaintanceOf(p *session.Principal) *acquaintance {
	if of, known := p.Attached().(*acquaintance); known {
		return of
	}
	of := &acquaintance{subjectHash: s.Hasher.Subject(p.Issuer, p.Subject), sessionHash: s.Hasher.Session(p.Issuer, p.SessionID)}
	p.Attach(of)
	return of
}

// expiresIn is in how many seconds a grant ends, rounded down.
func (s *server) expiresIn(grant dispenser.Grant) int64 {
	return int64(grant.ExpiresAt.Sub(s.Now()) / time.Second)
}

// expiresAt is when a grant ends, in UTC: as RFC 3339 it has whole seconds.
func expiresAt(grant dispenser.Grant) time.Time { return grant.ExpiresAt.UTC().Truncate(time.Second) }

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
	if r.Body == http.NoBody {
		return nil
	}
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
