package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
)

// The shapes in which the vendor words an error.
const (
	shapeNew    = "new"    // detail: object with type, code, message, status, request_id
	shapeLegacy = "legacy" // detail: object with status and message
	shapeString = "string" // detail: text
	shapeList   = "list"   // detail: list of validation errors
)

func shapes() []string { return []string{shapeNew, shapeLegacy, shapeString, shapeList} }

// apiError is one of the vendor's errors.
type apiError struct {
	status  int    // HTTP
	code    string // detail.code of the new shape
	mark    string // detail.status; "" where it is as code
	message string
	shape   string // its usual one; "" for new
}

// faultKinds are the vendor's errors by the names that faults have for them.
var faultKinds = map[string]apiError{
	"key_invalid":       {status: 401, code: "invalid_api_key", message: "Invalid API key", shape: shapeLegacy},
	"key_id_as_key":     {status: 400, code: "invalid_api_key", message: "This is the id of an API key, not the key."},
	"scope_missing":     {status: 401, code: "unauthorized", mark: "missing_permissions", message: "The API key you used is missing the permission speech_to_text to execute this operation."},
	"credits_exhausted": {status: 401, code: "quota_exceeded", message: "This request exceeds your quota.", shape: shapeLegacy},
	"plan_too_low":      {status: 402, code: "paid_plan_required", mark: "payment_required", message: "A paid plan is required."},
	"address_refused":   {status: 403, code: "forbidden", message: "Your address is not allowed."},
	"too_many_at_once":  {status: 429, code: "concurrent_limit_exceeded", mark: "too_many_concurrent_requests", message: "Too many concurrent requests."},
	"rate_limited":      {status: 429, code: "rate_limit_exceeded", message: "Rate limit exceeded."},
	"busy":              {status: 429, code: "system_busy", message: "The system is busy, please try again."},
	"validation":        {status: 422, code: "invalid_parameters", message: "Invalid parameters.", shape: shapeList},
	"not_found":         {status: 404, code: "not_found", message: "Not Found", shape: shapeString},
	"request_timeout":   {status: 408, code: "request_timeout", message: "Request Timeout", shape: shapeString},
	"server_error":      {status: 500, code: "internal_server_error", message: "Internal Server Error", shape: shapeString},
	"bad_gateway":       {status: 502, code: "bad_gateway", message: "Bad Gateway", shape: shapeString},
	"unavailable":       {status: 503, code: "service_unavailable", message: "Service Unavailable", shape: shapeString},
	"gateway_timeout":   {status: 504, code: "gateway_timeout", message: "Gateway Timeout", shape: shapeString},
}

// writeError answers e in a shape, or in its usual one where that is "".
func writeError(w http.ResponseWriter, e apiError, shape string) {
	if shape == "" {
		shape = e.shape
	}
	mark := e.mark
	if mark == "" {
		mark = e.code
	}
	requestID := strings.ToLower(rand.Text())
	w.Header().Set("X-Trace-Id", requestID)
	var detail any
	switch shape {
	case shapeLegacy:
		detail = map[string]any{"status": mark, "message": e.message}
	case shapeString:
		detail = e.message
	case shapeList:
		detail = []any{map[string]any{"loc": []string{"path", "token_type"}, "msg": e.message, "type": "value_error"}}
	default:
		detail = map[string]any{"type": "error", "code": e.code, "message": e.message, "status": mark, "request_id": requestID}
	}
	writeJSON(w, e.status, map[string]any{"detail": detail})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
