package dispenser

import (
	"sync"
	"testing"
	"testing/synctest"
)

func TestACrewRunsAllAtOnceAndItsGoroutinesAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c crew
		for _, at := range []int{1, 3, 2 * mostIdle, 2} {
			gate := make(chan struct{})
			var ran sync.WaitGroup
			for range at {
				ran.Add(1)
				c.run(func() {
					<-gate
					ran.Done()
				})
			}
			synctest.Wait() // all are at the gate
			if len(c.idle) != 0 && at >= mostIdle {
				t.Errorf("%d are idle while %d are to run", len(c.idle), at)
			}
			close(gate)
			ran.Wait()
			synctest.Wait()
			if len(c.idle) > mostIdle || len(c.idle) < min(at, mostIdle) {
				t.Errorf("%d are idle after %d", len(c.idle), at)
			}
		}
		c.close()
		// The bubble ends only if every goroutine has.
	})
}

func TestACrewThatIsClosedStillRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c crew
		c.close()
		ran := make(chan struct{})
		c.run(func() { close(ran) })
		<-ran
		synctest.Wait()
		if len(c.idle) != 0 {
			t.Error("somebody waits for more")
		}
	})
}
