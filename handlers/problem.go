package handlers

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"farebox/internal/limit"
)

// Code says what went wrong, from a closed set that callers may rely on.
type Code string

// The codes of problems.
const (
	CodeInvalidRequest       Code = "invalid_request"
	CodeSessionMissing       Code = "session_missing"
	CodeSessionInvalid       Code = "session_invalid"
	CodeSessionExpired       Code = "session_expired"
	CodeTokenTypeNotAllowed  Code = "token_type_not_allowed"
	CodeOriginNotAllowed     Code = "origin_not_allowed"
	CodeUnknownTokenType     Code = "unknown_token_type"
	CodeNotFound             Code = "not_found"
	CodeMethodNotAllowed     Code = "method_not_allowed"
	CodeRequestInProgress    Code = "request_in_progress"
	CodeIdempotencyKeyReused Code = "idempotency_key_reused"
	CodeRequestTooLarge      Code = "request_too_large"
	CodeRateLimited          Code = "rate_limited"
	CodeQuotaExhausted       Code = "quota_exhausted"
	CodeInternalError        Code = "internal_error"
	CodeVendorError          Code = "vendor_error"
	CodeVendorUnavailable    Code = "vendor_unavailable"
	CodeVendorRefused        Code = "vendor_refused"
	CodeSessionKeys          Code = "session_keys_unavailable"
	CodeOverloaded           Code = "overloaded"
)

// kinds is the one table from codes to statuses, titles and details.
var kinds = map[Code]struct {
	status        int
	title, detail string
}{
	CodeInvalidRequest:       {400, "Malformed request", "A header, the query or the body is malformed."},
	CodeSessionMissing:       {401, "No session", "Send the session JWT as Authorization: Bearer."},
	CodeSessionInvalid:       {401, "Session not accepted", "This session is not accepted. Sign in again."},
	CodeSessionExpired:       {401, "Session expired", "This session has expired. Renew it and try again."},
	CodeTokenTypeNotAllowed:  {403, "Token type not allowed", "This session may not have tokens of this type."},
	CodeOriginNotAllowed:     {403, "Origin not allowed", "Requests from this origin are not accepted."},
	CodeUnknownTokenType:     {404, "Unknown token type", "The token types are realtime_scribe, batch_scribe and tts_websocket."},
	CodeNotFound:             {404, "Not found", "There is nothing at this path."},
	CodeMethodNotAllowed:     {405, "Method not allowed", "This path does not take this method; Allow lists those it takes."},
	CodeRequestInProgress:    {409, "Still being made", "The token for this Idempotency-Key is still being made. Try again with the same key."},
	CodeIdempotencyKeyReused: {422, "Idempotency-Key reused", "This Idempotency-Key stands for another request. Take a new key for each connection attempt."},
	CodeRequestTooLarge:      {413, "Request too large", "The request is larger than this service takes."},
	CodeRateLimited:          {429, "Too many requests", "You have asked for too many tokens in a short time. Try again later."},
	CodeQuotaExhausted:       {429, "Daily quota exhausted", "You have had all tokens of today. The next day begins at midnight UTC."},
	CodeInternalError:        {500, "Internal error", "Something went wrong on our side."},
	CodeVendorError:          {502, "Unusable answer from the vendor", "The vendor answered something that is no token."},
	CodeVendorUnavailable:    {503, "Vendor unavailable", "The vendor cannot be reached or is busy. Try again later."},
	CodeVendorRefused:        {503, "Vendor refused", "The vendor refuses this service. Its operators have to mend that."},
	CodeSessionKeys:          {503, "Session keys unavailable", "The keys that sessions are checked with cannot be loaded. Try again later."},
	CodeOverloaded:           {503, "Overloaded", "More is asked of this service than it can do. Try again later."},
}

// problem is an error that is answered as problem details (RFC 9457).
type problem struct {
	code       Code
	status     int           // where it is not the code's own
	detail     string        // where the code's own is not enough
	retryAfter time.Duration // 0: no Retry-After
	limits     []limit.State
	challenge  string // WWW-Authenticate
	cause      error  // for the log alone
}

func (p *problem) Error() string {
	if p.cause != nil {
		return string(p.code) + ": " + p.cause.Error()
	}
	return string(p.code)
}

func (p *problem) Unwrap() error { return p.cause }

func (p *problem) statusCode() int {
	if p.status != 0 {
		return p.status
	}
	return kinds[p.code].status
}

func fail(code Code) *problem { return &problem{code: code} }

func failWith(code Code, cause error) *problem { return &problem{code: code, cause: cause} }

func malformed(detail string) *problem { return &problem{code: CodeInvalidRequest, detail: detail} }

// body is the problem's JSON.
type body struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      Code   `json:"code"`
	RequestID string `json:"request_id"`
}

// write answers p. A HEAD request gets the headers alone.
func (p *problem) write(w http.ResponseWriter, r *http.Request, requestID string) {
	kind := kinds[p.code]
	b := body{
		Type: "urn:farebox:problem:" + string(p.code), Title: kind.title, Status: p.statusCode(),
		Detail: kind.detail, Code: p.code, RequestID: requestID,
	}
	if p.detail != "" {
		b.Detail = p.detail
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(withJitter(p.retryAfter)))
	}
	if p.challenge != "" {
		h.Set("WWW-Authenticate", p.challenge)
	}
	setRateLimit(h, p.limits)
	w.WriteHeader(b.Status)
	if r.Method != http.MethodHead {
		_ = json.NewEncoder(w).Encode(b)
	}
}

// withJitter is d in whole seconds, rounded up and a little later, so that
// those who were refused together do not come back together.
func withJitter(d time.Duration) int {
	seconds := int(math.Ceil(d.Seconds()))
	return seconds + rand.IntN(min(max(seconds/10, 1), 30)+1)
}
