package telemetry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"sync"
	"time"

	"farebox/internal/jsontext"
	"farebox/internal/secret"
)

// The names of audit events.
const (
	EventDispensed    = "token_dispensed"
	EventRefused      = "token_refused"
	EventPolicyLoaded = "policy_loaded"   // outcome "ok" or "refused"
	EventKeyAside     = "key_set_aside"   // an API key; outcome is why, type what for alone
	EventKeyUsable    = "key_usable"      // one that was set aside works again
	EventKeysLoaded   = "api_keys_loaded" // outcome "ok" or "refused"
	EventRevoked      = "session_revoked" // outcome "ok", or "unconfirmed" where Redis has not said so
)

// Entry is one audit line. It holds who by hash alone, and a token only by its
// SHA-256.
type Entry struct {
	Event       string
	RequestID   string
	Type        string // the token's type, "signed_url" or "conversation_token"
	Key         string // an API key's position in the ring, from 1
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
type Audit struct {
	to io.Writer

	mu   sync.Mutex // one line at a time
	line []byte     // the room for it
}

// NewAudit returns an Audit that writes to w.
func NewAudit(w io.Writer) *Audit { return &Audit{to: w} }

// Record writes e.
func (a *Audit) Record(_ context.Context, e Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.line = append(appendEntry(a.line[:0], time.Now(), e), '\n')
	_, _ = a.to.Write(a.line) // as with the log: there is nobody to tell
}

// appendEntry appends the JSON of an Entry. There is one a request, so it is
// written without reflection.
func appendEntry(to []byte, now time.Time, e Entry) []byte {
	to = append(to, `{"time":"`...)
	to = now.AppendFormat(to, time.RFC3339Nano)
	to = append(to, `","event":`...)
	to = jsontext.AppendString(to, e.Event)
	to = append(to, `,"audit":true`...)
	to = appendMember(to, "request_id", e.RequestID)
	to = appendMember(to, "type", e.Type)
	to = appendMember(to, "agent", e.Agent)
	to = appendMember(to, "key", e.Key)
	to = appendMember(to, "outcome", e.Outcome)
	to = appendMember(to, "source", e.Source)
	to = appendMember(to, "sub_hash", e.SubjectHash)
	to = appendMember(to, "sid_hash", e.SessionHash)
	to = appendMember(to, "jti_hash", e.TokenIDHash)
	if !e.Token.IsZero() {
		usual := make([]byte, 0, 1024) // on the stack, where it is enough
		sum := sha256.Sum256(append(usual, e.Token.Reveal()...))
		to = append(to, `,"token_sha256":"`...)
		to = append(hex.AppendEncode(to, sum[:]), '"')
	}
	to = appendMember(to, "client", e.Client)
	return append(to, '}')
}

// appendMember appends a member of an object, and nothing where it has no value.
func appendMember(to []byte, name, value string) []byte {
	if value == "" {
		return to
	}
	to = append(append(append(to, `,"`...), name...), `":`...)
	return jsontext.AppendString(to, value)
}
