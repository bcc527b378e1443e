package dispenser

import (
	"context"
	"sync"
	"time"
)

// terms bound how long mints take. Those that begin within a second of each other
// share a context: one with a timer for each is a good part of what a mint costs
// here. It is safe for concurrent use.
type terms struct {
	budget time.Duration // a mint has it, and up to a second more

	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelFunc
	begins time.Time // the last moment at which a mint may begin under ctx
}

// of returns a context for a mint that begins now, with the values of ctx, whose
// end does not end it.
func (t *terms) of(ctx context.Context) context.Context {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.After(t.begins) {
		t.begins = now.Add(time.Second)
		// The one before ends by itself.
		t.ctx, t.cancel = context.WithDeadline(context.Background(), t.begins.Add(t.budget))
	}
	return term{t.ctx, ctx}
}

// end ends the mints that began last.
func (t *terms) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cancel != nil {
		t.cancel()
	}
}

// term is a shared context with the values of another.
type term struct {
	context.Context
	values context.Context
}

// Value implements context.Context. What the shared one says comes first: how its
// end is passed on, which is why it costs no goroutine.
func (t term) Value(key any) any {
	if value := t.Context.Value(key); value != nil {
		return value
	}
	return t.values.Value(key)
}
