package session

import (
	"errors"
	"fmt"
)

var (
	// ErrInvalid is a JWT that is not acceptable, now or ever.
	ErrInvalid = errors.New("session not acceptable")
	// ErrExpired is a JWT that was acceptable until its time was over.
	ErrExpired = errors.New("session expired")
	// ErrKeysUnavailable means that nothing can be said of the JWT, since the
	// keys to check it with cannot be loaded.
	ErrKeysUnavailable = errors.New("session keys unavailable")
	// ErrKeysPending is an ErrKeysUnavailable that may be over in a moment: the
	// keys are being loaded, and the wait for that was too long.
	ErrKeysPending = fmt.Errorf("%w: being loaded", ErrKeysUnavailable)
	// ErrOverloaded means that more signatures wait than can be checked.
	ErrOverloaded = errors.New("too many signatures to check")
)

// refusal says which rule a JWT broke, in words that hold nothing of it.
type refusal struct {
	kind error
	rule string
}

func (r *refusal) Error() string { return r.kind.Error() + ": " + r.rule }
func (r *refusal) Unwrap() error { return r.kind }

func invalid(rule string) error { return &refusal{kind: ErrInvalid, rule: rule} }

func unavailable(why string) error { return fmt.Errorf("%w: %s", ErrKeysUnavailable, why) }

func pending(why string) error { return fmt.Errorf("%w: %s", ErrKeysPending, why) }

// Reason names what made Verify fail, in a closed set of words that are fit for
// logs and for labels of metrics. It is "" for errors that are not Verify's.
func Reason(err error) string {
	var broken *refusal
	switch {
	case errors.As(err, &broken):
		return broken.rule
	case errors.Is(err, ErrKeysUnavailable):
		return ErrKeysUnavailable.Error()
	case errors.Is(err, ErrOverloaded):
		return ErrOverloaded.Error()
	}
	return ""
}
