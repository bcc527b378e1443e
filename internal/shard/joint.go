package shard

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"farebox/internal/lane"
)

// Kind is what calls of a joint script have to be alike in to share a run: those
// of equal kinds do, and have as many keys each.
type Kind interface {
	comparable
	// Common appends the keys and arguments that stand once, before the calls' own.
	Common(keys []string, args []any) ([]string, []any)
}

// Joint is a script that one run of does what many calls ask for. A call that
// finds no run of its kind under way goes at once, with those that come in the same
// moment; those that come meanwhile share the next. It is safe for concurrent use.
//
// The script is given what the calls have in common and then each call's keys,
// and arguments, in order. It answers with a list: what it has to say to all, and
// then each call's own answer.
type Joint[K Kind] struct {
	set    *Set
	script *Script

	now func() time.Time

	mu    sync.Mutex
	lanes map[place[K]]*runs // of what has some under way
}

// runs are those of one place: one, and where the server is far a second.
type runs struct {
	lane.Lane[*call]
	began time.Time // when the last one did
}

// place is where and with whom a call may run.
type place[K Kind] struct {
	shard *Shard
	kind  K
}

// call is one caller's part of a run.
type call struct {
	keys []string
	args []any
	done sync.WaitGroup // of one, until the rest is there

	common, own any
	err         error
}

const (
	// largest bounds a run, since the server does nothing else meanwhile.
	largest = 64
	// mostKeys bounds one of calls with many keys: Lua passes on no more than some
	// 8,000 at once.
	mostKeys = 4096
	// far is a server that has not answered in this time: then a second run sets out,
	// so that nobody waits for two ways there. To a near one they go one after the
	// other, since it does one at a time, and the greater ones cost less.
	far = 2 * time.Millisecond
)

// NewJoint returns a Joint of a script.
func NewJoint[K Kind](set *Set, script *Script) *Joint[K] {
	return &Joint[K]{set: set, script: script, now: time.Now, lanes: map[place[K]]*runs{}}
}

// Run runs the script once for this call, perhaps with others, over keys that
// all lie in one shard, and returns what was said to all of the run and the
// call's own answer. It waits for the answer whatever becomes of ctx. An error
// wraps ErrAway, and then the script may have run all the same, unless it is
// ErrUnsent.
func (j *Joint[K]) Run(ctx context.Context, sh *Shard, kind K, keys []string, args []any) (common, own any, err error) {
	if tracer := j.set.cfg.Tracer; tracer != nil {
		_, end := tracer.Command(ctx, evalsha)
		defer func() { end(reason(err)) }()
	}
	c := &call{keys: keys, args: args}
	c.done.Add(1)
	at := place[K]{sh, kind}
	if !j.enter(at, c) {
		c.done.Wait()
		return c.common, c.own, c.err
	}
	// Those whose requests have come already will ask in a moment.
	runtime.Gosched()
	j.run(ctx, at, j.along(at, c))
	if batch := j.next(at, len(keys)); batch != nil {
		go j.serve(ctx, at, batch)
	}
	return c.common, c.own, c.err
}

// serve runs calls that have waited, and then others, as long as any wait.
func (j *Joint[K]) serve(ctx context.Context, at place[K], batch []*call) {
	for ; batch != nil; batch = j.next(at, len(batch[0].keys)) {
		j.run(ctx, at, batch)
	}
}

// enter reports whether the call is to run now; otherwise it waits.
func (j *Joint[K]) enter(at place[K], c *call) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.lanes[at]
	if l == nil {
		l = &runs{}
		j.lanes[at] = l
	}
	now, places := j.now(), 1
	if now.Sub(l.began) >= far {
		places = lane.Abreast
	}
	if l.Enter(places) {
		l.began = now
		return true
	}
	l.Wait(c)
	return false
}

// along returns a call that is to run, and those that wait and go with it.
func (j *Joint[K]) along(at place[K], c *call) []*call {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]*call{c}, j.lanes[at].Take(mostOf(len(c.keys))-1)...)
}

// mostOf is how many calls of so many keys each go in one run.
func mostOf(keys int) int { return min(largest, max(mostKeys/max(keys, 1), 1)) }

// next returns which calls, of so many keys each, are to run after a run has ended;
// nil for none.
func (j *Joint[K]) next(at place[K], keys int) []*call {
	j.mu.Lock()
	defer j.mu.Unlock()
	l, now := j.lanes[at], j.now()
	if l.Busy() > 1 && now.Sub(l.began) < far {
		l.Leave() // the other run is enough
		return nil
	}
	batch := l.Next(mostOf(keys))
	l.began = now
	if l.Busy() == 0 {
		delete(j.lanes, at)
	}
	return batch
}

// run runs calls together, and tells them. Where the server did not answer in time,
// those who have waited for that are told the same: they would wait as long again.
func (j *Joint[K]) run(ctx context.Context, at place[K], batch []*call) {
	const ample = 16 // for what is common
	keys, args := at.kind.Common(make([]string, 0, ample), make([]any, 0, ample))
	own := len(batch)
	line := j.script.line(len(keys)+own*len(batch[0].keys), len(args)+own*len(batch[0].args))
	line = appendKeys(line, keys)
	for _, c := range batch {
		line = appendKeys(line, c.keys)
	}
	line = append(line, args...)
	for _, c := range batch {
		line = append(line, c.args...)
	}
	// Each call has a span of its own already.
	reply, err := j.set.run(ctx, at.shard, j.set.untraced, j.script, line)
	answers, _ := reply.([]any)
	if err == nil && len(answers) != 1+own {
		err = ErrOddAnswer
	}
	for i, c := range batch {
		if c.err = err; err == nil {
			c.common, c.own = answers[0], answers[1+i]
		}
	}
	if err != nil && reason(err) == timedOut {
		j.dismiss(at)
	}
	for _, c := range batch {
		c.done.Done()
	}
}

// dismiss ends the wait of all who wait at a place.
func (j *Joint[K]) dismiss(at place[K]) {
	j.mu.Lock()
	waiting := j.lanes[at].Dismiss()
	j.mu.Unlock()
	for _, c := range waiting {
		j.set.missed(at.shard, errWaited)
		c.err = ErrUnsent
		c.done.Done()
	}
}

// errWaited is a server that did not answer those before.
var errWaited = errors.Join(ErrUnsent, context.DeadlineExceeded)
