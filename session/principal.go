// Package session makes a verified Principal of a raw session JWT. It follows
// the JWT best practices of RFC 8725: what the token says of itself is believed
// only as far as the configuration already says it.
package session

import (
	"sync/atomic"
	"time"
)

// Principal is a verified caller. It is immutable, save for what is attached to
// it, and safe for concurrent use.
type Principal struct {
	Issuer, Subject string
	SessionID       string // "" where there is none
	ID              string // the JWT's own id (jti); "" where there is none
	IssuedAt        time.Time
	ExpiresAt       time.Time
	// Claims are all claims; whole numbers are int64, others float64.
	Claims map[string]any
	// Scopes are those of scope (RFC 8693, 4.2) or scp.
	Scopes []string

	attached atomic.Value
}

// Attach keeps with p what was worked out of it, so that it is worked out once as
// long as the session is remembered. All attach values of one type; the last one
// stays. Its room is reckoned in with the principal's, for some 750 bytes of it.
func (p *Principal) Attach(value any) { p.attached.Store(value) }

// Attached is what was attached last; nil for nothing.
func (p *Principal) Attached() any { return p.attached.Load() }
