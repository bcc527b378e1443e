// Package problem answers errors as problem details (RFC 9457), with a code from
// a closed set that callers may rely on.
package problem

import (
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Code says what went wrong, from a closed set that callers may rely on.
type Code string

// The codes of problems.
const (
	InvalidRequest         Code = "invalid_request"
	SessionMissing         Code = "session_missing"
	SessionInvalid         Code = "session_invalid"
	SessionExpired         Code = "session_expired"
	SessionRevoked         Code = "session_revoked"
	TokenTypeNotAllowed    Code = "token_type_not_allowed"
	AgentNotAllowed        Code = "agent_not_allowed"
	OriginNotAllowed       Code = "origin_not_allowed"
	UnknownTokenType       Code = "unknown_token_type"
	NotFound               Code = "not_found"
	MethodNotAllowed       Code = "method_not_allowed"
	RequestInProgress      Code = "request_in_progress"
	IdempotencyKeyReused   Code = "idempotency_key_reused"
	RequestTooLarge        Code = "request_too_large"
	RateLimited            Code = "rate_limited"
	QuotaExhausted         Code = "quota_exhausted"
	InternalError          Code = "internal_error"
	VendorError            Code = "vendor_error"
	VendorUnavailable      Code = "vendor_unavailable"
	VendorRefused          Code = "vendor_refused"
	SessionKeysUnavailable Code = "session_keys_unavailable"
	Overloaded             Code = "overloaded"
)

// kinds is the one table from codes to statuses, titles and details.
var kinds = map[Code]struct {
	status        int
	title, detail string
}{
	InvalidRequest:         {400, "Malformed request", "A header, the query or the body is malformed."},
	SessionMissing:         {401, "No session", "Send the session JWT as Authorization: Bearer."},
	SessionInvalid:         {401, "Session not accepted", "This session is not accepted. Sign in again."},
	SessionExpired:         {401, "Session expired", "This session has expired. Renew it and try again."},
	SessionRevoked:         {401, "Session ended", "This session was ended. Sign in again."},
	TokenTypeNotAllowed:    {403, "Token type not allowed", "This session may not have tokens of this type."},
	AgentNotAllowed:        {403, "Agent not allowed", "This session may not talk to this agent."},
	OriginNotAllowed:       {403, "Origin not allowed", "Requests from this origin are not accepted."},
	UnknownTokenType:       {404, "Unknown token type", "The token types are realtime_scribe, batch_scribe and tts_websocket."},
	NotFound:               {404, "Not found", "There is nothing at this path."},
	MethodNotAllowed:       {405, "Method not allowed", "This path does not take this method; Allow lists those it takes."},
	RequestInProgress:      {409, "Still being made", "The token for this Idempotency-Key is still being made. Try again with the same key."},
	IdempotencyKeyReused:   {422, "Idempotency-Key reused", "This Idempotency-Key stands for another request. Take a new key for each connection attempt."},
	RequestTooLarge:        {413, "Request too large", "The request is larger than this service takes."},
	RateLimited:            {429, "Too many requests", "You have asked for too many tokens in a short time. Try again later."},
	QuotaExhausted:         {429, "Daily quota exhausted", "You have had all tokens of today. The next day begins at midnight UTC."},
	InternalError:          {500, "Internal error", "Something went wrong on our side."},
	VendorError:            {502, "Unusable answer from the vendor", "The vendor answered something that is no token."},
	VendorUnavailable:      {503, "Vendor unavailable", "The vendor cannot be reached or is busy. Try again later."},
	VendorRefused:          {503, "Vendor refused", "The vendor refuses this service. Its operators have to mend that."},
	SessionKeysUnavailable: {503, "Session keys unavailable", "The keys that sessions are checked with cannot be loaded. Try again later."},
	Overloaded:             {503, "Overloaded", "More is asked of this service than it can do. Try again later."},
}

// Codes are all codes, sorted.
func Codes() []Code { return slices.Sorted(maps.Keys(kinds)) }

// Blame is whose doing a problem is, for counting: "client", "server" or
// "vendor".
func (c Code) Blame() string {
	switch c {
	case VendorError, VendorUnavailable, VendorRefused, RequestInProgress:
		return "vendor" // an attempt is still being made where the vendor takes its time
	case InternalError, SessionKeysUnavailable, Overloaded:
		return "server"
	default:
		return "client"
	}
}

// Answer is one problem. Only Code is required.
type Answer struct {
	Code       Code
	Status     int           // where it is not the code's own
	Detail     string        // where the code's own is not enough
	RetryAfter time.Duration // 0: no Retry-After
	Challenge  string        // WWW-Authenticate
}

// StatusCode is the HTTP status of the answer.
func (a Answer) StatusCode() int {
	if a.Status != 0 {
		return a.Status
	}
	return kinds[a.Code].status
}

// Write answers. The request's id is what X-Request-Id already says; a HEAD
// request gets the headers alone.
func (a Answer) Write(w http.ResponseWriter, r *http.Request) {
	kind, h := kinds[a.Code], w.Header()
	b := body{
		Type: "urn:farebox:problem:" + string(a.Code), Title: kind.title, Status: a.StatusCode(),
		Detail: kind.detail, Code: a.Code, RequestID: h.Get("X-Request-Id"),
	}
	if a.Detail != "" {
		b.Detail = a.Detail
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if a.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(withJitter(a.RetryAfter)))
	}
	if a.Challenge != "" {
		h.Set("WWW-Authenticate", a.Challenge)
	}
	w.WriteHeader(b.Status)
	if r.Method != http.MethodHead {
		_ = json.NewEncoder(w).Encode(b)
	}
}

// body is the problem's JSON.
type body struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      Code   `json:"code"`
	RequestID string `json:"request_id"`
}

// withJitter is d in whole seconds, rounded up and a little later, so that
// those who were refused together do not come back together.
func withJitter(d time.Duration) int {
	seconds := int(math.Ceil(d.Seconds()))
	return seconds + rand.IntN(min(max(seconds/10, 1), 30)+1)
}
