package telemetry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"

	"farebox/internal/secret"
)

// The names of audit events.
const (
	EventDispensed    = "token_dispensed"
	EventRefused      = "token_refused"
	EventPolicyLoaded = "policy_loaded"   // outcome "ok" or "refused"
	EventRevoked      = "session_revoked" // outcome "ok", or "unconfirmed" where Redis has not said so
)

// Entry is one audit line. It holds who by hash alone, and a token only by its
// SHA-256.
type Entry struct {
	Event       string
	RequestID   string
	Type        string // the token's type, "signed_url" or "conversation_token"
	Agent       string // the agent's id, as the policy names it; "" for tokens
	Outcome     string // "ok", or the problem's code; "refused" for a policy
	Source      string // where a token came from; "" for a refusal
	SubjectHash string // "" where no session was verified
	SessionHash string
	TokenIDHash string      // of the session JWT's own id
	Token       secret.Text // only its hash is written; the zero Text for none
	Client      string      // the client's address
}

// Audit writes one JSON line an Entry, whatever the log level. It is safe for
// concurrent use.
type Audit struct{ log *slog.Logger }

// NewAudit returns an Audit that writes to w.
func NewAudit(w io.Writer) *Audit {
	return &Audit{log: slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			switch {
			case len(groups) > 0:
			case a.Key == slog.LevelKey:
				return slog.Attr{}
			case a.Key == slog.MessageKey:
				a.Key = "event"
			}
			return a
		},
	}))}
}

// Record writes e.
func (a *Audit) Record(ctx context.Context, e Entry) {
	attrs := []slog.Attr{slog.Bool("audit", true)}
	for _, field := range []struct{ name, value string }{
		{"request_id", e.RequestID}, {"type", e.Type}, {"agent", e.Agent}, {"outcome", e.Outcome}, {"source", e.Source},
		{"sub_hash", e.SubjectHash}, {"sid_hash", e.SessionHash}, {"jti_hash", e.TokenIDHash}, {"token_sha256", hash(e.Token)}, {"client", e.Client},
	} {
		if field.value != "" {
			attrs = append(attrs, slog.String(field.name, field.value))
		}
	}
	a.log.LogAttrs(ctx, slog.LevelError, e.Event, attrs...)
}

func hash(token secret.Text) string {
	if token.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:])
}
