// Package revocation ends sessions before their JWT expires. Redis holds which,
// each replica mirrors it in memory, so that it goes on holding while Redis is
// away, and writes it back to a Redis that has lost it.
package revocation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"farebox/internal/identity"
	"farebox/internal/shard"
)

// Config is what a List needs. Every field is required unless said otherwise.
type Config struct {
	Shards *shard.Set
	Hasher *identity.Hasher
	// Lifetime is how long a session can go on; its ending is kept for that.
	Lifetime time.Duration
	// FixedOwner stands for the server's identity; "" reads it.
	FixedOwner string
	Now        func() time.Time
	Log        *slog.Logger
}

// List is all endings that are known here. It is safe for concurrent use.
type List struct {
	cfg     Config
	scripts scripts

	mu   sync.RWMutex
	ends map[string]mark // by hash
	// unwritten are hashes that a shard may lack, by its index.
	unwritten map[int]map[string]bool

	watch watch
}

type scripts struct{ end, acked, look, once *shard.Script }

// mark is one ending by its hash.
type mark struct {
	at    time.Time // sessions issued at or before it are ended
	until time.Time // by this machine's clock; after that it is of no use
}

// New returns a List that knows of nothing yet.
func New(cfg Config) (*List, error) {
	if cfg.Shards == nil || cfg.Hasher == nil || cfg.Lifetime <= 0 || cfg.Now == nil || cfg.Log == nil {
		return nil, errors.New("revocation: a required field is missing")
	}
	return &List{
		cfg: cfg, ends: map[string]mark{}, unwritten: map[int]map[string]bool{}, watch: newWatch(),
		scripts: scripts{
			end: shard.NewScript(endSource), acked: shard.NewScript(ackedSource), once: shard.NewScript(onceSource),
			look: shard.NewScript(shard.OwnerSource, lookSource),
		},
	}, nil
}

// Ending ends every session of Issuer ("" for those that name none) that has the
// Subject, the SessionID or the TokenID and was issued at or before At. Exactly
// one of the three is set.
type Ending struct {
	Issuer                      string
	Subject, SessionID, TokenID string
	// Nameless spares those of Subject that have a session id.
	Nameless bool
	At       time.Time
}

// Session is what a session may have been ended by.
type Session struct {
	Issuer, Subject string
	ID              string    // "" where it has none
	TokenID         string    // the JWT's own id (jti); "" where it has none
	IssuedAt        time.Time // the zero Time where the JWT does not say
}

const (
	bySubject  = "ended subject"
	byNameless = "ended subject without session"
	bySession  = "ended session"
	byToken    = "ended token"
)

// NamesOne reports whether exactly one of subject, session and token is named.
func (e Ending) NamesOne() bool {
	named := 0
	for _, name := range []string{e.Subject, e.SessionID, e.TokenID} {
		if name != "" {
			named++
		}
	}
	return named == 1
}

// hash is an Ending's under the writing secret.
func (e Ending) hash(hasher *identity.Hasher) (string, error) {
	switch {
	case !e.NamesOne() || e.At.IsZero():
		return "", errors.New("revocation: an ending needs a time and one of subject, session and token")
	case e.Subject != "" && e.Nameless:
		return hasher.Sum(byNameless, e.Issuer, e.Subject), nil
	case e.Subject != "":
		return hasher.Sum(bySubject, e.Issuer, e.Subject), nil
	case e.SessionID != "":
		return hasher.Sum(bySession, e.Issuer, e.SessionID), nil
	default:
		return hasher.Sum(byToken, e.Issuer, e.TokenID), nil
	}
}

// Marks are where it would stand that a session was ended.
type Marks struct {
	hashes   []string
	issuedAt time.Time
}

// MarksOf returns a session's, under every secret.
func (l *List) MarksOf(s Session) Marks {
	m := Marks{hashes: l.cfg.Hasher.Sums(bySubject, s.Issuer, s.Subject), issuedAt: s.IssuedAt}
	if s.ID != "" {
		m.hashes = append(m.hashes, l.cfg.Hasher.Sums(bySession, s.Issuer, s.ID)...)
	} else {
		m.hashes = append(m.hashes, l.cfg.Hasher.Sums(byNameless, s.Issuer, s.Subject)...)
	}
	if s.TokenID != "" {
		m.hashes = append(m.hashes, l.cfg.Hasher.Sums(byToken, s.Issuer, s.TokenID)...)
	}
	return m
}

// ID tells sessions apart that may be ended apart.
func (m Marks) ID() string { return strings.Join(m.hashes, "") + m.Issued() }

// Count is how many places there are.
func (m Marks) Count() int { return len(m.hashes) }

// AppendKeys appends those keys of a shard at which a script finds
// "<microseconds>": sessions issued at or before that moment are ended.
func (m Marks) AppendKeys(keys []string, sh *shard.Shard) []string {
	for _, hash := range m.hashes {
		keys = append(keys, markKey(sh, hash))
	}
	return keys
}

// Issued is when the session was issued, in microseconds; "" where that is not
// known, and then any ending ends it.
func (m Marks) Issued() string {
	if m.issuedAt.IsZero() {
		return ""
	}
	return strconv.FormatInt(m.issuedAt.UnixMicro(), 10)
}

func markKey(sh *shard.Shard, hash string) string { return sh.Key("e:" + hash) }

// Ended reports whether a session is known here to have been ended.
func (l *List) Ended(m Marks) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.ends) == 0 {
		return false
	}
	now := l.cfg.Now()
	for _, hash := range m.hashes {
		if e, ok := l.ends[hash]; ok && now.Before(e.until) && (m.issuedAt.IsZero() || !m.issuedAt.After(e.at)) {
			return true
		}
	}
	return false
}

// End ends sessions. From then on they are ended here. It returns nil when all
// of Redis has taken it, and a replica of each server that has one; an error
// wraps shard.ErrAway or ErrUnconfirmed, and then it goes on being written to
// Redis as long as this process runs.
func (l *List) End(ctx context.Context, e Ending) error {
	hash, err := e.hash(l.cfg.Hasher)
	if err != nil {
		return err
	}
	from := l.cfg.Now()
	if e.At.After(from) {
		from = e.At
	}
	l.learn(hash, mark{at: e.At, until: from.Add(l.cfg.Lifetime)})
	all, err := l.cfg.Shards.All(ctx)
	if err != nil {
		l.oweAll(hash)
		return fmt.Errorf("revocation: %w", err)
	}
	// The first shard's is what other replicas read, so it comes last.
	for _, sh := range all {
		l.owe(sh.Index, hash)
	}
	for i := len(all) - 1; i >= 0 && ctx.Err() == nil; i-- {
		err = errors.Join(err, l.write(ctx, all[i], []string{hash}))
	}
	if ctx.Err() != nil {
		err = errors.Join(err, fmt.Errorf("%w: %w", shard.ErrAway, ctx.Err()))
	}
	err = errors.Join(err, l.awaitReplicas(ctx, all))
	if err != nil {
		return fmt.Errorf("revocation: %w", err)
	}
	return nil
}

// learn keeps an ending in memory and reports whether it says more than what
// was known.
func (l *List) learn(hash string, m mark) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok := l.ends[hash]
	if ok && !m.at.After(known.at) {
		return false
	}
	l.ends[hash] = m
	return true
}
