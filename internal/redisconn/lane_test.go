package redisconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"farebox/internal/lane"

	"github.com/redis/go-redis/v9"
)

// watcher answers commands in a server's place, when the test lets it, and
// tells how many came together.
type watcher struct {
	came chan int   // 1 for one that came alone
	let  chan error // nil answers
	ends chan error // what became of each context; of size enough
}

func (w *watcher) DialHook(redis.DialHook) redis.DialHook {
	return func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("nothing is dialled") }
}

func (w *watcher) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return w.answer(ctx, 1) }
}

func (w *watcher) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := w.answer(ctx, len(cmds))
		for _, cmd := range cmds {
			cmd.SetErr(err)
		}
		return err
	}
}

func (w *watcher) answer(ctx context.Context, n int) error {
	w.came <- n
	select {
	case err := <-w.let:
		return err
	case <-ctx.Done():
		w.ends <- ctx.Err()
		return ctx.Err()
	}
}

// watched is a lane whose commands the watcher answers.
func watched(t *testing.T) (*slotLane, *watcher) {
	w := &watcher{came: make(chan int), let: make(chan error), ends: make(chan error, 100)}
	client := redis.NewClient(&redis.Options{MaxRetries: noRetries})
	client.AddHook(w)
	t.Cleanup(func() { _ = client.Close() })
	return &slotLane{client: func() redis.UniversalClient { return client }}, w
}

// start sends so many commands, and returns what becomes of them, in the order
// of their ends.
func (l *slotLane) start(ctx context.Context, n int) <-chan error {
	outcomes := make(chan error, n)
	for range n {
		go func() { outcomes <- l.process(ctx, &once{Cmder: redis.NewCmd(ctx, "get", "{s}:k")}) }()
	}
	return outcomes
}

func (l *slotLane) await(t *testing.T, waiting int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		n := l.calls.Waiting()
		l.mu.Unlock()
		switch {
		case n == waiting:
			return
		case time.Now().After(deadline):
			t.Fatalf("%d wait, not %d", n, waiting)
		}
	}
}

func TestCommandsThatComeMeanwhileGoTogether(t *testing.T) {
	t.Parallel()
	l, w := watched(t)
	first := l.start(t.Context(), lane.Abreast)
	for range lane.Abreast {
		if n := <-w.came; n != 1 {
			t.Fatalf("%d came together to a free lane", n)
		}
	}
	rest := l.start(t.Context(), largest+3)
	l.await(t, largest+3)
	w.let <- nil
	if n := <-w.came; n != largest {
		t.Errorf("%d came together, not %d", n, largest)
	}
	w.let <- nil // the other of the first, or the batch: then the next batch
	if n := <-w.came; n != 3 {
		t.Errorf("%d came at last, not 3", n)
	}
	w.let <- nil
	w.let <- nil
	for range lane.Abreast {
		if err := <-first; err != nil {
			t.Error(err)
		}
	}
	for range largest + 3 {
		if err := <-rest; err != nil {
			t.Error(err)
		}
	}
	for range 3 { // and the lane is free again
		alone := l.start(t.Context(), 1)
		if n := <-w.came; n != 1 {
			t.Errorf("%d", n)
		}
		w.let <- nil
		if err := <-alone; err != nil {
			t.Error(err)
		}
	}
}

func TestACallerWhoseTimeIsUpLeavesAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	l, w := watched(t)
	first := l.start(t.Context(), lane.Abreast)
	for range lane.Abreast {
		<-w.came
	}
	// One leaves before its batch is sent, one while it is under way.
	early, leaveEarly := context.WithCancel(t.Context())
	late, leaveLate := context.WithCancel(t.Context())
	gone, going, staying := l.start(early, 1), l.start(late, 1), l.start(t.Context(), 2)
	l.await(t, 4)
	leaveEarly()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("who left early: %v", err)
	}
	w.let <- nil
	if n := <-w.came; n != 3 {
		t.Errorf("%d were sent: who has left is not", n)
	}
	leaveLate()
	if err := <-going; !errors.Is(err, context.Canceled) {
		t.Errorf("who left while it was under way: %v", err)
	}
	w.let <- nil
	w.let <- nil
	for range lane.Abreast {
		if err := <-first; err != nil {
			t.Error(err)
		}
	}
	for range 2 {
		if err := <-staying; err != nil {
			t.Errorf("who stayed: %v", err)
		}
	}
}

func TestABatchMayTakeAsLongAsItsMostPatientCaller(t *testing.T) {
	t.Parallel()
	l, w := watched(t)
	first := l.start(t.Context(), lane.Abreast)
	for range lane.Abreast {
		<-w.came
	}
	within := func(d time.Duration) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		t.Cleanup(cancel)
		return ctx
	}
	short, long := l.start(within(3*time.Second), 1), l.start(within(time.Minute), 1)
	l.await(t, 2)
	w.let <- nil
	if n := <-w.came; n != 2 {
		t.Fatalf("%d were sent", n)
	}
	if err := <-short; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the impatient one: %v", err)
	}
	select {
	case err := <-w.ends:
		t.Errorf("the batch ended with its most impatient caller: %v", err)
	default:
	}
	w.let <- nil
	w.let <- nil
	for range lane.Abreast {
		if err := <-first; err != nil {
			t.Error(err)
		}
	}
	if err := <-long; err != nil {
		t.Errorf("the patient one: %v", err)
	}
}

func TestABatchEndsWithItsLastCaller(t *testing.T) {
	t.Parallel()
	l, w := watched(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	for l.calls.Enter(lane.Abreast) {
	}
	outcomes := l.start(ctx, 2)
	l.await(t, 2)
	l.leave()
	if n := <-w.came; n != 2 {
		t.Fatalf("%d were sent", n)
	}
	if err := <-w.ends; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the batch: %v", err)
	}
	for range 2 {
		if err := <-outcomes; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	}
}

func TestWhatWasAnsweredStaysAnswered(t *testing.T) {
	t.Parallel()
	broken := errors.New("the connection broke")
	for name, c := range map[string]struct{ first, last error }{
		"an answer":      {nil, nil},
		"no such key":    {redis.Nil, redis.Nil},
		"a broken one":   {broken, broken},
		"sent elsewhere": {errors.New("MOVED 1 127.0.0.1:1"), broken},
	} {
		cmd := &once{Cmder: redis.NewCmd(t.Context(), "get", "k")}
		cmd.SetErr(c.first)
		cmd.SetErr(broken)
		if err := cmd.Err(); fmt.Sprint(err) != fmt.Sprint(c.last) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestALaneIsOneSlots(t *testing.T) {
	t.Parallel()
	for want, words := range map[string][]any{
		"farebox:1": {"evalsha", "hash", 1, "{farebox:1}:g", "x"},
		"farebox:2": {"eval", "source", 2, "{farebox:2}:g", "{farebox:2}:h"},
		"farebox:3": {"zrem", "{farebox:3}:m", "x"},
		"":          {"ping"},
	} {
		if got := slotOf(redis.NewCmd(t.Context(), words...)); got != want {
			t.Errorf("%v: %q", words, got)
		}
	}
	for _, words := range [][]any{{"get", "no tag"}, {"get", "{}"}, {"get", 1}, {"evalsha", "hash", 0}, {"get", "late {tag}"}} {
		if got := slotOf(redis.NewCmd(t.Context(), words...)); got != "" {
			t.Errorf("%v: %q", words, got)
		}
	}
}
