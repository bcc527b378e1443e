// Package history is for tests: it writes down what callers of one or more
// dispensers were given and what the vendor made for them, and judges whether
// farebox kept its promises, by the vendor's clock alone. A hand-out is known to
// have been decided between its request and its answer; what no moment in
// between allows is a violation.
package history

import (
	"sync"
	"time"

	"farebox/internal/limit"
)

// Config is what a History judges by.
type Config struct {
	TokenLifetime time.Duration // as the vendor has it
	MinimumLife   time.Duration // of a token handed out
	// Steady is what holds only while Redis is neither lost nor replaced; nil
	// where it may be.
	Steady *Steady
}

// Steady are the promises that need Redis.
type Steady struct {
	Limits       limit.Limits  // of every caller, for each type
	ReplayWindow time.Duration // in which a key gives the same token
}

// History is safe for concurrent use.
type History struct {
	cfg Config

	mu       sync.Mutex
	minted   map[string]Mint
	repeats  map[string]int // tokens that the vendor gave again
	handOuts []HandOut
	granted  map[Source]int
	refused  map[string]int
	faults   map[string]int
}

// New returns an empty History.
func New(cfg Config) *History {
	return &History{cfg: cfg, minted: map[string]Mint{}, repeats: map[string]int{}, granted: map[Source]int{}, refused: map[string]int{}, faults: map[string]int{}}
}

// Mint is a token that the vendor made.
type Mint struct {
	Token, Type string
	At          time.Time // the vendor's time before it was made
}

// Source is where an answer says that its token came from.
type Source string

// The sources. Fresh is for answers that tell no more than that they are no
// replay.
const (
	Pool   Source = "pool"
	Minted Source = "mint"
	Fresh  Source = "fresh"
	Replay Source = "replay"
)

// HandOut is an answer with a token.
type HandOut struct {
	Caller, Key string // Key is "" without one
	Token, Type string
	Source      Source
	Asked, Got  time.Time     // by the vendor's clock
	Life        time.Duration // as the answer states it
}

// Mint writes down that the vendor made a token, or gave one again.
func (h *History) Mint(m Mint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, again := h.minted[m.Token]; again {
		h.repeats[m.Token]++
		return
	}
	h.minted[m.Token] = m
}

// HandOut writes down an answer with a token.
func (h *History) HandOut(o HandOut) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handOuts = append(h.handOuts, o)
	h.granted[o.Source]++
}

// Granted is how many answers had a token from source so far.
func (h *History) Granted(source Source) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.granted[source]
}

// Refused is how many answers had this code so far.
func (h *History) Refused(code string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refused[code]
}

// Refuse writes down an answer without a token, by its code.
func (h *History) Refuse(code string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refused[code]++
}

// Fault writes down that something was broken n times.
func (h *History) Fault(kind string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n > 0 {
		h.faults[kind] += n
	}
}
