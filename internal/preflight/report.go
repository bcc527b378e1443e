// Package preflight tries, before anybody is served, what serve will need: the
// vendor, Redis, the session keys and the policy. It also explains what serve
// would make of one session.
//
// Nothing that it reports holds a key, a token or a JWT, or words of the
// vendor's, save what it says of a refused address.
package preflight

import (
	"encoding/json"
	"fmt"
	"io"
)

// Status is how a check came out.
type Status string

// The statuses. A warning does not fail a report.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Fail Status = "fail"
)

// Result is one check.
type Result struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Detail string `json:"detail"`         // what was found
	Mend   string `json:"mend,omitempty"` // what to do, where something is to be done
}

// WriteText writes the result in one line.
func (r Result) WriteText(w io.Writer) error {
	line := fmt.Sprintf("%-4s  %-20s  %s", r.Status, r.Name, r.Detail)
	if r.Mend != "" {
		line += "; " + r.Mend
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

// Report is all checks.
type Report struct {
	OK     bool     `json:"ok"` // none has failed
	Checks []Result `json:"checks"`
}

// WriteJSON writes v as one JSON document.
func WriteJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

func ok(detail string) Result         { return Result{Status: OK, Detail: detail} }
func warn(detail, mend string) Result { return Result{Status: Warn, Detail: detail, Mend: mend} }
func fail(detail, mend string) Result { return Result{Status: Fail, Detail: detail, Mend: mend} }
