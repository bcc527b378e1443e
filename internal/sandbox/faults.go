package sandbox

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is one thing that the sandbox is told to do wrong.
type Fault struct {
	Operation         string `json:"operation"`          // mint, models, …, or * for all that can show it
	Kind              string `json:"fault"`              // one of FaultKinds
	Shape             string `json:"shape,omitempty"`    // of an error's body; "" for its usual one
	Times             int    `json:"times,omitempty"`    // how often; 0 until cleared
	DelayMS           int    `json:"delay_ms,omitempty"` // before anything is answered
	RetryAfterSeconds int    `json:"retry_after_seconds,omitempty"`
	TokenType         string `json:"token_type,omitempty"` // for mints of this type alone
	Key               string `json:"key,omitempty"`        // for calls with this API key alone, written as in the record of calls
}

// concerns reports whether a call is one that the fault is for.
func (f *Fault) concerns(operation string, r *http.Request) bool {
	return (f.Operation == operation || f.Operation == "*") &&
		(f.TokenType == "" || operation == opMint && f.TokenType == r.PathValue("token_type")) &&
		(f.Key == "" || f.Key == keyMark(r))
}

func (f *Fault) delay() time.Duration { return time.Duration(f.DelayMS) * time.Millisecond }

// faults are those that are active, oldest first.
type faults struct {
	kinds map[string]kind

	mu     sync.Mutex
	active []Fault
}

var markOfKey = regexp.MustCompile(fmt.Sprintf("^[0-9a-f]{%d}$", markSize))

// Inject has the sandbox do f from now on, after what was injected before. A
// fault that makes no sense is an error that says what would, and changes
// nothing.
func (s *Sandbox) Inject(f Fault) error {
	if err := s.faults.check(f); err != nil {
		return err
	}
	const most = 1000
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	if len(s.faults.active) >= most {
		return fmt.Errorf("at most %d faults are active at once; clear them first", most)
	}
	s.faults.active = append(s.faults.active, f)
	return nil
}

func (f *faults) check(fault Fault) error {
	const longestDelay, longestPause, mostTimes = 60_000, 86_400, 1_000_000
	kind, known := f.kinds[fault.Kind]
	switch {
	case fault.Operation != "*" && !slices.Contains(operations(), fault.Operation):
		return fmt.Errorf("operation must be * or one of %s", strings.Join(operations(), ", "))
	case !known:
		return fmt.Errorf("fault must be one of %s", strings.Join(FaultKinds(), ", "))
	case fault.Operation != "*" && !kind.shows(fault.Operation):
		return fmt.Errorf("operation must be * or one of %s for the fault %s", strings.Join(kind.only, ", "), fault.Kind)
	case fault.TokenType != "" && (fault.Operation != opMint || !slices.Contains(tokenTypes(), fault.TokenType)):
		return fmt.Errorf("token_type is for mint alone, and must be one of %s", strings.Join(tokenTypes(), ", "))
	case fault.Key != "" && !markOfKey.MatchString(fault.Key):
		return fmt.Errorf("key must be the first %d hexadecimal digits of the API key's SHA-256, as calls show it", markSize)
	case fault.Shape != "" && !slices.Contains(shapes(), fault.Shape):
		return fmt.Errorf("shape must be one of %s", strings.Join(shapes(), ", "))
	case fault.Shape != "" && kind.refusal == nil:
		return fmt.Errorf("shape is for errors in JSON, which the fault %s is not", fault.Kind)
	case fault.Times < 0 || fault.Times > mostTimes:
		return fmt.Errorf("times must lie between 0, for until cleared, and %d", mostTimes)
	case fault.DelayMS < 0 || fault.DelayMS > longestDelay:
		return fmt.Errorf("delay_ms must lie between 0 and %d", longestDelay)
	case fault.Kind == "delay" && fault.DelayMS == 0:
		return fmt.Errorf("delay_ms must lie between 1 and %d for the fault delay", longestDelay)
	case fault.RetryAfterSeconds < 0 || fault.RetryAfterSeconds > longestPause:
		return fmt.Errorf("retry_after_seconds must lie between 0 and %d", longestPause)
	}
	return nil
}

// ClearFaults has the sandbox behave.
func (s *Sandbox) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.active = nil
}

// list copies the active faults, with the times that are left.
func (f *faults) list() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Fault{}, f.active...)
}

// next takes one time of the oldest fault that the call can show, or nil.
func (f *faults) next(operation string, r *http.Request) *Fault {
	if operation == opUnknown {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, fault := range f.active {
		if !fault.concerns(operation, r) || !f.kinds[fault.Kind].shows(operation) {
			continue
		}
		if fault.Times == 1 {
			f.active = slices.Delete(f.active, i, i+1)
		} else if fault.Times > 1 {
			f.active[i].Times--
		}
		return &fault
	}
	return nil
}

// misbehave answers with a fault. False means that it was a delay alone.
func (s *Sandbox) misbehave(x *exchange, f *Fault) bool {
	kind := s.faults.kinds[f.Kind]
	if f.RetryAfterSeconds > 0 {
		x.w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfterSeconds))
	}
	switch {
	case kind.refusal != nil:
		writeError(x.w, *kind.refusal, f.Shape)
	case kind.odd != nil:
		kind.odd(s, x)
	default:
		return false
	}
	return true
}
