package sandbox

import (
	"maps"
	"slices"
	"strings"
)

// kind is a way to go wrong. Of refusal, odd and frame it has the one that its
// operation can show; with none it is a delay alone.
type kind struct {
	refusal *apiError                     // an error of the vendor's, as an HTTP answer
	odd     func(s *Sandbox, x *exchange) // an answer, or none, that the vendor does not owe anybody
	frame   string                        // an error's name on an open socket; drop for none and a cut
	only    []string                      // the operations that it is for; nil for all
}

// drop is the frame that is none: the connection ends without a word.
const drop = "drop"

// shows reports whether a call of this operation can show the kind at all.
func (k kind) shows(operation string) bool {
	return k.only == nil || slices.Contains(k.only, operation)
}

// onSocket reports whether the kind is shown once the socket is open.
func (k kind) onSocket(operation string) bool {
	return k.frame != "" && slices.Contains(socketOperations(), operation)
}

func socketOperations() []string { return []string{opScribe, opSpeech} }

// FaultKinds are the names of all kinds of faults, sorted.
func FaultKinds() []string { return slices.Sorted(maps.Keys(kinds())) }

// kinds are all kinds of faults by name.
func kinds() map[string]kind {
	all := map[string]kind{"delay": {}}
	for name, e := range refusals() {
		all[name] = kind{refusal: &e}
	}
	maps.Copy(all, oddities())
	for _, name := range []string{
		"quota_exceeded", "queue_overflow", "resource_exhausted", "session_time_limit_exceeded",
		"transcriber_error", "unaccepted_terms", drop,
	} {
		all[name] = kind{frame: name, only: socketOperations()}
	}
	// The one name that both sides have: a status for a call, a frame on a socket.
	limited := all["rate_limited"]
	limited.frame = "rate_limited"
	all["rate_limited"] = limited
	return all
}

// refusals are the vendor's errors by the names that faults have for them.
func refusals() map[string]apiError {
	validation := invalid("path", "token_type", "Invalid parameters.")
	return map[string]apiError{
		"key_invalid":       badKey(),
		"key_id_as_key":     {status: 400, code: "invalid_api_key", message: "This is the id of an API key, not the key."},
		"scope_missing":     {status: 401, code: "unauthorized", mark: "missing_permissions", message: "The API key you used is missing the permission speech_to_text to execute this operation."},
		"credits_exhausted": {status: 401, code: "quota_exceeded", message: "This request exceeds your quota.", shape: shapeLegacy},
		"plan_too_low":      {status: 402, code: "paid_plan_required", mark: "payment_required", message: "A paid plan is required."},
		"address_refused":   {status: 403, code: "forbidden", message: "Your address is not allowed."},
		"too_many_at_once":  {status: 429, code: "concurrent_limit_exceeded", mark: "too_many_concurrent_requests", message: "Too many concurrent requests."},
		"rate_limited":      {status: 429, code: "rate_limit_exceeded", message: "Rate limit exceeded."},
		"busy":              {status: 429, code: "system_busy", message: "The system is busy, please try again."},
		"validation":        validation,
		"not_found":         {status: 404, code: "not_found", message: "Not Found", shape: shapeString},
		"request_timeout":   {status: 408, code: "request_timeout", message: "Request Timeout", shape: shapeString},
		"server_error":      {status: 500, code: "internal_server_error", message: "Internal Server Error", shape: shapeString},
		"bad_gateway":       {status: 502, code: "bad_gateway", message: "Bad Gateway", shape: shapeString},
		"unavailable":       {status: 503, code: "service_unavailable", message: "Service Unavailable", shape: shapeString},
		"gateway_timeout":   {status: 504, code: "gateway_timeout", message: "Gateway Timeout", shape: shapeString},
	}
}

// oddities are answers that are no error of the vendor's but wrong all the same.
func oddities() map[string]kind {
	credentials := []string{opMint, opSignedURL, opConversationToken}
	value := func(v any) kind {
		return kind{only: credentials, odd: func(_ *Sandbox, x *exchange) { writeCredential(x, v) }}
	}
	return map[string]kind{
		"no_token":    value(nil),
		"empty_token": value(""),
		"wrong_type":  value(42),
		"odd_token":   value("sutkn_\u0001ü"),
		"long_token":  value(strings.Repeat("x", 4097)),
		"same_token": {only: []string{opMint}, odd: func(s *Sandbox, x *exchange) {
			if keyed(x) {
				s.mintToken(x, true)
			}
		}},
		"html":              {odd: func(_ *Sandbox, x *exchange) { writeHTML(x.w, 200) }},
		"html_error":        {odd: func(_ *Sandbox, x *exchange) { writeHTML(x.w, 502) }},
		"redirect":          {odd: writeRedirect},
		"huge_body":         {odd: func(_ *Sandbox, x *exchange) { writeHuge(x.w) }},
		"truncated":         {odd: func(_ *Sandbox, x *exchange) { truncate(x.w) }},
		"broken_connection": {odd: func(_ *Sandbox, x *exchange) { cut(x.w, "") }},
		"hang":              {odd: hang},
	}
}
