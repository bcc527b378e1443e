package session

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Config is what makes a session JWT good. Keys and Now are required.
type Config struct {
	Issuer         string              // "": not checked
	Audiences      []string            // empty: not checked
	RequiredClaims map[string][]string // each must be there and equal to one of these
	SubjectClaim   string              // "": sub
	SessionIDClaim string              // "": sid
	Leeway         time.Duration       // clock tolerance for exp, nbf and iat
	MaxLifetime    time.Duration       // a JWT with more left is refused; required
	Keys           KeySource
	Now            func() time.Time
}

// Verifier verifies session JWTs. It is safe for concurrent use.
type Verifier struct {
	cfg Config
	// Signatures cost time of a processor each: so many are checked at once,
	// and so many may wait.
	checking, waiting chan struct{}
}

// waitersPerProcessor bounds a flood of signatures: at some 100 µs each, the
// last in the queue waits for a few hundredths of a second.
const waitersPerProcessor = 256

// NewVerifier returns a Verifier, or an error that names the field at fault.
func NewVerifier(cfg Config) (*Verifier, error) {
	switch {
	case cfg.Keys == nil:
		return nil, errors.New("session: Keys is missing")
	case cfg.Now == nil:
		return nil, errors.New("session: Now is missing")
	case cfg.MaxLifetime <= 0:
		return nil, errors.New("session: MaxLifetime must be more than 0")
	case cfg.Leeway < 0:
		return nil, errors.New("session: Leeway must not be negative")
	}
	if cfg.SubjectClaim == "" {
		cfg.SubjectClaim = "sub"
	}
	if cfg.SessionIDClaim == "" {
		cfg.SessionIDClaim = "sid"
	}
	processors := runtime.GOMAXPROCS(0)
	return &Verifier{
		cfg:      cfg,
		checking: make(chan struct{}, processors),
		waiting:  make(chan struct{}, processors*(1+waitersPerProcessor)),
	}, nil
}

// Verify returns who raw speaks for. Errors are ErrInvalid, ErrExpired,
// ErrKeysUnavailable or ErrOverloaded, each with what failed (see Reason); the
// last two wrap ctx's error too where ctx ended the wait. They hold nothing of
// raw.
//
// Only a token with a good signature is ever called expired.
func (v *Verifier) Verify(ctx context.Context, raw string) (*Principal, error) {
	e, err := open(raw, v.cfg.Keys.Algorithms())
	if err != nil {
		return nil, err
	}
	if err := v.belongs(e.claims); err != nil {
		return nil, err
	}
	keys, err := v.cfg.Keys.Keys(ctx, e.alg, e.kid)
	if err != nil {
		return nil, err
	}
	if err := v.checkSignature(ctx, e, keys); err != nil {
		return nil, err
	}
	return v.principal(e.claims, v.cfg.Now())
}

func (v *Verifier) checkSignature(ctx context.Context, e *envelope, keys []Key) error {
	select {
	case v.waiting <- struct{}{}:
		defer func() { <-v.waiting }()
	default:
		return ErrOverloaded
	}
	select {
	case v.checking <- struct{}{}:
		defer func() { <-v.checking }()
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrOverloaded, ctx.Err())
	}
	method := jwt.GetSigningMethod(e.alg)
	// Not left to the sources: a key used with another algorithm than its own
	// is how a public key becomes a shared secret.
	for _, key := range fitting(keys, e.alg) {
		if method.Verify(e.signed, e.signature, key.Material) == nil {
			return nil
		}
	}
	return invalid("signature")
}
