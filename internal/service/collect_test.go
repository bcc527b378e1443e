package service

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

// heapGoal is what the heap may grow to, in MiB.
func heapGoal() uint64 {
	figure := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(figure)
	return figure[0].Value.Uint64() >> 20
}

// comesTo collects until the heap's goal is between two figures, in MiB.
func comesTo(t *testing.T, least, most uint64) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		runtime.GC()
		got := heapGoal()
		if got >= least && got <= most {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the goal is %d MiB, not between %d and %d", got, least, most)
		}
	}
}

// What is set is the process' own, so these do not run beside each other.
func TestASmallHeapIsCollectedSeldomAndALargeOneBeforeItDoubles(t *testing.T) {
	stop := paceCollections()
	t.Cleanup(stop)
	comesTo(t, 24, 28)
	held := make([]byte, 100<<20)
	comesTo(t, 150, 170)
	runtime.KeepAlive(held)
	comesTo(t, 24, 28)
	for range 20 { // nothing in use stands in the way
		runtime.GC()
	}
	comesTo(t, 24, 28)
	stop()
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("%d %% after the end", got)
	}
	held = make([]byte, 100<<20)
	comesTo(t, 200, 220)
	runtime.KeepAlive(held)
}

func TestWhatTheOperatorHasSetIsBelievedOfCollections(t *testing.T) {
	t.Run("GOGC", func(t *testing.T) {
		defer debug.SetGCPercent(debug.SetGCPercent(73))
		defer paceCollections()()
		runtime.GC()
		if got := debug.SetGCPercent(73); got != 73 {
			t.Errorf("%d %%", got)
		}
	})
	t.Run("GOMEMLIMIT", func(t *testing.T) {
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 40))
		defer paceCollections()()
		runtime.GC()
		if got := debug.SetGCPercent(100); got != 100 {
			t.Errorf("%d %%", got)
		}
		if got := debug.SetMemoryLimit(math.MaxInt64); got != 1<<40 {
			t.Errorf("%d bytes", got)
		}
	})
}
