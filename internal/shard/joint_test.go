package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farebox/internal/lane"

	"github.com/redis/go-redis/v9"
)

// kind is the kind of a test's calls.
type kind string

func (k kind) Common(keys []string, args []any) ([]string, []any) {
	return append(keys, "common"), append(args, string(k))
}

// sent is a command that a test's server has to answer.
type sent struct {
	cmd    *redis.Cmd
	answer chan error
}

// args are those of the calls.
func (s sent) args() []any {
	all := s.cmd.Args()
	return all[3+all[2].(int)+1:]
}

// serve answers with each call's own argument.
func (s sent) serve() {
	answers := []any{"to all"}
	answers = append(answers, s.args()...)
	s.cmd.SetVal(answers)
	s.answer <- nil
}

func (s sent) fail(err error) { s.answer <- err }

// desk is a server whose answers a test gives.
type desk chan sent

func (d desk) Process(_ context.Context, cmd redis.Cmder) error {
	s := sent{cmd.(*redis.Cmd), make(chan error)}
	d <- s
	return <-s.answer
}

func (desk) Clustered(context.Context) (bool, error) { return false, nil }

func newCalls(t *testing.T) (desk, *Set, *calls) {
	t.Helper()
	server := make(desk)
	s, err := New(Config{Redis: server, Prefix: "test", State: &lamp{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	joint := NewJoint[kind](s, NewScript("the script"))
	c := &calls{t: t, joint: joint, shard: s.first, ends: map[string]error{}}
	// The server is far, as a rule.
	joint.now = func() time.Time { return time.Unix(0, c.clock.Add(int64(far))) }
	return server, s, c
}

// calls makes calls one after the other, each once the one before waits or is
// sent, and tells their ends.
type calls struct {
	t     *testing.T
	joint *Joint[kind]
	shard *Shard
	clock atomic.Int64 // in nanoseconds
	all   sync.WaitGroup
	mu    sync.Mutex
	ends  map[string]error
}

func (c *calls) call(k kind, name string, furtherKeys ...string) {
	c.all.Go(func() {
		common, own, err := c.joint.Run(c.t.Context(), c.shard, k, append([]string{"key of " + name}, furtherKeys...), []any{name})
		if err == nil && (common != "to all" || own != name) {
			err = fmt.Errorf("%s was answered %v and %v", name, common, own)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ends[name] = err
	})
}

// ended is how many calls have.
func (c *calls) ended() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.ends)
}

// allWell waits until all calls have ended, asks that none failed, and waits until
// no lane is left: whoever runs calls for others gives the place up once they have
// their answers.
func (c *calls) allWell() {
	c.t.Helper()
	c.all.Wait()
	for name, err := range c.ends {
		if err != nil {
			c.t.Errorf("%s: %v", name, err)
		}
	}
	c.eventually("no lane is left", func() bool {
		c.joint.mu.Lock()
		defer c.joint.mu.Unlock()
		return len(c.joint.lanes) == 0
	})
}

func (c *calls) eventually(what string, met func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !met(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("it never came to this: %s", what)
		}
	}
}

// occupy has as many runs of kind a under way as may be; the calls are first0 and
// on.
func (c *calls) occupy(server desk, furtherKeys ...string) (under []sent) {
	for i := range lane.Abreast {
		c.call("a", fmt.Sprint("first", i), furtherKeys...)
		under = append(under, <-server)
	}
	return under
}

// waiting waits until so many calls of a kind wait for a run.
func (c *calls) waiting(k kind, n int) {
	c.t.Helper()
	c.eventually(fmt.Sprint(n, " wait"), func() bool {
		c.joint.mu.Lock()
		defer c.joint.mu.Unlock()
		l := c.joint.lanes[place[kind]{c.shard, k}]
		return l != nil && l.Waiting() == n
	})
}

func TestASecondRunSetsOutToAServerThatIsFarAlone(t *testing.T) {
	t.Parallel()
	server, _, c := newCalls(t)
	c.joint.now = func() time.Time { return time.Unix(0, c.clock.Load()) }
	c.call("a", "first")
	first := <-server
	c.clock.Add(int64(far) - 1)
	c.call("a", "soon")
	c.waiting("a", 1)
	c.clock.Add(1)
	c.call("a", "late")
	second := <-server
	// Who has waited longer goes first, or with it.
	if got := second.args(); !slices.Equal(got, []any{"late", "soon"}) {
		t.Errorf("the second run has %v", got)
	}
	c.call("a", "third")
	c.waiting("a", 1)
	// The server was quick this time, so one run is enough.
	second.serve()
	c.eventually("the second run has ended", func() bool { return c.ended() == 2 })
	c.waiting("a", 1) // for the first run, which is enough
	first.serve()
	third := <-server
	third.serve()
	c.allWell()
}

// Calls that come while runs are under way share the next, in their order, each
// with its own answer; other kinds are for themselves; and nothing is left.
func TestCallsThatComeMeanwhileShareARun(t *testing.T) {
	t.Parallel()
	server, _, c := newCalls(t)
	under := c.occupy(server)
	for i := range 3 {
		c.call("a", fmt.Sprint("later", i))
		c.waiting("a", i+1)
	}
	c.call("b", "other")
	other := <-server
	if got := other.args(); !slices.Equal(got, []any{"other"}) {
		t.Errorf("a run of b has %v", got)
	}
	other.serve()
	under[0].serve()
	shared := <-server
	if got := shared.args(); !slices.Equal(got, []any{"later0", "later1", "later2"}) {
		t.Errorf("the run that is shared has %v", got)
	}
	if got := shared.cmd.Args()[3]; got != "common" {
		t.Errorf("its first key is %v", got)
	}
	if got := *shared.cmd.Args()[5].(*string); got != "key of later1" {
		t.Errorf("its third key is %v", got)
	}
	shared.serve()
	for _, s := range under[1:] {
		s.serve()
	}
	c.allWell()
}

func TestARunIsBounded(t *testing.T) {
	t.Parallel()
	server, _, c := newCalls(t)
	under := c.occupy(server)
	for i := range largest + 1 {
		c.call("a", fmt.Sprint("later", i))
	}
	c.waiting("a", largest+1)
	under[0].serve()
	full := <-server
	if n := len(full.args()); n != largest {
		t.Errorf("%d calls in one run", n)
	}
	full.serve()
	rest := <-server
	if n := len(rest.args()); n != 1 {
		t.Errorf("%d calls in the next", n)
	}
	rest.serve()
	under[1].serve()
	c.all.Wait()
}

func TestARunIsBoundedByItsKeysToo(t *testing.T) {
	t.Parallel()
	server, _, c := newCalls(t)
	many := make([]string, mostKeys/3)
	under := c.occupy(server, many...)
	for i := range 3 {
		c.call("a", fmt.Sprint("later", i), many...)
		c.waiting("a", i+1)
	}
	under[0].serve()
	for _, want := range []int{2, 1} {
		s := <-server
		if n := len(s.args()); n != want {
			t.Errorf("%d calls in one run, want %d", n, want)
		}
		s.serve()
	}
	under[1].serve()
	c.all.Wait()
}

// A run that failed has failed for all in it, since the script may have run; who
// waits for the next is served by it.
func TestAFailureIsOfItsOwnRunAlone(t *testing.T) {
	t.Parallel()
	server, _, c := newCalls(t)
	under := c.occupy(server)
	c.call("a", "later")
	c.waiting("a", 1)
	under[0].fail(errors.New("the connection broke"))
	next := <-server
	next.serve()
	under[1].serve()
	c.all.Wait()
	if err := c.ends["first0"]; !errors.Is(err, ErrAway) || errors.Is(err, ErrUnsent) {
		t.Errorf("the failed: %v", err)
	}
	if c.ends["later"] != nil || c.ends["first1"] != nil {
		t.Errorf("the others: %v", c.ends)
	}
}

// Who has waited for a server that did not answer in time does not wait as long
// again, and nothing was sent for them.
func TestNobodyWaitsTwiceForASilentServer(t *testing.T) {
	t.Parallel()
	server, set, c := newCalls(t)
	under := c.occupy(server)
	for i := range 5 {
		c.call("a", fmt.Sprint("later", i))
	}
	c.waiting("a", 5)
	under[0].fail(context.DeadlineExceeded)
	under[1].fail(context.DeadlineExceeded)
	c.all.Wait()
	for i := range 5 {
		if err := c.ends[fmt.Sprint("later", i)]; !errors.Is(err, ErrUnsent) {
			t.Errorf("who waited: %v", err)
		}
	}
	if err := c.ends["first0"]; !errors.Is(err, ErrAway) || errors.Is(err, ErrUnsent) {
		t.Errorf("who was sent: %v", err)
	}
	if !set.first.Down() {
		t.Error("the shard does not count as down")
	}
	// They count as so many that were not answered: nobody asks for a while.
	if _, _, err := c.joint.Run(t.Context(), c.shard, "a", nil, nil); !errors.Is(err, ErrUnsent) {
		t.Errorf("afterwards: %v", err)
	}
}

// An answer of another length belongs to nobody.
func TestAnAnswerThatDoesNotFitIsNobodys(t *testing.T) {
	t.Parallel()
	server, _, c := newCalls(t)
	c.call("a", "one")
	s := <-server
	s.cmd.SetVal([]any{"to all", "one", "another"})
	s.answer <- nil
	c.all.Wait()
	if !errors.Is(c.ends["one"], ErrOddAnswer) {
		t.Errorf("it ends with %v", c.ends["one"])
	}
}

// A script that the server does not know has not run, and is sent whole.
func TestAJointScriptIsLoaded(t *testing.T) {
	t.Parallel()
	server, _, c := newCalls(t)
	c.call("a", "one")
	s := <-server
	s.fail(noScript{})
	s = <-server
	if args := s.cmd.Args(); args[0] != "eval" || args[1] != "the script" {
		t.Errorf("sent then: %v", args[:2])
	}
	s.serve()
	c.all.Wait()
	if err := c.ends["one"]; err != nil {
		t.Error(err)
	}
}

type noScript struct{}

func (noScript) Error() string { return "NOSCRIPT No matching script." }
func (noScript) RedisError()   {}
