//go:build real

package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/history"
	vendorclient "farebox/vendor_client"

	"go.uber.org/goleak"
)

var soakFor = flag.Duration("soak", 8*time.Second, "how long faults go on in the soak")

// A soak lets callers ask, and ask again where an answer was lost, while one
// fault after the other is brought about and mended, at Redis in each of its
// forms, at the vendor and at farebox itself. In the end it judges the history
// of all that was given, and prints it in figures. It is alone in its process'
// goroutines, so it does not run beside other tests.
func TestSoak(t *testing.T) {
	const longest = 40 * time.Second // with one form of Redis
	before, goroutines := goleak.IgnoreCurrent(), runtime.NumGoroutine()
	forms := []func(*testing.T) *stage{pairStage, clusterStage, sentinelStage}
	written := history.New(history.Config{TokenLifetime: soakTimes.token, MinimumLife: dispenser.MinimumLife})
	end := time.Now().Add(*soakFor)
	for i := 0; time.Now().Before(end); i++ {
		t.Run(fmt.Sprint("round ", i+1), func(t *testing.T) {
			rest := time.Until(end)
			newSoak(t, forms[i%len(forms)](t), written).run(min(rest, longest))
		})
	}
	summary := written.Summary()
	for _, v := range written.Violations() {
		if v.Rule == history.Repeated && summary.Faults[blind] > 0 {
			t.Log(v) // nobody could be asked whether another replica had it
			continue
		}
		t.Error(v)
	}
	leaks := findLeaks(before)
	t.Logf("\n%sgoroutines   %d before, %d after", summary, goroutines, runtime.NumGoroutine())
	if leaks != nil {
		t.Error(leaks)
	}
	if len(summary.Faults) < fewestFaults || summary.Granted[history.Pool] < 10 || summary.Granted[history.Replay] < 3 {
		t.Error("too little happened to show anything")
	}
}

// fewestFaults is how many there are in a round, however slow the machine.
const fewestFaults = 4

// blind is a vendor that repeated tokens while a call to Redis failed, which a
// busy machine may bring about.
const blind = "vendor repeating, redis away"

// findLeaks finds goroutines that do not end. Those of a cache end when it is
// collected.
func findLeaks(before goleak.Option) (leaks error) {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		runtime.GC()
		if leaks = goleak.Find(before); leaks == nil {
			return nil
		}
	}
	return leaks
}

// soakTimes leave a token handed out its five minutes and nothing more, so that
// one that is too old is seen soon.
var soakTimes = lifetimes{
	token: dispenser.MinimumLife + soakPool.MaxAge + 10*time.Second, replay: 10 * time.Second,
	request: 2 * time.Second, mint: time.Second,
}

var soakPool = dispenser.Pool{Min: 12, Max: 60, MaxAge: 3 * time.Second}

// soak is one round: a form of Redis with replicas at it.
type soak struct {
	t        *testing.T
	stage    *stage
	mill     *mill
	written  *history.History
	counters []counter
	deck     map[string]func()
}

// newSoak opens two processes and two replicas with wrong clocks; one of each
// finds Redis at each of the stage's addresses.
func newSoak(t *testing.T, stage *stage, written *history.History) *soak {
	t.Helper()
	s := &soak{t: t, stage: stage, mill: startMill(t, written), written: written}
	h := newHouse(t, s.mill.url, stage.urls[0])
	client := &http.Client{Transport: described(&http.Transport{MaxIdleConnsPerHost: 16})}
	t.Cleanup(client.CloseIdleConnections)
	var fronts []*front
	for i, url := range stage.urls {
		fronts = append(fronts, h.front(client, append(soakTimes.env(soakPool), "REDIS_URL="+url)...))
		ahead := []time.Duration{10 * time.Minute, -10 * time.Minute}[i]
		s.counters = append(s.counters, fronts[i], h.twin(t, url, ahead, soakPool, soakTimes))
	}
	s.deck = map[string]func(){
		"process killed":              func() { fronts[rand.IntN(len(fronts))].kill() },
		"vendor " + string(repeating): s.repeat,
	}
	for _, mood := range []mood{slow, erring, hanging} {
		s.deck["vendor "+string(mood)] = func() {
			s.mill.feel(mood)
			dwell()
			s.mill.feel(well)
		}
	}
	maps.Copy(s.deck, stage.faults)
	return s
}

// repeat has the vendor repeat itself, and notes where Redis could not be asked.
func (s *soak) repeat() {
	failures := func() (n int) {
		for _, c := range s.counters {
			n += c.redisFailures()
		}
		return n
	}
	// Calls of the fault before may still be timing out, and open a breaker that
	// turns others away for a second.
	before := failures()
	for quiet := time.Now(); time.Since(quiet) < 2*time.Second; time.Sleep(20 * time.Millisecond) {
		if n := failures(); n != before {
			before, quiet = n, time.Now()
		}
	}
	s.mill.feel(repeating)
	dwell()
	s.mill.feel(well)
	s.awaitWell("tokens were repeated")
	if failures() > before {
		s.written.Fault(blind, 1)
	}
}

// run has callers ask for so long, while faults come in turn; every one is over
// and everything well before the next.
func (s *soak) run(d time.Duration) {
	s.t.Helper()
	end := time.Now().Add(d)
	ctx, stop := context.WithCancel(s.t.Context())
	var callers sync.WaitGroup
	for i := range 12 {
		callers.Go(func() { s.call(ctx, i) })
	}
	defer callers.Wait()
	defer stop()
	s.awaitWell("the beginning")
	for done := 0; ; {
		kinds := slices.Collect(maps.Keys(s.deck))
		rand.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		for _, kind := range kinds {
			s.deck[kind]()
			s.written.Fault(kind, 1)
			s.awaitWell(kind)
			if done++; done >= fewestFaults && time.Now().After(end) {
				s.written.Fault("reply lost", s.stage.lost())
				return
			}
		}
	}
}

// dwell lets a fault go on for a while.
func dwell() { time.Sleep(300*time.Millisecond + rand.N(time.Second)) }

// awaitWell waits until all replicas say that all is well.
func (s *soak) awaitWell(after string) {
	s.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); slices.ContainsFunc(s.counters, func(c counter) bool { return !ready(c) }); time.Sleep(20 * time.Millisecond) {
		if time.Now().Before(deadline) {
			continue
		}
		for i, c := range s.counters {
			report, err := c.report()
			s.t.Errorf("counter %d: %+v, %v", i, report, err)
		}
		s.t.Fatalf("not all is well a minute after: %s\n%s", after, s.written.Summary())
	}
}

// call is one caller, who is somebody else each time, save that now and then it
// is somebody whom many are.
func (s *soak) call(ctx context.Context, i int) {
	types := vendorclient.TokenTypeNames()
	pace := time.NewTicker(200 * time.Millisecond)
	defer pace.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		w := wish{caller: fmt.Sprintf("%s %d %d", s.t.Name(), i, n), tokenType: types[rand.IntN(len(types))]}
		if n%5 == 0 {
			w.caller = "everybody"
		}
		if n%2 == 0 {
			w.key = fmt.Sprintf("%d-%d", i, n)
		}
		s.insist(ctx, w)
		if n%6 == 0 && w.key != "" {
			s.insist(ctx, w) // the answer was lost, for all that the caller knows
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
		}
	}
}

// insist asks, and with a key again, wherever it may be, until an answer comes.
func (s *soak) insist(ctx context.Context, w wish) {
	for tries := 0; tries < 5 && ctx.Err() == nil; tries++ {
		short, cancel := context.WithTimeout(ctx, soakTimes.request+time.Second)
		err := askInto(short, s.written, s.counters[rand.IntN(len(s.counters))], w)
		cancel()
		if err == nil || w.key == "" {
			return
		}
	}
}
