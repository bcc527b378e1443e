package redisconn

import (
	"context"
	"errors"
	"strings"
	"sync"

	"farebox/internal/lane"

	"github.com/redis/go-redis/v9"
)

// largest bounds a batch, and so how many share the fate of one connection.
const largest = 64

// slotLane sends the commands about one slot. One that finds it free goes at once,
// as if there were no lane; those that come meanwhile go together, in one
// write. Slots have lanes of their own, since a cluster may have lost the
// server of one. It is safe for concurrent use.
type slotLane struct {
	client func() redis.UniversalClient

	mu    sync.Mutex
	calls lane.Lane[*call]
}

// call is a command that waits for its batch.
type call struct {
	ctx  context.Context // the caller's, who stops waiting when it ends
	cmd  *once
	done chan struct{}
}

// process sends one command, never twice, and waits for its answer or for the
// end of ctx. After the latter it may have run, and must not be read: what
// becomes of its batch is still written to it.
func (l *slotLane) process(ctx context.Context, cmd *once) error {
	l.mu.Lock()
	if l.calls.Enter(lane.Abreast) {
		l.mu.Unlock()
		defer l.leave()
		return l.client().Process(ctx, cmd)
	}
	c := &call{ctx: ctx, cmd: cmd, done: make(chan struct{})}
	l.calls.Wait(c)
	l.mu.Unlock()
	select {
	case <-c.done:
		return cmd.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave makes place for those who wait.
func (l *slotLane) leave() {
	if batch := l.next(); batch != nil {
		go func() {
			for ; batch != nil; batch = l.next() {
				l.send(batch)
			}
		}()
	}
}

// next returns who is to be sent next; where nobody waits it gives the place up
// and returns nil.
func (l *slotLane) next() []*call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls.Next(largest)
}

// send sends a batch, of which each command gets an outcome of its own. Who has
// left already is not sent at all. The batch may take as long as the most
// patient of its callers.
func (l *slotLane) send(batch []*call) {
	cmds := make([]redis.Cmder, 0, len(batch))
	last, bounded := batch[0].ctx.Deadline()
	for _, c := range batch {
		if c.ctx.Err() != nil {
			continue
		}
		cmds = append(cmds, c.cmd)
		deadline, ok := c.ctx.Deadline()
		bounded = bounded && ok
		if deadline.After(last) {
			last = deadline
		}
	}
	ctx := context.Background()
	if bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, last)
		defer cancel()
	}
	if len(cmds) > 0 {
		pipeline := l.client().Pipeline()
		_ = pipeline.BatchProcess(ctx, cmds...)
		_, _ = pipeline.Exec(ctx) // each command has its own error
	}
	for _, c := range batch {
		close(c.done)
	}
}

// once is a command that go-redis must not repeat by itself after a time-out or
// a lost connection, when it may have run already. A batch that holds one is
// not repeated either.
type once struct {
	redis.Cmder
	answered bool
}

// NoRetry implements redis.Cmder.
func (*once) NoRetry() bool { return true }

// SetErr implements redis.Cmder. Where the connection breaks in the middle of a
// batch, go-redis lays the error on those too that were answered before.
func (c *once) SetErr(err error) {
	if !c.answered {
		c.answered = err == nil || errors.Is(err, redis.Nil)
		c.Cmder.SetErr(err)
	}
}

// slotOf is the hash tag of the first key of a command, and "" for what names
// no slot.
func slotOf(cmd redis.Cmder) string {
	args, first := cmd.Args(), 1
	if name := cmd.Name(); name == "evalsha" || name == "eval" {
		first = 3
	}
	if len(args) <= first {
		return ""
	}
	key, _ := args[first].(string)
	if end := strings.IndexByte(key, '}'); end > 1 && key[0] == '{' {
		return key[1:end]
	}
	return ""
}
