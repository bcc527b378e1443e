package dispenser

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	vendorclient "farebox/vendor_client"
)

// failure is how a claim's failure is told to those who wait on it, in this
// process or another.
type failure struct {
	Kind       vendorclient.Kind `json:"kind,omitempty"`
	Operation  string            `json:"operation,omitempty"`
	Status     int               `json:"status,omitempty"`
	RetryAfter time.Duration     `json:"retry_after,omitempty"`
	Repeated   bool              `json:"repeated,omitempty"`
}

func encodeFailure(err error) string {
	var f failure
	var vendorError *vendorclient.Error
	switch {
	case errors.As(err, &vendorError):
		f = failure{Kind: vendorError.Kind, Operation: vendorError.Operation, Status: vendorError.Status, RetryAfter: vendorError.RetryAfter}
	case errors.Is(err, ErrRepeatedToken):
		f.Repeated = true
	}
	text, _ := json.Marshal(f) // a struct of plain fields
	return string(text)
}

func decodeFailure(text string) error {
	var f failure
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return fmt.Errorf("a claim's failure cannot be read: %w", err)
	}
	switch {
	case f.Repeated:
		return ErrRepeatedToken
	case f.Kind != "":
		return &vendorclient.Error{Operation: f.Operation, Kind: f.Kind, Status: f.Status, RetryAfter: f.RetryAfter}
	default:
		return errClaimLost
	}
}
