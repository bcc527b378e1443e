package dispenser

import (
	"context"
	"errors"
	"strconv"
	"time"

	"farebox/internal/identity"
)

// ErrSessionEnded is a session that was ended early.
var ErrSessionEnded = errors.New("the session was ended")

// Session is what of a session may have been ended: all of its subject's, this
// one, or this one JWT.
type Session struct {
	ID       string    // "" where it has none
	TokenID  string    // the JWT's own id (jti); "" where it has none
	IssuedAt time.Time // the zero Time where the JWT does not say
}

// Ending ends sessions early: every one of Issuer that has the Subject, the
// SessionID or the TokenID and was issued at or before At. Exactly one of the
// three is set.
type Ending struct {
	Issuer                      string
	Subject, SessionID, TokenID string
	At                          time.Time // by the issuer's clock
}

// endings are where it would stand that a session was ended.
type endings struct {
	hashes   []string
	issuedAt time.Time
}

func newEndings(hasher *identity.Hasher, req Request) endings {
	e := endings{hashes: hasher.Sums("ended subject", req.Issuer, req.Subject), issuedAt: req.Session.IssuedAt}
	if req.Session.ID != "" {
		e.hashes = append(e.hashes, hasher.Sums("ended session", req.Issuer, req.Session.ID)...)
	}
	if req.Session.TokenID != "" {
		e.hashes = append(e.hashes, hasher.Sums("ended token", req.Issuer, req.Session.TokenID)...)
	}
	return e
}

// hash is an Ending's under the writing secret.
func (e Ending) hash(hasher *identity.Hasher) (string, error) {
	switch {
	case e.Issuer == "" || e.At.IsZero():
	case e.Subject != "" && e.SessionID == "" && e.TokenID == "":
		return hasher.Sum("ended subject", e.Issuer, e.Subject), nil
	case e.SessionID != "" && e.Subject == "" && e.TokenID == "":
		return hasher.Sum("ended session", e.Issuer, e.SessionID), nil
	case e.TokenID != "" && e.Subject == "" && e.SessionID == "":
		return hasher.Sum("ended token", e.Issuer, e.TokenID), nil
	}
	return "", errors.New("dispenser: an ending needs an issuer, a time and one of subject, session and token")
}

func (sh *shard) endingKey(hash string) string { return sh.slot + "e:" + hash }

func (e endings) keys(sh *shard) []string {
	keys := make([]string, len(e.hashes))
	for i, hash := range e.hashes {
		keys[i] = sh.endingKey(hash)
	}
	return keys
}

func (e endings) issued() string {
	if e.issuedAt.IsZero() {
		return ""
	}
	return strconv.FormatInt(e.issuedAt.UnixMicro(), 10)
}

// end writes an ending to every shard, since a session's id does not tell whose
// it is. It is to be sent again where it fails.
func (s *store) end(ctx context.Context, hash string, at time.Time, life time.Duration) error {
	shards, err := s.shards(ctx)
	if err != nil {
		return err
	}
	for _, sh := range shards {
		if _, err := s.run(ctx, sh, s.ends, []string{sh.endingKey(hash)}, at.UnixMicro(), milliseconds(life)); err != nil {
			return err
		}
	}
	return nil
}

// End ends sessions early. It returns nil when Redis has taken it; otherwise it
// may hold for some callers and is to be tried again, which changes nothing.
func (d *Dispenser) End(ctx context.Context, e Ending) error {
	hash, err := e.hash(d.cfg.Hasher)
	if err != nil {
		return err
	}
	return d.store.end(ctx, hash, e.At, d.cfg.SessionLifetime)
}
