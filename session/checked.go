package session

import (
	"crypto/rand"
	"crypto/sha256"
	"time"

	"farebox/internal/recent"
)

// checked remembers which JWTs were signed by which key, and nothing of what they
// say, so that it has room for far more than memory. It is safe for concurrent
// use.
type checked struct {
	// mine is known to this process alone. So nobody can look for two JWTs that
	// go by the same mark, and half a SHA-256 is enough to tell them apart.
	mine [sha256.Size]byte
	good *recent.Map[mark, struct{}]
}

// mark is what a JWT, an algorithm and a key go by together. It has no pointers,
// so that the garbage collector passes by whatever many of them are in.
type mark [16]byte

// newChecked returns a checked of about so many bytes.
func newChecked(bytes int, life time.Duration, now func() time.Time) *checked {
	const each = 23 // measured, with the room that a map leaves free
	c := &checked{good: recent.New[mark, struct{}](bytes/each, life, now)}
	_, _ = rand.Read(c.mine[:]) // never fails
	return c
}

// find returns which of keys a JWT of this hash was found to be signed by with alg.
func (c *checked) find(hash jwtHash, alg string, keys []Key) (Key, bool) {
	for _, key := range fitting(keys, alg) {
		if _, good := c.good.Get(c.markOf(hash, alg, key)); good {
			return key, true
		}
	}
	return Key{}, false
}

// keep remembers that a JWT of this hash is signed by key with alg.
func (c *checked) keep(hash jwtHash, alg string, key Key) {
	c.good.Put(c.markOf(hash, alg, key), struct{}{})
}

// markOf is the same for no two others: all that is hashed before alg has one
// length.
func (c *checked) markOf(hash jwtHash, alg string, key Key) mark {
	text := make([]byte, 0, 4*sha256.Size) // on the stack
	text = append(append(text, c.mine[:]...), hash[:]...)
	text = append(append(text, key.Thumbprint[:]...), alg...)
	sum := sha256.Sum256(text)
	return mark(sum[:len(mark{})])
}
