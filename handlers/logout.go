package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"farebox/internal/revocation"
	"farebox/internal/telemetry"
	"farebox/session"

	"github.com/labstack/echo/v4"
)

// Revocations end sessions. They are safe for concurrent use.
type Revocations interface {
	// End ends sessions; nil means that Redis has taken it.
	End(ctx context.Context, e revocation.Ending) error
	// Once reports whether id is used for the first time within life.
	Once(ctx context.Context, issuer, id string, life time.Duration) (bool, error)
}

// Logout is what OpenID Connect Back-Channel Logout takes.
type Logout struct {
	Verifier    *session.LogoutVerifier
	Revocations Revocations
}

// logoutError is the body of a refusal (OpenID Connect Back-Channel Logout 1.0,
// 2.8).
type logoutError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// logout ends the sessions that a provider's logout token names (OpenID Connect
// Back-Channel Logout 1.0, 2.5 to 2.8). It answers 200 only when that holds on
// all replicas, and 400 otherwise; then the provider may send it again.
func (s *server) logout(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	refused := s.tryLogout(arrivalOf(c))
	if refused == nil {
		return c.NoContent(http.StatusOK)
	}
	body, err := json.Marshal(refused)
	if err != nil {
		return err
	}
	return c.Blob(http.StatusBadRequest, "application/json", body)
}

func (s *server) tryLogout(a *arrival) *logoutError {
	token, err := logoutToken(a)
	if err != nil {
		return s.refuseLogout(a, "Send one logout_token, as a form.")
	}
	ctx, cancel := context.WithTimeout(a.Request().Context(), s.RequestTimeout)
	defer cancel()
	logout, err := s.Logout.Verifier.Verify(ctx, token)
	switch {
	case errors.Is(err, session.ErrInvalid):
		s.Log.WarnContext(ctx, "a logout token was not accepted", "request_id", a.requestID, "reason", session.Reason(err))
		return s.refuseLogout(a, "This logout token is not accepted.")
	case err != nil:
		s.Log.WarnContext(ctx, "a logout token could not be checked", "request_id", a.requestID, "error", err)
		return &logoutError{"temporarily_unavailable", "The logout token cannot be checked now. Send it again."}
	}
	if err := s.end(ctx, a, logout); err != nil {
		s.Log.ErrorContext(ctx, "sessions may go on in spite of a logout", "request_id", a.requestID, "error", err)
		return &logoutError{"temporarily_unavailable", "The sessions may not have been ended. Send it again."}
	}
	// Last, so that a token whose work failed can be sent again; done twice it
	// changes nothing.
	first, err := s.Logout.Revocations.Once(ctx, logout.Issuer, logout.ID, logout.UsefulUntil.Sub(s.Now()))
	if err == nil && !first {
		return &logoutError{"invalid_request", "This logout token was used before."}
	}
	return nil
}

// refuseLogout counts what is not acceptable against its address, and tells one
// from where much of it comes to stop. A good token from there is taken all the
// same: behind a balancer all the world has one address.
func (s *server) refuseLogout(a *arrival, why string) *logoutError {
	s.failures.charge(a.client)
	if _, suspect := s.failures.suspect(a.client); suspect {
		return &logoutError{"temporarily_unavailable", "Too much that came from this address was not acceptable."}
	}
	return &logoutError{"invalid_request", why}
}

// end ends the session that is named. Sessions that have no id of their own
// cannot be told from it, so the subject's are ended too.
func (s *server) end(ctx context.Context, a *arrival, logout *session.Logout) error {
	ending := revocation.Ending{Issuer: logout.Issuer, At: logout.IssuedAt}
	var all []revocation.Ending
	if logout.SessionID != "" {
		ending.SessionID = logout.SessionID
		all = append(all, ending)
		ending.SessionID, ending.Nameless = "", true
	}
	if logout.Subject != "" {
		ending.Subject = logout.Subject
		all = append(all, ending)
	}
	entry := telemetry.Entry{
		Event: telemetry.EventRevoked, RequestID: a.requestID, Outcome: "ok", Client: a.client,
		SessionHash: s.Hasher.Session(logout.Issuer, logout.SessionID),
	}
	if logout.Subject != "" {
		entry.SubjectHash = s.Hasher.Subject(logout.Issuer, logout.Subject)
	}
	var failed error
	for _, e := range all {
		failed = errors.Join(failed, s.Logout.Revocations.End(ctx, e))
	}
	if failed != nil {
		entry.Outcome = "unconfirmed"
	}
	s.Audit.Record(ctx, entry)
	return failed
}

// logoutToken reads the form.
func logoutToken(a *arrival) (string, error) {
	const most = 16 << 10
	r := a.Request()
	r.Body = http.MaxBytesReader(a.Response(), r.Body, most)
	if err := r.ParseForm(); err != nil {
		return "", err
	}
	tokens := r.PostForm["logout_token"]
	if len(tokens) != 1 || tokens[0] == "" {
		return "", errors.New("not one logout_token")
	}
	return tokens[0], nil
}
