package session

import (
	"context"
	"errors"
	"runtime"
	"time"
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
	Memory         int                 // about how many bytes remembered JWTs may take; 0: 14 MiB
	Keys           KeySource
	Now            func() time.Time
	Observer       Observer // nil: nobody is told
}

// Verifier verifies session JWTs, and remembers those that were good as long as
// their key stays. It is safe for concurrent use.
type Verifier struct {
	cfg     Config
	memory  *memory
	checked *checked
	// Everybody's signatures are checked in one lane. Before it, suspects have
	// one of their own, of a single processor.
	everybody, suspects lane
}

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
	case cfg.Memory < 0:
		return nil, errors.New("session: Memory must not be negative")
	}
	if cfg.SubjectClaim == "" {
		cfg.SubjectClaim = "sub"
	}
	if cfg.SessionIDClaim == "" {
		cfg.SessionIDClaim = "sid"
	}
	if cfg.Memory == 0 {
		cfg.Memory = defaultMemory
	}
	if cfg.Observer == nil {
		cfg.Observer = unobserved{}
	}
	whole := cfg.Memory / 3 * 2
	return &Verifier{
		cfg:    cfg,
		memory: newMemory(whole, cfg.MaxLifetime, cfg.Now), checked: newChecked(cfg.Memory-whole, cfg.MaxLifetime, cfg.Now),
		everybody: newLane(runtime.GOMAXPROCS(0)), suspects: newLane(1),
	}, nil
}

// Verify returns who raw speaks for. Errors are ErrInvalid, ErrExpired,
// ErrKeysUnavailable or ErrOverloaded, each with what failed (see Reason); the
// last two wrap ctx's error too where ctx ended the wait. They hold nothing of
// raw.
//
// Only a token with a good signature is ever called expired.
func (v *Verifier) Verify(ctx context.Context, raw string) (*Principal, error) {
	return v.observe(v.verify(ctx, raw, false))
}

// VerifySuspect is Verify for a caller from where much junk comes. It takes a
// good JWT as well, but never waits for keys, and all suspects together get one
// processor: ErrKeysUnavailable and ErrOverloaded come sooner.
func (v *Verifier) VerifySuspect(ctx context.Context, raw string) (*Principal, error) {
	return v.observe(v.verify(ctx, raw, true))
}

// verify also reports whether raw was known already.
func (v *Verifier) verify(ctx context.Context, raw string, suspect bool) (p *Principal, known bool, err error) {
	if len(raw) > maxSize {
		return nil, false, invalid("too large")
	}
	now := v.cfg.Now()
	hash := hashOf(raw)
	if p, known = v.memory.find(hash, v.cfg.Keys); known {
		p, err = v.unlessExpired(p, now)
		return p, true, err
	}
	return v.readWhole(ctx, raw, hash, now, suspect)
}

// readWhole reads raw as if it had never come, save that a signature that was
// found good is not checked again. It also reports whether that was so.
func (v *Verifier) readWhole(ctx context.Context, raw string, hash jwtHash, now time.Time, suspect bool) (p *Principal, known bool, err error) {
	e, err := open(raw, v.cfg.Keys.Algorithms(), sessionTypes)
	if err != nil {
		return nil, false, err
	}
	// What needs no key comes first: junk is to cost neither fetch nor signature.
	if p, err = v.read(e.claims, now); err != nil {
		return nil, false, err
	}
	keys, err := v.keysFor(ctx, e, suspect)
	if err != nil {
		return nil, false, err
	}
	key, known := v.checked.find(hash, e.alg, keys)
	if !known {
		if key, err = v.signedBy(ctx, e, keys, suspect); err != nil {
			return nil, false, err
		}
		v.checked.keep(hash, e.alg, key)
	}
	v.memory.keep(hash, len(raw), p, e.alg, key)
	p, err = v.unlessExpired(p, v.cfg.Now())
	return p, known, err
}

// unlessExpired is told last, when all else is known to be right.
func (v *Verifier) unlessExpired(p *Principal, now time.Time) (*Principal, error) {
	if !p.ExpiresAt.Add(v.cfg.Leeway).After(now) {
		return nil, &refusal{kind: ErrExpired, rule: "exp is past"}
	}
	return p, nil
}

// keysFor are the keys that e may be signed with.
func (v *Verifier) keysFor(ctx context.Context, e *envelope, suspect bool) ([]Key, error) {
	if suspect {
		var end context.CancelFunc
		ctx, end = context.WithCancel(ctx)
		end() // so that nothing is waited for
	}
	return v.cfg.Keys.Keys(ctx, e.alg, e.kid)
}

// signedBy finds which of keys e was signed by.
func (v *Verifier) signedBy(ctx context.Context, e *envelope, keys []Key, suspect bool) (Key, error) {
	if suspect {
		leave, err := v.suspects.enter(ctx)
		if err != nil {
			return Key{}, err
		}
		defer leave()
	}
	leave, err := v.everybody.enter(ctx)
	if err != nil {
		return Key{}, err
	}
	defer leave()
	return e.signedBy(keys)
}
