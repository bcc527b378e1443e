package sandbox

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is one thing that the sandbox is told to do wrong.
type Fault struct {
	Operation         string `json:"operation"`          // mint, models, …, or * for all
	Kind              string `json:"fault"`              // one of FaultKinds
	Shape             string `json:"shape,omitempty"`    // of an error's body; "" for its usual one
	Times             int    `json:"times,omitempty"`    // how often; 0 until cleared
	DelayMS           int    `json:"delay_ms,omitempty"` // before anything is answered
	RetryAfterSeconds int    `json:"retry_after_seconds,omitempty"`
}

func (f *Fault) delay() time.Duration { return time.Duration(f.DelayMS) * time.Millisecond }

// socket reports whether the fault is shown on an open socket.
func (f *Fault) socket() bool { return slices.Contains(socketFaults, f.Kind) }

// oddities are answers that are no error of the vendor's but wrong all the same.
var oddities = map[string]func(s *Sandbox, x *exchange){
	"no_token":    func(_ *Sandbox, x *exchange) { writeJSON(x.w, http.StatusOK, map[string]any{}) },
	"empty_token": func(_ *Sandbox, x *exchange) { writeJSON(x.w, http.StatusOK, map[string]any{"token": ""}) },
	"wrong_type":  func(_ *Sandbox, x *exchange) { writeJSON(x.w, http.StatusOK, map[string]any{"token": 42}) },
	"odd_token": func(_ *Sandbox, x *exchange) {
		writeJSON(x.w, http.StatusOK, map[string]any{"token": "sutkn_\u0001ü"})
	},
	"long_token": func(_ *Sandbox, x *exchange) {
		writeJSON(x.w, http.StatusOK, map[string]any{"token": strings.Repeat("x", 4097)})
	},
	"same_token": func(s *Sandbox, x *exchange) { s.mintToken(x, true) },
	"html":       func(_ *Sandbox, x *exchange) { writeHTML(x.w, http.StatusOK) },
	"html_error": func(_ *Sandbox, x *exchange) { writeHTML(x.w, http.StatusBadGateway) },
	"redirect": func(_ *Sandbox, x *exchange) {
		http.Redirect(x.w, x.r, "/v1/models", http.StatusTemporaryRedirect)
	},
	"huge_body": func(_ *Sandbox, x *exchange) { writeHuge(x.w) },
	"truncated": func(_ *Sandbox, x *exchange) {
		cut(x.w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{\"token\":\"sut")
	},
	"broken_connection": func(_ *Sandbox, x *exchange) { cut(x.w, "") },
	"hang":              func(_ *Sandbox, x *exchange) { pause(x.r, time.Minute) },
}

// socketFaults are error frames of the Scribe socket.
var socketFaults = []string{
	"quota_exceeded", "rate_limited_frame", "queue_overflow", "resource_exhausted", "session_time_limit_exceeded",
	"transcriber_error", "unaccepted_terms", "drop",
}

// FaultKinds are all kinds of faults.
func FaultKinds() []string {
	kinds := slices.Concat([]string{"delay"}, slices.Collect(maps.Keys(faultKinds)), slices.Collect(maps.Keys(oddities)), socketFaults)
	slices.Sort(kinds)
	return kinds
}

// faults are those that are active, oldest first.
type faults struct {
	mu     sync.Mutex
	active []Fault
}

// Inject has the sandbox do f from now on, after what was injected before. A
// fault that makes no sense is an error that says what would.
func (s *Sandbox) Inject(f Fault) error {
	const longestDelay, mostTimes = 60_000, 1_000_000
	switch {
	case f.Operation != "*" && !slices.Contains(operations(), f.Operation):
		return fmt.Errorf("operation must be * or one of %s", strings.Join(operations(), ", "))
	case !slices.Contains(FaultKinds(), f.Kind):
		return fmt.Errorf("fault must be one of %s", strings.Join(FaultKinds(), ", "))
	case f.Shape != "" && !slices.Contains(shapes(), f.Shape):
		return fmt.Errorf("shape must be one of %s", strings.Join(shapes(), ", "))
	case f.Times < 0 || f.Times > mostTimes:
		return fmt.Errorf("times must lie between 0, for until cleared, and %d", mostTimes)
	case f.DelayMS < 0 || f.DelayMS > longestDelay:
		return fmt.Errorf("delay_ms must lie between 0 and %d", longestDelay)
	case f.RetryAfterSeconds < 0 || f.RetryAfterSeconds > 86400:
		return fmt.Errorf("retry_after_seconds must lie between 0 and 86400")
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.active = append(s.faults.active, f)
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

// next takes one time of the oldest fault for an operation, or nil.
func (f *faults) next(operation string) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.active {
		if fault := f.active[i]; fault.Operation == operation || fault.Operation == "*" && operation != opUnknown {
			if fault.Times == 1 {
				f.active = slices.Delete(f.active, i, i+1)
			} else if fault.Times > 1 {
				f.active[i].Times--
			}
			return &fault
		}
	}
	return nil
}

// misbehave answers with a fault. False means that it was a delay alone.
func (s *Sandbox) misbehave(x *exchange, f *Fault) bool {
	if f.RetryAfterSeconds > 0 {
		x.w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfterSeconds))
	}
	if e, known := faultKinds[f.Kind]; known {
		writeError(x.w, e, f.Shape)
		return true
	}
	if odd := oddities[f.Kind]; odd != nil {
		odd(s, x)
		return true
	}
	return false
}

func writeHTML(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<!doctype html><title>An answer from something else</title>")
}

// writeHuge is small on the wire and large once unpacked.
func writeHuge(w http.ResponseWriter) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, `{"token":"sutkn_sandbox_huge","padding":"`)
	_, _ = z.Write(bytes.Repeat([]byte("x"), 8<<20))
	_, _ = io.WriteString(z, `"}`)
	_ = z.Close()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = w.Write(packed.Bytes())
}

// cut writes text to the bare connection and resets it.
func cut(w http.ResponseWriter, text string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: ends the stream
	}
	_, _ = io.WriteString(conn, text)
	if tcp, ok := conn.(*net.TCPConn); ok && text == "" {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
