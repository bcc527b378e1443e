package service

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// leastGoal is what the heap may grow to before it is collected, however little
// of it is in use. With what else is resident, a replica so stays below 64 MiB.
const leastGoal = 26 << 20

// goal is what a heap with live bytes in use may grow to: to half as much again.
// Much of what users leave here has no pointers and costs a collection nothing,
// so that collecting sooner than Go's rule, at double, is cheap.
func goal(live uint64) uint64 { return max(leastGoal, live/2*3) }

// pacer sets, after each collection, when the next is due.
type pacer struct {
	mu      sync.Mutex
	ended   bool
	figures []metrics.Sample
}

// paceCollections has the heap collected at its goal, where by Go's rule a small
// heap would be collected all the time and a large one seldom, until stop is
// called. It must come before the process bounds its own memory: what GOGC or
// GOMEMLIMIT have set is believed instead, and left alone.
func paceCollections() (stop func()) {
	const untouched = 100
	if before := debug.SetGCPercent(untouched); before != untouched || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		debug.SetGCPercent(before)
		return func() {}
	}
	p := &pacer{figures: []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"},
	}}
	p.pace()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.ended = true
		debug.SetGCPercent(untouched)
	}
}

// pace sets when the next collection is due, and comes again after it.
func (p *pacer) pace() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	metrics.Read(p.figures)
	live, roots := p.figures[0].Value.Uint64(), p.figures[1].Value.Uint64()+p.figures[2].Value.Uint64()
	// Go's goal is live + (live + roots) * percent / 100, and no less than 4 MiB
	// * percent / 100.
	const most = leastGoal * 100 / (4 << 20)
	debug.SetGCPercent(int(min((goal(live)-live)*100/(live+roots+1), most)))
	// What nothing refers to is found by the next collection.
	runtime.AddCleanup(new(*pacer), (*pacer).pace, p)
}
