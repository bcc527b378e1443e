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
	"hash"
	"sync"

	"farebox/internal/secret"
)

// Hasher computes keyed hashes under the deployment's secrets. It is immutable
// and safe for concurrent use.
type Hasher struct {
	keys []*keyed // one a secret, the writing one first
}

// keyed computes hashes under one key. A request needs several, so what the key
// makes of an HMAC is computed once and used again.
type keyed struct{ idle sync.Pool } // of *work

// work is what one computation needs.
type work struct {
	mac  hash.Hash
	text []byte // what goes in, and then what comes out
}

func newKeyed(key []byte) *keyed {
	return &keyed{idle: sync.Pool{New: func() any { return &work{mac: hmac.New(sha256.New, key)} }}}
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
		h.keys = append(h.keys, newKeyed(key))
	}
	return h, nil
}

// Sum is the hash of parts for one purpose, under the writing secret: 22
// characters of base64url. Parts are told apart by their lengths, so that no
// two different lists hash alike.
func (h *Hasher) Sum(purpose string, parts ...string) string {
	return h.keys[0].sum(purpose, parts)
}

// Sums is Sum under every secret, the writing one first.
func (h *Hasher) Sums(purpose string, parts ...string) []string {
	all := make([]string, len(h.keys))
	for i, key := range h.keys {
		all[i] = key.sum(purpose, parts)
	}
	return all
}

// Digests is Sums in bytes instead of characters, 16 each, for where there are
// many to keep.
func (h *Hasher) Digests(purpose string, parts ...string) []string {
	all := make([]string, len(h.keys))
	for i, key := range h.keys {
		digest := key.digest(purpose, parts)
		all[i] = string(digest[:])
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

func (k *keyed) sum(purpose string, parts []string) string {
	digest := k.digest(purpose, parts)
	return base64.RawURLEncoding.EncodeToString(digest[:])
}

func (k *keyed) digest(purpose string, parts []string) (digest [16]byte) {
	w := k.idle.Get().(*work)
	defer k.idle.Put(w)
	w.text = appendPart(w.text[:0], purpose)
	for _, part := range parts {
		w.text = appendPart(w.text, part)
	}
	w.mac.Reset()
	w.mac.Write(w.text)
	w.text = w.mac.Sum(w.text[:0])
	copy(digest[:], w.text)
	return digest
}

func appendPart(to []byte, part string) []byte {
	return append(binary.BigEndian.AppendUint64(to, uint64(len(part))), part...)
}
