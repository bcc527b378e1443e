package dispenser

import (
	"context"
	"fmt"
	"sync"
)

// flights are the attempts under way in this process, by key and fingerprint.
// An attempt does not end when its caller hangs up: that caller is why replay
// exists. Others who come with the same key meanwhile wait for its end, and
// cost Redis nothing.
type flights struct {
	mu       sync.Mutex
	underWay map[string]*flight
	// ended counts down as flights end.
	ended sync.WaitGroup
}

type flight struct {
	done  chan struct{} // closed when grant and err are there
	grant Grant
	err   error
}

// join starts an attempt by run, or waits for the one under way; what another
// caller started is a replay to whoever joins.
// run may go on after it has given its answer.
func (f *flights) join(ctx context.Context, a *attempt, run func(answer func(Grant, error))) (Grant, error) {
	// Another session of the caller does not join: whether it was ended is for
	// the script to say.
	id := a.keys[0] + a.fingerprint + a.marks.ID()
	f.mu.Lock()
	current, joined := f.underWay[id]
	if !joined {
		current = &flight{done: make(chan struct{})}
		f.underWay[id] = current
		f.ended.Go(func() { f.fly(id, current, run) })
	}
	f.mu.Unlock()
	select {
	case <-current.done:
		grant := current.grant
		if joined && current.err == nil {
			grant.Source, grant.Limits = SourceReplay, nil
		}
		return grant, current.err
	case <-ctx.Done():
		return Grant{}, inProgress(ctx)
	}
}

func (f *flights) fly(id string, current *flight, run func(answer func(Grant, error))) {
	var once sync.Once
	answer := func(grant Grant, err error) {
		once.Do(func() {
			current.grant, current.err = grant, err
			f.mu.Lock()
			delete(f.underWay, id)
			f.mu.Unlock()
			close(current.done)
		})
	}
	defer func() {
		// No request's own recovery stands above this goroutine.
		answer(Grant{}, fmt.Errorf("dispenser: an attempt panicked with a %T", recover()))
	}()
	run(answer)
}
