package dispenser

import "sync"

// crew runs functions in goroutines of their own, which then wait for the next one:
// a stack that had to grow for a vendor call, as each new one has to, serves many.
// Its zero value is ready. It is safe for concurrent use.
type crew struct {
	running sync.WaitGroup // what is run

	mu     sync.Mutex
	idle   []chan func() // whose owners wait; the last to come is the first to go
	closed bool
}

// mostIdle bounds how many wait.
const mostIdle = 64

// run has f run, now.
func (c *crew) run(f func()) {
	c.running.Add(1)
	c.mu.Lock()
	last := len(c.idle) - 1
	if last < 0 {
		c.mu.Unlock()
		go c.work(f)
		return
	}
	next := c.idle[last]
	c.idle = c.idle[:last]
	c.mu.Unlock()
	next <- f
}

func (c *crew) work(f func()) {
	mine := make(chan func(), 1)
	for f != nil {
		f()
		c.running.Done()
		if !c.rest(mine) {
			return
		}
		f = <-mine
	}
}

// rest reports whether a goroutine is to wait for its next function.
func (c *crew) rest(mine chan func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) == mostIdle {
		return false
	}
	c.idle = append(c.idle, mine)
	return true
}

// close waits until what is run has ended, and ends the goroutines.
func (c *crew) close() {
	c.running.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.idle {
		close(one)
	}
	c.idle, c.closed = nil, true
}
