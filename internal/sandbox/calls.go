package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// mostCalls bounds the record; the oldest go first.
const mostCalls = 1000

// Call is one recorded call. It holds no credential: of a key only the first 12
// hexadecimal digits of its SHA-256, of a token nothing.
type Call struct {
	Seq       int               `json:"seq"`
	Time      time.Time         `json:"time"`
	Operation string            `json:"operation"`
	Method    string            `json:"method"`
	Path      string            `json:"path"`
	Status    int               `json:"status"` // 0 while it is under way, or where the connection was cut
	Fault     string            `json:"fault,omitempty"`
	Key       string            `json:"key,omitempty"`
	Headers   map[string]string `json:"headers"`
}

type calls struct {
	now  func() time.Time
	mu   sync.Mutex
	seq  int
	list []Call
}

func (c *calls) begin(operation string, r *http.Request, fault *Fault) int {
	call := Call{Time: c.now().UTC(), Operation: operation, Method: r.Method, Path: r.URL.Path, Headers: map[string]string{}}
	if fault != nil {
		call.Fault = fault.Kind
	}
	if key := r.Header.Get("xi-api-key"); key != "" {
		sum := sha256.Sum256([]byte(key))
		call.Key = hex.EncodeToString(sum[:])[:12]
	}
	for name, values := range r.Header {
		switch name {
		case "Xi-Api-Key", "Authorization", "Cookie", "Proxy-Authorization":
		default:
			call.Headers[name] = strings.Join(values, ", ")
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq++
	call.Seq = c.seq
	c.list = append(c.list, call)
	if over := len(c.list) - mostCalls; over > 0 {
		c.list = slices.Clone(c.list[over:])
	}
	return call.Seq
}

func (c *calls) end(seq, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.list {
		if c.list[i].Seq == seq {
			c.list[i].Status = status
		}
	}
}

// Calls returns the recorded calls, oldest first.
func (s *Sandbox) Calls() []Call {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return slices.Clone(s.calls.list)
}

// ClearCalls forgets the recorded calls.
func (s *Sandbox) ClearCalls() {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	s.calls.list = nil
}

// statusRecorder notes the status of an answer.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
