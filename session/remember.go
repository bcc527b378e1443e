package session

import (
	"crypto/sha256"
	"fmt"

	"github.com/maypok86/otter/v2"
)

const defaultMemory = 64 << 20

// memory remembers which JWTs were verified. It keeps their SHA-256, never
// them, and drops those that are least asked for when it is full. An expired
// one stays known: sent again and again, it is to cost one signature. It is
// safe for concurrent use.
type memory struct {
	verified *otter.Cache[[sha256.Size]byte, verdict]
}

// verdict is a JWT whose signature is good, and whose claims are right save
// that it may have expired by now.
type verdict struct {
	principal *Principal
	// By which key: the verdict holds no longer than it.
	alg        string
	thumbprint Thumbprint

	weight uint32 // about how many bytes it takes
}

// newMemory returns a memory of about so many bytes.
func newMemory(bytes int64) (*memory, error) {
	cache, err := otter.New(&otter.Options[[sha256.Size]byte, verdict]{
		MaximumWeight: uint64(bytes),
		Weigher:       func(_ [sha256.Size]byte, v verdict) uint32 { return v.weight },
	})
	if err != nil {
		return nil, fmt.Errorf("session: the memory of verified JWTs: %w", err)
	}
	return &memory{cache}, nil
}

// find returns whom raw was found to speak for, where that is known and its key
// is still held by keys. It may have expired since.
func (m *memory) find(raw string, keys KeySource) (*Principal, bool) {
	v, ok := m.verified.GetIfPresent(sha256.Sum256([]byte(raw)))
	if !ok || !keys.Holds(v.alg, v.thumbprint) {
		return nil, false
	}
	return v.principal, true
}

// keep remembers that raw was verified by key.
func (m *memory) keep(raw string, p *Principal, alg string, key Key) {
	// Measured with claims of common providers: decoded, they take three to four
	// times the JWT's own length.
	const fixed, perByte = 256, 4
	m.verified.Set(sha256.Sum256([]byte(raw)), verdict{
		principal: p, alg: alg, thumbprint: key.Thumbprint,
		weight: uint32(fixed + perByte*len(raw)),
	})
}
