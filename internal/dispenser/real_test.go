//go:build real

package dispenser_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/health"
	"farebox/internal/limit"
	"farebox/internal/testredis"

	"github.com/redis/go-redis/v9"
)

func TestDispenserWithARealRedis(t *testing.T) {
	t.Parallel()
	suite(t, "", nil, func(t *testing.T) *house { return realHouse(t, testredis.Start(t)) })
}

// The server's own clock counts in microseconds here, which is where Lua's
// numbers would lose digits.
func TestTheRateIsExactWithARealRedis(t *testing.T) {
	t.Parallel()
	h := realHouse(t, testredis.Start(t))
	d := h.open()
	r := request("ada", "")
	r.Limits = limit.Limits{PerUser: limit.Rate{Count: 3, Period: 300 * time.Millisecond}}
	passed, start := 0, time.Now()
	for time.Since(start) < 1500*time.Millisecond {
		_, err := d.Dispense(t.Context(), r)
		var over *dispenser.LimitError
		switch {
		case err == nil:
			passed++
		case errors.As(err, &over):
			time.Sleep(over.RetryAfter)
		default:
			t.Fatal(err)
		}
	}
	most := 3 + int(time.Since(start)/(100*time.Millisecond))
	if passed > most || passed < 4 {
		t.Errorf("%d passed in %v, at most %d may", passed, time.Since(start), most)
	}
}

func TestARedisThatLosesItsScriptsIsServedOn(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	h := realHouse(t, server)
	d := h.open()
	must(t, d, request("ada", "k"))
	if err := h.redis.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if g := must(t, d, request("ada", "k")); g.Source != dispenser.SourceReplay {
		t.Errorf("source = %s", g.Source)
	}
	server.Kill()
	if g := must(t, d, request("ada", "k")); g.Source != dispenser.SourceMint {
		t.Errorf("without redis: source = %s", g.Source)
	}
	server.Launch()
	go d.Run(t.Context())
	h.eventually("redis is up again", func() bool { return h.board.Report().Dependencies["redis"].State == health.StateUp })
	first := must(t, d, request("ada", "after"))
	if g := must(t, d, request("ada", "after")); g.Token.Reveal() != first.Token.Reveal() {
		t.Error("replay does not work after the restart")
	}
}

func TestASlowRedisCountsAsAway(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	h := realHouse(t, server)
	d := h.open(func(cfg *options) { cfg.RedisTimeout = 0 })
	must(t, d, request("ada", ""))
	// A script that runs on keeps the server from answering anybody.
	busy := server.Client()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = busy.Process(context.Background(), redis.NewCmd(context.Background(), "eval",
			"local t = redis.call('TIME')[1] while redis.call('TIME')[1] - t < 3 do end", 0))
	}()
	h.eventually("redis is seen down", func() bool {
		must(t, d, request(fmt.Sprint(time.Now().UnixNano()), ""))
		return h.board.Report().Dependencies["redis"].State == health.StateDown
	})
	<-ended
	go d.Run(t.Context())
	h.eventually("redis is up again", func() bool { return h.board.Report().Dependencies["redis"].State == health.StateUp })
}
