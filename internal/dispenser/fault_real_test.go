//go:build real

package dispenser_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/history"
	"farebox/internal/limit"
	"farebox/internal/testredis"
	vendorclient "farebox/vendor_client"

	"github.com/redis/go-redis/v9"
)

// Replicas behind lines that lose replies after their commands ran, with Redis
// killed and started anew from a snapshot, or empty, meanwhile.
func TestNoTokenGoesToTwoThroughLostRepliesAndRestarts(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	h := realHouse(t, server)
	written := h.written(ordinary())
	h.vendor.delay = 20 * time.Millisecond
	var counters []*counter
	var lines []*testredis.Proxy
	for range 3 {
		line := server.Proxy(t)
		line.Lose(0.02)
		lines = append(lines, line)
		counters = append(counters, h.counter(0, h.withPool(10, 50), h.at(line.URL)))
	}
	c := h.crowd(written, counters...)
	c.while(12, func() {
		for _, withSnapshot := range []bool{true, false, true} {
			c.more(20, history.Pool)
			if withSnapshot {
				server.Save()
				c.more(20, history.Pool) // which the snapshot still has
			} else {
				server.Forget()
			}
			server.Kill()
			server.Launch()
		}
		c.more(20, history.Pool)
		c.more(1, history.Replay)
		c.eventually("replies are lost on every line", func() bool {
			return min(lines[0].Lost(), lines[1].Lost(), lines[2].Lost()) > 0
		})
	})
}

// lag hinders a replica from hearing of its primary, and waits until tokens that
// it still has were handed out.
func (c *crowd) lag(hinder func(bool), replica, primary *redis.Client) {
	c.t.Helper()
	c.eventually("the replica has tokens", func() bool { return len(entries(replica)) >= 3 })
	hinder(true)
	c.eventually("tokens that the replica has are handed out", func() bool {
		there := entries(primary)
		for entry := range entries(replica) {
			if !there[entry] {
				return true
			}
		}
		return false
	})
}

// entries are the pool's of the type that the tests ask for, in all shards.
func entries(client *redis.Client) map[string]bool {
	all := map[string]bool{}
	for _, key := range client.Keys(context.Background(), "{test:*}:p:*:"+string(vendorclient.RealtimeScribe)).Val() {
		for _, entry := range client.LRange(context.Background(), key, 0, -1).Val() {
			all[entry] = true
		}
	}
	return all
}

func TestNoTokenGoesToTwoThroughAFailOverToALaggingReplicaAndBack(t *testing.T) {
	t.Parallel()
	primary, replica := testredis.Start(t), testredis.Start(t)
	there, back := primary.Link(t), replica.Link(t)
	replica.FollowThrough(there, primary)
	front := primary.Proxy(t)
	h := realHouse(t, primary)
	written := h.written(ordinary())
	c := h.crowd(written, h.counter(0, h.withPool(10, 50), h.at(front.URL)), h.counter(0, h.withPool(10, 50), h.at(front.URL)))
	c.while(6, func() {
		c.more(20, history.Pool)
		c.lag(there.Lag, replica.Client(), primary.Client())
		replica.Promote()
		front.Point(replica)
		c.more(20, history.Pool)
		// And back: the first primary follows, lags, and has its role again
		// without a restart.
		there.Lag(false)
		primary.FollowThrough(back, replica)
		c.lag(back.Lag, primary.Client(), replica.Client())
		primary.Promote()
		front.Point(primary)
		c.more(20, history.Pool)
	})
}

// A primary is alive on each side, each with replicas of farebox and with the
// same callers; then one side gives way.
func TestNoTokenGoesToTwoThroughAPartitionThatHeals(t *testing.T) {
	t.Parallel()
	one, two := testredis.Start(t), testredis.Start(t)
	link := one.Link(t)
	two.FollowThrough(link, one)
	here, there := one.Proxy(t), one.Proxy(t)
	h := realHouse(t, one)
	written := h.written(ordinary())
	c := h.crowd(written, h.counter(0, h.withPool(10, 50), h.at(here.URL)), h.counter(0, h.withPool(10, 50), h.at(there.URL)))
	// scripts waits until both sides have served so many requests of late.
	scripts := func(n int) {
		a, b := here.Calls()+n, there.Calls()+n
		c.eventually("both sides serve", func() bool { return here.Calls() >= a && there.Calls() >= b })
		c.more(20, history.Pool)
	}
	c.while(6, func() {
		scripts(30)
		c.lag(link.Cut, two.Client(), one.Client())
		two.Promote()
		there.Point(two)
		scripts(60)
		one.Follow(two)
		here.Point(two)
		scripts(60)
		if written.Granted(history.Replay) == 0 {
			t.Error("nothing was replayed")
		}
	})
}

// Replicas' clocks are minutes apart, tokens live for as short as can be, and
// much of the pool grows too old: each one handed out has its time left by the
// vendor's clock, and limits and replay hold across all.
func TestClocksMinutesApartMakeNoTokenYoungerAndNoLimitWider(t *testing.T) {
	t.Parallel()
	h := realHouse(t, testredis.Start(t))
	const window, mostAge = 3 * time.Second, time.Second
	const lifetime = dispenser.MinimumLife + window + mostAge
	limits := limit.Limits{PerUser: limit.Rate{Count: 5, Period: 500 * time.Millisecond}, Global: limit.Rate{Count: 40, Period: time.Second}}
	written := h.written(history.Config{
		TokenLifetime: lifetime, MinimumLife: dispenser.MinimumLife,
		Steady: &history.Steady{Limits: limits, ReplayWindow: window},
	})
	h.vendor.delay = 20 * time.Millisecond
	var counters []*counter
	for _, ahead := range []time.Duration{-10 * time.Minute, 0, 10 * time.Minute} {
		counters = append(counters, h.counter(ahead, h.withPool(60, 60), func(cfg *options) {
			cfg.TokenLifetime, cfg.ReplayWindow, cfg.Pool.MaxAge = lifetime, window, mostAge
		}))
	}
	c := h.crowd(written, counters...)
	c.limits = limits
	c.while(6, func() {
		c.more(100, history.Pool)
		c.more(20, history.Replay)
		c.eventually("limits are met", func() bool { return written.Refused("limited") > 20 })
	})
	// Far more was made than handed out: the rest grew too old.
	if handedOut := written.Granted(history.Pool) + written.Granted(history.Minted); h.vendor.count() < handedOut+60 {
		t.Errorf("%d minted for %d handed out: nothing grew old", h.vendor.count(), handedOut)
	}
}

// The vendor in each of its moods in turn, and well again after each.
func TestNoTokenGoesToTwoWhateverTheVendorDoes(t *testing.T) {
	t.Parallel()
	h := realHouse(t, testredis.Start(t))
	written := h.written(ordinary())
	brief := func(cfg *options) {
		cfg.RequestTimeout, cfg.MintTimeout = 300*time.Millisecond, 200*time.Millisecond
	}
	c := h.crowd(written, h.counter(0, h.withPool(5, 20), brief), h.counter(0, h.withPool(5, 20), brief))
	mood := func(change func(v *fakeVendor)) {
		h.vendor.mu.Lock()
		defer h.vendor.mu.Unlock()
		h.vendor.delay, h.vendor.gate, h.vendor.answer = 10*time.Millisecond, nil, nil
		change(h.vendor)
	}
	well := func(*fakeVendor) {}
	refused := func(code string) func() {
		return func() {
			before := written.Refused(code)
			c.eventually("refused: "+code, func() bool { return written.Refused(code) > before+10 })
		}
	}
	mood(well)
	c.while(8, func() {
		for _, phase := range []struct {
			change func(v *fakeVendor)
			shown  func()
		}{
			{func(v *fakeVendor) { v.delay = 150 * time.Millisecond }, func() { c.more(20, history.Minted) }},
			{func(v *fakeVendor) {
				v.answer = func(call int) (string, error) {
					return "", &vendorclient.Error{Kind: vendorclient.KindServerError, Status: 500, MayHaveMinted: true}
				}
			}, refused("vendor: " + string(vendorclient.KindServerError))},
			{func(v *fakeVendor) { v.gate = make(chan struct{}) }, refused("vendor: " + string(vendorclient.KindTimeout))},
			// Each token is given three times, to whichever replica asks.
			{func(v *fakeVendor) {
				v.answer = func(call int) (string, error) { return fmt.Sprint("repeated ", call/3), nil }
			}, func() {
				before := written.Summary().Repeats
				c.eventually("tokens are repeated", func() bool { return written.Summary().Repeats > before+30 })
			}},
		} {
			mood(phase.change)
			phase.shown()
			mood(well)
			c.more(20, history.Pool)
		}
	})
}

// What a reply that is lost leaves behind, at each command of a scene in turn.
func TestAReplyLostAtAnyCommandGivesNoTokenToTwo(t *testing.T) {
	t.Parallel()
	commands := playScene(t, 0)
	const least = 20 // claims, settles, releases, remembers, reserves and puts
	if commands < least {
		t.Errorf("%d commands in a scene, want %d", commands, least)
	}
	for nth := range commands {
		t.Run(fmt.Sprint("reply ", nth+1), func(t *testing.T) {
			t.Parallel()
			playScene(t, nth+1)
		})
	}
}

// playScene takes tokens out of the pool and has some minted, with and without
// keys; has mints fail; leaves a caller without patience; replays by another
// replica; and fills the pool. The nth reply, counted from 1, is lost. It
// returns how many there were.
func playScene(t *testing.T, nth int) (commands int) {
	server := testredis.Start(t)
	h := realHouse(t, server)
	written := h.written(ordinary())
	h.filled(3)
	line := server.Proxy(t)
	line.LoseNth(nth)
	d := h.open(h.withPool(3, 5), h.at(line.URL))
	here, there := &counter{dispenser: d}, &counter{dispenser: h.open(h.withPool(0, 5))}
	ask := func(c *counter, who, key string) {
		_, _ = c.ask(t.Context(), written, request(who, key))
	}
	for _, who := range []string{"ada", "bob", "cy", "dan", "eve"} { // the last two find the pool dry
		ask(here, who, map[string]string{"ada": "k", "cy": "k", "dan": "k"}[who])
	}
	h.vendor.fails(&vendorclient.Error{Kind: vendorclient.KindKeyInvalid})
	ask(here, "fay", "k")
	ask(here, "gus", "")
	h.vendor.works()
	h.leaveEarly(here, written, "hal")
	for _, who := range []string{"ada", "cy", "dan", "fay"} {
		ask(there, who, "k")
		ask(here, who, "k")
	}
	h.run(d)
	h.eventually("the pool is filled", func() bool { return h.pooled() >= 3 })
	for i := 0; h.pooled() > 0 || nth > 0 && line.Lost() == 0; i++ {
		ask([]*counter{here, there}[i%2], fmt.Sprint("later ", i), "")
	}
	if nth > 0 && line.Lost() != 1 {
		t.Errorf("%d replies were lost", line.Lost())
	}
	for _, v := range written.Violations() {
		t.Error(v)
	}
	if written.Granted(history.Pool) < 4 || nth == 0 && written.Granted(history.Replay) < 7 {
		t.Errorf("too little happened:\n%s", written.Summary())
	}
	return line.Calls()
}

// leaveEarly has a caller give up while the vendor makes the token.
func (h *house) leaveEarly(c *counter, written *history.History, who string) {
	h.t.Helper()
	gate := make(chan struct{})
	h.vendor.mu.Lock()
	h.vendor.gate = gate
	h.vendor.mu.Unlock()
	ctx, leave := context.WithCancel(h.t.Context())
	ended := make(chan struct{})
	calls := h.vendor.count()
	go func() {
		_, _ = c.ask(ctx, written, request(who, ""))
		close(ended)
	}()
	h.eventually("the vendor is called", func() bool { return h.vendor.count() > calls })
	leave()
	<-ended
	h.vendor.mu.Lock()
	h.vendor.gate = nil
	h.vendor.mu.Unlock()
	close(gate)
}

// A replica that takes writes, by a mistake in its settings, has its primary's
// pool and its primary's replication id.
func TestAWritableReplicaHandsOutNothingOfItsPrimarysPool(t *testing.T) {
	t.Parallel()
	primary, replica := testredis.Start(t), testredis.Start(t, "--replica-read-only", "no")
	replica.Follow(primary)
	h := realHouse(t, primary)
	h.filled(3)
	replica.AwaitInStep(primary)
	there := realHouse(t, replica)
	if there.pooled() != 3 {
		t.Fatalf("%d of 3 tokens came over", there.pooled())
	}
	g := must(t, h.open(h.withPool(0, 3), h.at(replica.URL)), request("ada", ""))
	if g.Source != dispenser.SourceMint {
		t.Errorf("source = %s", g.Source)
	}
}

// A server whose clock was put back has tokens that come from its future: how
// old they are cannot be told.
func TestATokenOfTheFutureIsNotHandedOut(t *testing.T) {
	t.Parallel()
	h := realHouse(t, testredis.Start(t))
	h.filled(1)
	for _, key := range h.keys("p:") {
		entry := h.redis.LIndex(t.Context(), key, 0).Val()
		future := fmt.Sprintf("%s%016d%s", entry[:32], time.Now().Add(time.Hour).UnixMicro(), entry[48:])
		h.redis.LSet(t.Context(), key, 0, future)
	}
	if g := must(t, h.open(h.withPool(0, 1)), request("ada", "")); g.Source != dispenser.SourceMint {
		t.Errorf("source = %s", g.Source)
	}
}
