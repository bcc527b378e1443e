package handlers

import (
	"context"
	"sync"
	"time"

	"farebox/internal/telemetry"
)

// patience is the context of a request's work: it ends when the caller hangs up or
// has waited long enough, and lines of the log that it is told of name the request.
// What stands behind it, a timer above all, is made when somebody looks at it: a
// token out of the pool takes nobody's patience. It is safe for concurrent use.
type patience struct {
	parent    context.Context
	requestID string
	until     time.Time

	mu     sync.Mutex
	made   context.Context // nil until somebody looks
	cancel context.CancelFunc
	ended  bool
}

var _ context.Context = (*patience)(nil)

// end says that nobody waits any more.
func (p *patience) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.cancel != nil {
		p.cancel()
	}
}

func (p *patience) look() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made == nil {
		p.made, p.cancel = context.WithDeadline(telemetry.WithRequestID(p.parent, p.requestID), p.until)
		if p.ended {
			p.cancel()
		}
	}
	return p.made
}

// Deadline implements context.Context.
func (p *patience) Deadline() (time.Time, bool) { return p.look().Deadline() }

// Done implements context.Context.
func (p *patience) Done() <-chan struct{} { return p.look().Done() }

// Err implements context.Context.
func (p *patience) Err() error { return p.look().Err() }

// Value implements context.Context.
func (p *patience) Value(key any) any { return p.look().Value(key) }
