package telemetry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"sync"
	"time"

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
	mu sync.Mutex // one line at a time
	to io.Writer
}

// NewAudit returns an Audit that writes to w.
func NewAudit(w io.Writer) *Audit { return &Audit{to: w} }

// line is an Entry as it is written.
type line struct {
	Time        time.Time `json:"time"`
	Event       string    `json:"event"`
	Audit       bool      `json:"audit"`
	RequestID   string    `json:"request_id,omitempty"`
	Type        string    `json:"type,omitempty"`
	Agent       string    `json:"agent,omitempty"`
	Key         string    `json:"key,omitempty"`
	Outcome     string    `json:"outcome,omitempty"`
	Source      string    `json:"source,omitempty"`
	SubjectHash string    `json:"sub_hash,omitempty"`
	SessionHash string    `json:"sid_hash,omitempty"`
	TokenIDHash string    `json:"jti_hash,omitempty"`
	TokenSHA256 string    `json:"token_sha256,omitempty"`
	Client      string    `json:"client,omitempty"`
}

// Record writes e.
func (a *Audit) Record(_ context.Context, e Entry) {
	text, err := json.Marshal(line{
		Time: time.Now(), Event: e.Event, Audit: true, RequestID: e.RequestID, Type: e.Type, Agent: e.Agent, Key: e.Key,
		Outcome: e.Outcome, Source: e.Source, SubjectHash: e.SubjectHash, SessionHash: e.SessionHash,
		TokenIDHash: e.TokenIDHash, TokenSHA256: hash(e.Token), Client: e.Client,
	})
	if err != nil {
		return // a time before year 0 or after 9999
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_, _ = a.to.Write(append(text, '\n')) // as with the log: there is nobody to tell
}

func hash(token secret.Text) string {
	if token.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:])
}
