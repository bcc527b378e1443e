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
	shape   string   // its usual one; "" for new
	at      []string // what is wrong, for the list shape: where it stands, and its name
}

func badKey() apiError {
	return apiError{status: 401, code: "invalid_api_key", message: "Invalid API key", shape: shapeLegacy}
}

// invalid is a parameter that the vendor would not take; where is path, query or
// body.
func invalid(where, name, message string) apiError {
	return apiError{status: 422, code: "invalid_parameters", message: message, shape: shapeList, at: []string{where, name}}
}

// kind is detail.type of the new shape.
func (e apiError) kind() string {
	switch e.status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusPaymentRequired:
		return "payment_required"
	case http.StatusForbidden:
		return "authorization_error"
	case http.StatusNotFound:
		return "not_found"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return "validation_error"
	default:
		return "internal_error"
	}
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
	at := e.at
	if at == nil {
		at = []string{"body"}
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
		detail = []any{map[string]any{"loc": at, "msg": e.message, "type": "value_error"}}
	default:
		object := map[string]any{"type": e.kind(), "code": e.code, "message": e.message, "status": mark, "request_id": requestID}
		if e.at != nil {
			object["param"] = e.at[len(e.at)-1]
		}
		detail = object
	}
	writeJSON(w, e.status, map[string]any{"detail": detail})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
