// Package session makes a verified Principal of a raw session JWT. It follows
// the JWT best practices of RFC 8725: what the token says of itself is believed
// only as far as the configuration already says it.
package session

import "time"

// Principal is a verified caller. It is immutable.
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
}
