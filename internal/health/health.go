// Package health keeps the state of what farebox depends on.
package health

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// The states of a dependency.
const (
	StateUnknown = "unknown" // not met yet
	StateUp      = "up"
	StateDown    = "down"
)

// Status is the whole's state.
type Status string

// The statuses. Ready and Degraded take traffic.
const (
	Ready    Status = "ready"
	Degraded Status = "degraded"
	NotReady Status = "not_ready"
)

// Report is a moment's state, as /readyz shows it.
type Report struct {
	Status       Status                `json:"status"`
	Draining     bool                  `json:"draining"`
	Dependencies map[string]Dependency `json:"dependencies"`
}

// Dependency is the state of one dependency.
type Dependency struct {
	State  string    `json:"state"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"` // a short word, where it is down
}

// Board holds all states. It is safe for concurrent use.
type Board struct {
	now func() time.Time
	log *slog.Logger

	mu       sync.Mutex
	draining bool
	lamps    map[string]*Lamp
}

// NewBoard returns a Board without dependencies.
func NewBoard(now func() time.Time, log *slog.Logger) *Board {
	return &Board{now: now, log: log, lamps: map[string]*Lamp{}}
}

// Lamp shows one dependency's state on the board. It is safe for concurrent
// use.
type Lamp struct {
	board    *Board
	name     string
	required bool
	state    Dependency
}

// Lamp adds a dependency. Without a required one the whole is not ready;
// without another it is degraded.
func (b *Board) Lamp(name string, required bool) *Lamp {
	b.mu.Lock()
	defer b.mu.Unlock()
	lamp := &Lamp{board: b, name: name, required: required, state: Dependency{State: StateUnknown, Since: b.now().UTC()}}
	b.lamps[name] = lamp
	return lamp
}

// Up says that the dependency works.
func (l *Lamp) Up() { l.set(StateUp, "") }

// Down says that it does not, and why, in a word that is fit for everybody.
func (l *Lamp) Down(reason string) { l.set(StateDown, reason) }

func (l *Lamp) set(state, reason string) {
	b := l.board
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.state.State != state {
		level, attrs := slog.LevelInfo, []any{"dependency", l.name}
		if state == StateDown {
			level, attrs = slog.LevelWarn, append(attrs, "reason", reason)
		}
		b.log.Log(context.Background(), level, "dependency is "+state, attrs...)
		l.state.State, l.state.Since = state, b.now().UTC()
	}
	l.state.Reason = reason
}

// Drain says that the process is about to stop: not ready from now on.
func (b *Board) Drain() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draining = true
}

// Report returns the present state.
func (b *Board) Report() Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := Report{Status: Ready, Draining: b.draining, Dependencies: map[string]Dependency{}}
	for name, lamp := range b.lamps {
		r.Dependencies[name] = lamp.state
		switch {
		case lamp.state.State == StateUp:
		case lamp.required:
			r.Status = NotReady
		case lamp.state.State == StateDown && r.Status == Ready:
			r.Status = Degraded
		}
	}
	if b.draining {
		r.Status = NotReady
	}
	return r
}
