package policy

import (
	"fmt"

	"farebox/internal/limit"
)

// Caller is who asks, as a verified session says.
type Caller struct {
	Issuer, Subject string
	Scopes          []string
	// Claims are the session's, as decoded from JSON with whole numbers as
	// int64: an expression compares those as ints, to the last bit.
	Claims map[string]any
}

// Decision is what an allowed caller gets.
type Decision struct {
	Limits limit.Limits
	Plan   string // the plan whose limits hold; "" for none
}

// Cause is why a caller is refused.
type Cause string

// The causes of refusals.
const (
	NotNamed   Cause = "not named"     // the policy does not name what was asked for
	NotAllowed Cause = "not allowed"   // allow is false
	Failed     Cause = "failed"        // an expression cannot be evaluated for this caller
	Overrun    Cause = "took too much" // an evaluation was stopped at its limit of cost, size or time
)

// Refusal is a caller who may not have what they ask for. It is an error.
type Refusal struct {
	Cause Cause
	// Rule is the expression that decided, as in "tokens.tts_websocket.allow"
	// or "plans[0].when", and Line where it stands; "" and 0 for NotNamed.
	Rule string
	Line int
	// Detail is what failed, in CEL's words. It may hold parts of claims, and
	// is for whoever asks about this one session, not for a log.
	Detail error
}

// Error is fit for a log: it holds nothing of the caller.
func (r *Refusal) Error() string {
	if r.Cause == NotNamed {
		return "policy: not named"
	}
	return fmt.Sprintf("policy: %s in line %d: %s", r.Rule, r.Line, r.Cause)
}

// Broken reports whether it is the policy that has to be mended, since an
// expression of it could not be evaluated.
func (r *Refusal) Broken() bool { return r.Cause == Failed || r.Cause == Overrun }

func (r *Refusal) Unwrap() error { return r.Detail }
