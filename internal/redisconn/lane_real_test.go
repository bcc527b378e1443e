//go:build real

package redisconn

import (
	"context"
	"strings"
	"testing"
	"time"

	"farebox/internal/lane"
	"farebox/internal/secret"
	"farebox/internal/testredis"

	"github.com/redis/go-redis/v9"
)

const counting = `return redis.call('INCR', KEYS[1])`

// outcome is what became of one command.
type outcome struct {
	value any
	err   error
}

// together sends so many scripts in one batch.
func together(t *testing.T, conn *Conn, n int, script string) []outcome {
	t.Helper()
	l := conn.laneOf("t")
	l.mu.Lock()
	for l.calls.Enter(lane.Abreast) {
	}
	l.mu.Unlock()
	outcomes := make(chan outcome, n)
	for range n {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			cmd := redis.NewCmd(ctx, "eval", script, 1, "{t}:n")
			o := outcome{err: conn.Process(ctx, cmd)}
			if o.err == nil {
				o.value = cmd.Val()
			}
			outcomes <- o
		}()
	}
	l.await(t, n)
	l.leave()
	l.leave()
	var all []outcome
	for range n {
		all = append(all, <-outcomes)
	}
	return all
}

func openAt(t *testing.T, url string, mode Mode) *Conn {
	t.Helper()
	conn, err := Open(Config{URL: secret.New(url), Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// answered are the values that came, each once.
func answered(t *testing.T, all []outcome) map[int64]bool {
	t.Helper()
	values := map[int64]bool{}
	for _, o := range all {
		if o.err != nil {
			continue
		}
		value, _ := o.value.(int64)
		if value == 0 || values[value] {
			t.Errorf("%v was answered, twice or wrongly", o.value)
		}
		values[value] = true
	}
	return values
}

func TestALostReplyInABatchIsNoReasonToSendAnyOfItAgain(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	cluster := testredis.StartCluster(t, 1)
	alone, node := server.Proxy(t), cluster.Primaries[0]
	for name, c := range map[string]struct {
		conn   *Conn
		line   *testredis.Proxy
		server *redis.Client
	}{
		"one server": {openAt(t, alone.URL, Single), alone, server.Client()},
		"a cluster":  {openAt(t, cluster.URL(), Cluster), node.Line, node.Client()},
	} {
		const sent, lost = 6, 3
		if got := answered(t, together(t, c.conn, 2, counting)); len(got) != 2 {
			t.Errorf("%s: %d of 2 were answered", name, len(got))
		}
		c.line.LoseNth(lost)
		got := answered(t, together(t, c.conn, sent, counting))
		// Those before the lost one have their answers, and no other has run twice.
		if !got[3] || !got[4] || len(got) != lost-1 {
			t.Errorf("%s: %v were answered", name, got)
		}
		if n, err := c.server.Get(t.Context(), "{t}:n").Int(); err != nil || n < 2+lost || n > 2+sent {
			t.Errorf("%s: %d ran of %d: %v", name, n, 2+sent, err)
		}
		if got := answered(t, together(t, c.conn, 2, counting)); len(got) != 2 {
			t.Errorf("%s: %d of 2 were answered after it", name, len(got))
		}
	}
}

func TestAnErrorOfOneCommandIsItsOwn(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	conn := openAt(t, server.Proxy(t).URL, Single)
	all := together(t, conn, 5, `local n = redis.call('INCR', KEYS[1]); if n == 1 or n == 3 then return redis.error_reply('OWN fault') end; return n`)
	own := 0
	for _, o := range all {
		if o.err != nil && strings.HasPrefix(o.err.Error(), "OWN ") {
			own++
		}
	}
	if got := answered(t, all); own != 2 || !got[2] || !got[4] || !got[5] {
		t.Errorf("%d errors, and %v", own, got)
	}
}

func TestABrokenConnectionEndsItsWholeBatch(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	line := server.Proxy(t)
	conn := openAt(t, line.URL, Single)
	line.Cut(true)
	for _, o := range together(t, conn, 5, counting) {
		if o.err == nil {
			t.Errorf("%v was answered", o.value)
		}
	}
	line.Cut(false)
	if got := answered(t, together(t, conn, 5, counting)); len(got) != 5 {
		t.Errorf("%d of 5 were answered after it", len(got))
	}
}

func TestABatchFollowsItsSlotAndAPrimaryThatIsNoneAnyMore(t *testing.T) {
	t.Parallel()
	cluster := testredis.StartCluster(t, 2)
	conn := openAt(t, cluster.URL(), Cluster)
	if got := answered(t, together(t, conn, 4, counting)); len(got) != 4 {
		t.Errorf("%d of 4 were answered", len(got))
	}
	slot := cluster.Slot("{t}:n")
	cluster.Move(slot, cluster.AnotherOwner(slot))
	if got := answered(t, together(t, conn, 4, counting)); len(got) != 4 || !got[8] {
		t.Errorf("after the slot moved: %v", got)
	}

	primary, replica := testredis.Start(t), testredis.Start(t)
	replica.FollowThrough(primary.Link(t), primary)
	front := primary.Proxy(t)
	single := openAt(t, front.URL, Single)
	if got := answered(t, together(t, single, 4, counting)); len(got) != 4 {
		t.Errorf("%d of 4 were answered", len(got))
	}
	// The connection leads to a server that takes no writes.
	front.Point(replica)
	for _, o := range together(t, single, 3, counting) {
		if o.err == nil {
			t.Errorf("a replica answered %v", o.value)
		}
	}
	replica.Promote()
	if got := answered(t, together(t, single, 3, counting)); len(got) != 3 {
		t.Errorf("%d of 3 were answered by the new primary", len(got))
	}
}
