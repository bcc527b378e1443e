// Package identity turns who someone is into hashes that tell nothing to who
// reads them without the deployment's secret.
package identity

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"farebox/internal/secret"
)

// Hasher computes keyed hashes under the deployment's secrets. It is immutable
// and safe for concurrent use.
type Hasher struct {
	keys [][]byte // one a secret, the writing one first
}

// NewHasher returns a Hasher over secrets: the first writes, all read. It
// fails where there are none.
func NewHasher(secrets []secret.Text) (*Hasher, error) {
	if len(secrets) == 0 {
		return nil, errors.New("identity: no secret")
	}
	h := &Hasher{}
	for _, s := range secrets {
		key, err := hkdf.Key(sha256.New, []byte(s.Reveal()), nil, "farebox identity hash", sha256.Size)
		if err != nil {
			return nil, fmt.Errorf("identity: derive a key: %w", err)
		}
		h.keys = append(h.keys, key)
	}
	return h, nil
}

// Sum is the hash of parts for one purpose, under the writing secret: 22
// characters of base64url. Parts are told apart by their lengths, so that no
// two different lists hash alike.
func (h *Hasher) Sum(purpose string, parts ...string) string {
	return sum(h.keys[0], purpose, parts)
}

// Sums is Sum under every secret, the writing one first.
func (h *Hasher) Sums(purpose string, parts ...string) []string {
	all := make([]string, len(h.keys))
	for i, key := range h.keys {
		all[i] = sum(key, purpose, parts)
	}
	return all
}

// Subject is the hash under which a subject of an issuer stands in the audit.
func (h *Hasher) Subject(issuer, subject string) string {
	return h.Sum("subject", issuer, subject)
}

// Session is the hash under which a session of an issuer stands in the audit,
// and "" where there is no session id.
func (h *Hasher) Session(issuer, sessionID string) string {
	if sessionID == "" {
		return ""
	}
	return h.Sum("session", issuer, sessionID)
}

// TokenID is the hash under which a session JWT's own id (jti) stands in the
// audit, and "" where there is none.
func (h *Hasher) TokenID(issuer, id string) string {
	if id == "" {
		return ""
	}
	return h.Sum("token id", issuer, id)
}

func sum(key []byte, purpose string, parts []string) string {
	mac := hmac.New(sha256.New, key)
	var length [8]byte
	write := func(part string) {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		mac.Write(length[:])
		mac.Write([]byte(part))
	}
	write(purpose)
	for _, part := range parts {
		write(part)
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}
