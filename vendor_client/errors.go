package vendorclient

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind says what went wrong with a vendor call, from a closed set.
type Kind string

// The kinds.
const (
	// What operators have to mend.
	KindKeyInvalid       Kind = "key_invalid"       // the key is not, or no longer, good
	KindKeyIDAsKey       Kind = "key_id_as_key"     // the key's id was given in place of the key
	KindScopeMissing     Kind = "scope_missing"     // the key lacks a permission
	KindCreditsExhausted Kind = "credits_exhausted" // the key's or workspace's credits are out
	KindPlanTooLow       Kind = "plan_too_low"      // the workspace's plan does not include it
	KindAddressRefused   Kind = "address_refused"   // the key is not for this server's address

	// What passes.
	KindTooManyAtOnce Kind = "too_many_at_once" // too many calls of the workspace at once
	KindRateLimited   Kind = "rate_limited"     // too many calls of the workspace
	KindBusy          Kind = "busy"             // the vendor as a whole is busy
	KindServerError   Kind = "server_error"     // 5xx
	KindTimeout       Kind = "timeout"          // no answer in time, or 408
	KindUnreachable   Kind = "unreachable"      // no connection, or one that broke
	KindBreakerOpen   Kind = "breaker_open"     // not asked: it failed again and again just now
	KindQueueFull     Kind = "queue_full"       // not asked: too many wait already

	// What is no token and no error that is known.
	KindValidation       Kind = "validation"        // 422: the vendor does not understand us
	KindNoToken          Kind = "no_token"          // success without a usable token
	KindNoList           Kind = "no_list"           // success without what was asked for
	KindBodyTooLarge     Kind = "body_too_large"    // success with more than a token
	KindRedirected       Kind = "redirected"        // a redirect; none is followed
	KindUnexpectedStatus Kind = "unexpected_status" // any other status
)

// Refused reports whether the vendor refuses this service until an operator
// mends something. Trying again does not help.
func (k Kind) Refused() bool {
	return slices.Contains([]Kind{
		KindKeyInvalid, KindKeyIDAsKey, KindScopeMissing, KindCreditsExhausted, KindPlanTooLow, KindAddressRefused,
	}, k)
}

// Unavailable reports whether the same call may well succeed a little later.
func (k Kind) Unavailable() bool {
	return k.busy() || k.down() || k == KindBreakerOpen || k == KindQueueFull
}

// busy kinds are the vendor asking for fewer calls.
func (k Kind) busy() bool {
	return slices.Contains([]Kind{KindTooManyAtOnce, KindRateLimited, KindBusy}, k)
}

// down kinds are the vendor not working.
func (k Kind) down() bool {
	return slices.Contains([]Kind{KindServerError, KindTimeout, KindUnreachable}, k)
}

// Error is a vendor call that brought no credential. It holds nothing of the
// vendor's answer but what was checked, and nothing of the key.
type Error struct {
	Operation  string // "mint", "signed_url", "conversation_token", "models" or "user"
	Kind       Kind
	Status     int           // the HTTP status; 0 where none came
	RetryAfter time.Duration // what the vendor, the breaker or the ring asks for; 0 for nothing
	RequestID  string        // the vendor's id of the call, for its support
	Permission string        // what the key lacks, where the vendor says so
	Address    string        // which address it refuses, where the vendor says so
	Said       string        // the vendor's words on a refused address; for operators alone, and not in Error()
	// MayHaveMinted is false only where no call can have made a token or another
	// credential.
	MayHaveMinted bool
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Operation, e.Kind)
	if e.Status != 0 {
		fmt.Fprintf(&b, ", status %d", e.Status)
	}
	if e.Permission != "" {
		fmt.Fprintf(&b, ", permission %s", e.Permission)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, ", vendor's request id %s", e.RequestID)
	}
	return b.String()
}
