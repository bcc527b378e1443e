package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// What bounds the record; the oldest calls go first.
const (
	mostCalls   = 1000
	mostHeaders = 40
	longestText = 256 // bytes of a path or of a header's value
)

// Call is one recorded call. It holds no credential: of a key only the first 12
// hexadecimal digits of its SHA-256, of a token nothing. A call with a key that
// looks real is not recorded at all. Headers belongs to the record: read it only.
type Call struct {
	Seq       int               `json:"seq"`
	Time      time.Time         `json:"time"`
	Operation string            `json:"operation"`
	Method    string            `json:"method"`
	Path      string            `json:"path"`   // without the query
	Status    int               `json:"status"` // 0 while it is under way, or where the connection was cut
	Fault     string            `json:"fault,omitempty"`
	Key       string            `json:"key,omitempty"`
	Headers   map[string]string `json:"headers"`
}

// calls is a ring of the last calls; call number seq stands at seq modulo its
// length.
type calls struct {
	now func() time.Time

	mu    sync.Mutex
	ring  []Call
	first int // number of the oldest call that is kept
	seq   int // number of the last call
}

func newCalls(now func() time.Time) *calls {
	return &calls{now: now, ring: make([]Call, mostCalls), first: 1}
}

// begin records a call that is under way and returns its number.
func (c *calls) begin(operation string, r *http.Request, fault *Fault) int {
	call := Call{
		Time: c.now().UTC(), Operation: operation, Method: r.Method,
		Path: harmless(r.URL.Path), Headers: harmlessHeaders(r.Header),
	}
	if fault != nil {
		call.Fault = fault.Kind
	}
	call.Key = keyMark(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq++
	call.Seq = c.seq
	c.ring[c.seq%len(c.ring)] = call
	c.first = max(c.first, c.seq-len(c.ring)+1)
	return call.Seq
}

// markSize is how many hexadecimal digits of a key's SHA-256 stand for it.
const markSize = 12

// keyMark stands for the call's API key; "" where it has none.
func keyMark(r *http.Request) string {
	key := r.Header.Get("xi-api-key")
	if key == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])[:markSize]
}

// end adds the status, where the call is still kept.
func (c *calls) end(seq, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if seq >= c.first {
		c.ring[seq%len(c.ring)].Status = status
	}
}

// Calls returns the recorded calls, oldest first.
func (s *Sandbox) Calls() []Call {
	c := s.calls
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Call, 0, c.seq-c.first+1)
	for seq := c.first; seq <= c.seq; seq++ {
		all = append(all, c.ring[seq%len(c.ring)])
	}
	return all
}

// ClearCalls forgets the recorded calls; their numbers go on.
func (s *Sandbox) ClearCalls() {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	clear(s.calls.ring)
	s.calls.first = s.calls.seq + 1
}

func harmlessHeaders(h http.Header) map[string]string {
	kept := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		switch name {
		case "Xi-Api-Key", "Authorization", "Cookie", "Proxy-Authorization", "Referer":
			continue
		}
		if len(kept) == mostHeaders {
			break
		}
		kept[harmless(name)] = harmless(strings.Join(h[name], ", "))
	}
	return kept
}

// harmless is text for the record: short, and without what could be a token or
// a real key that strayed there.
func harmless(text string) string {
	if strings.Contains(text, "sutkn_") || strings.Contains(text, "sk_") {
		return "[redacted]"
	}
	if len(text) > longestText {
		return strings.ToValidUTF8(text[:longestText], "") + "…"
	}
	return text
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

// Write implements http.ResponseWriter.
func (r *statusRecorder) Write(data []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(data)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
