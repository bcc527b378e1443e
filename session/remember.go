package session

import (
	"crypto/sha256"
	"time"

	"farebox/internal/recent"
)

// defaultMemory is small, so that a replica fits into 64 MiB. Two thirds are for
// what 2,000 JWTs said, or twice as many, whose owners come again soon. The rest
// is for 100,000 signatures that were good, or twice as many: what it takes to
// remember one is a hundredth.
const defaultMemory = 14 << 20

// memory remembers what JWTs that were verified said. It keeps their SHA-256,
// never them, and drops those that were not asked for of late when it is full.
// An expired one stays known: sent again and again, it is to cost one signature.
// It is safe for concurrent use.
type memory struct {
	verified *recent.Map[jwtHash, verdict]
}

// verdict is a JWT whose signature is good, and whose claims are right save
// that it may have expired by now.
type verdict struct {
	principal *Principal
	// By which key: the verdict holds no longer than it.
	alg        string
	thumbprint Thumbprint

	weight int // about how many bytes it takes
}

// newMemory returns a memory of about so many bytes.
func newMemory(bytes int, life time.Duration, now func() time.Time) *memory {
	return &memory{recent.NewWeighed[jwtHash](bytes, life, now, func(v verdict) int { return v.weight })}
}

// find returns whom a JWT of this hash was found to speak for, where that is known
// and its key is still held by keys. It may have expired since.
func (m *memory) find(hash jwtHash, keys KeySource) (*Principal, bool) {
	v, ok := m.verified.Get(hash)
	if !ok || !keys.Holds(v.alg, v.thumbprint) {
		return nil, false
	}
	return v.principal, true
}

// keep remembers that a JWT of this hash and length was verified by key.
func (m *memory) keep(hash jwtHash, length int, p *Principal, alg string, key Key) {
	// Measured with claims of common providers: decoded, they take three to four
	// times the JWT's own length. What is attached takes the most of the rest.
	const fixed, perByte = 1000, 4
	m.verified.Put(hash, verdict{
		principal: p, alg: alg, thumbprint: key.Thumbprint, weight: fixed + perByte*length,
	})
}

// jwtHash is a raw JWT's SHA-256, by which it is remembered.
type jwtHash [sha256.Size]byte

// hashOf hashes raw. Those of usual lengths are copied to the stack for it.
func hashOf(raw string) jwtHash {
	var usual [1024]byte
	return sha256.Sum256(append(usual[:0], raw...))
}
