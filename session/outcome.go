package session

import "errors"

// Observer counts how verifications end. It is safe for concurrent use.
type Observer interface {
	// Verified is told an outcome, out of Outcomes.
	Verified(outcome string)
}

type unobserved struct{}

func (unobserved) Verified(string) {}

const (
	outcomeOK              = "ok"         // its signature was checked
	outcomeRemembered      = "remembered" // it was checked before
	outcomeExpired         = "expired"
	outcomeInvalid         = "invalid"
	outcomeKeysUnavailable = "keys_unavailable"
	outcomeOverloaded      = "overloaded"
)

// Outcomes are all ways in which a verification ends.
func Outcomes() []string {
	return []string{outcomeOK, outcomeRemembered, outcomeExpired, outcomeInvalid, outcomeKeysUnavailable, outcomeOverloaded}
}

// observe tells how a verification ended, and passes it on.
func (v *Verifier) observe(p *Principal, known bool, err error) (*Principal, error) {
	v.cfg.Observer.Verified(outcomeOf(known, err))
	return p, err
}

func outcomeOf(known bool, err error) string {
	switch {
	case err == nil && known:
		return outcomeRemembered
	case err == nil:
		return outcomeOK
	case errors.Is(err, ErrExpired):
		return outcomeExpired
	case errors.Is(err, ErrKeysUnavailable):
		return outcomeKeysUnavailable
	case errors.Is(err, ErrOverloaded):
		return outcomeOverloaded
	default:
		return outcomeInvalid
	}
}
