package session

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"farebox/internal/secret"
)

// Key is one key and the algorithms that it may be used with. It may hold a
// shared secret: it is not for printing.
type Key struct {
	Algorithms []string
	Material   any // what golang-jwt's signing methods take
	// Thumbprint names the material, whatever kid it goes by.
	Thumbprint Thumbprint
}

// Thumbprint is a SHA-256 over a key's material. That of a shared secret must
// not leave the process.
type Thumbprint [sha256.Size]byte

// publicKey makes a Key of public, which algorithmsOf knows.
func publicKey(algorithms []string, public any) (Key, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return Key{}, errors.New("a key that cannot be encoded")
	}
	return Key{Algorithms: algorithms, Material: public, Thumbprint: sha256.Sum256(der)}, nil
}

// KeyStatus says how a source stands.
type KeyStatus struct {
	Usable    bool
	LoadedAt  time.Time
	LastError string // of the last try to load, in words fit for everybody; "" for none
}

// KeySource finds the keys of one issuer. It is safe for concurrent use.
type KeySource interface {
	// Algorithms is the source's allow-list.
	Algorithms() []string
	// Keys returns the keys that a token with this alg, which is on the
	// allow-list, and this kid, "" for none, may be signed with. Both are the
	// token's own word. Errors are ErrInvalid where there is none, and
	// ErrKeysUnavailable where that cannot be said, or not yet: it waits no
	// longer than ctx, and not at all where that has ended.
	Keys(ctx context.Context, alg, kid string) ([]Key, error)
	// Holds reports whether the key of this thumbprint is still good for alg.
	// It never waits.
	Holds(alg string, thumbprint Thumbprint) bool
	Status() KeyStatus
}

var (
	_ KeySource = (*HS256)(nil)
	_ KeySource = (*PEM)(nil)
	_ KeySource = (*JWKS)(nil)
)

// HS256 is a source of one shared secret.
type HS256 struct {
	secret     secret.Text
	thumbprint Thumbprint
}

// NewHS256 returns a source of one shared secret, which must have 32 bytes or
// more (RFC 7518, 3.2).
func NewHS256(key secret.Text) (*HS256, error) {
	const atLeast = 32
	if key.Len() < atLeast {
		return nil, errors.New("session: the shared secret must have 32 bytes or more")
	}
	return &HS256{secret: key, thumbprint: sha256.Sum256([]byte(key.Reveal()))}, nil
}

// Algorithms implements KeySource.
func (s *HS256) Algorithms() []string { return []string{"HS256"} }

// Keys implements KeySource.
func (s *HS256) Keys(context.Context, string, string) ([]Key, error) {
	return []Key{{Algorithms: s.Algorithms(), Material: []byte(s.secret.Reveal()), Thumbprint: s.thumbprint}}, nil
}

// Holds implements KeySource.
func (s *HS256) Holds(alg string, thumbprint Thumbprint) bool {
	return alg == "HS256" && thumbprint == s.thumbprint
}

// Status implements KeySource.
func (s *HS256) Status() KeyStatus { return KeyStatus{Usable: true} }

// asymmetric are the algorithms of public keys.
func asymmetric() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// algorithmsOf are those that a public key can be used with: one for a curve,
// several for RSA, none for a key that is too weak or of another kind.
func algorithmsOf(public any) []string {
	const leastRSA = 2048
	switch key := public.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() >= leastRSA {
			return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
		}
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return []string{"ES256"}
		case elliptic.P384():
			return []string{"ES384"}
		case elliptic.P521():
			return []string{"ES512"}
		}
	case ed25519.PublicKey:
		if len(key) == ed25519.PublicKeySize {
			return []string{"EdDSA"}
		}
	}
	return nil
}

func fitting(keys []Key, alg string) []Key {
	var fit []Key
	for _, key := range keys {
		if slices.Contains(key.Algorithms, alg) {
			fit = append(fit, key)
		}
	}
	return fit
}

// holds reports whether a key of this thumbprint is among keys, and good for alg.
func holds(keys []Key, alg string, thumbprint Thumbprint) bool {
	return slices.ContainsFunc(keys, func(k Key) bool {
		return k.Thumbprint == thumbprint && slices.Contains(k.Algorithms, alg)
	})
}
