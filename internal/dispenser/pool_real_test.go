//go:build real

package dispenser_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/health"
	"farebox/internal/testredis"
)

func realHouse(t *testing.T, server *testredis.Server) *house {
	return newHouse(t, server.URL, server.Client(), server.Kill)
}

// at has a dispenser talk to another address than the house's Redis.
func (h *house) at(url string) func(*options) {
	return func(cfg *options) { cfg.Redis = connect(h.t, url) }
}

// handOut has so many tokens of the pool handed out.
func (h *house) handOut(d *dispenser.Dispenser, n int) map[string]bool {
	h.t.Helper()
	handedOut := map[string]bool{}
	for range n {
		g := must(h.t, d, request("ada", ""))
		if g.Source != dispenser.SourcePool {
			h.t.Errorf("source = %s", g.Source)
		}
		handedOut[g.Token.Reveal()] = true
	}
	return handedOut
}

// wantNoneRevived asks for more tokens than the pool came back with: none may
// be out of it, though it is there.
func (h *house) wantNoneRevived(d *dispenser.Dispenser, there *house, handedOut map[string]bool) {
	h.t.Helper()
	revived := there.pooled()
	if revived != 3 {
		h.t.Fatalf("%d tokens of 3 came back, so this shows nothing", revived)
	}
	for range revived + 1 {
		g := must(h.t, d, request("bob", ""))
		if g.Source != dispenser.SourceMint || handedOut[g.Token.Reveal()] {
			h.t.Errorf("a token of another life was handed out again: source %s", g.Source)
		}
	}
	if n := there.pooled(); n != 0 {
		h.t.Errorf("%d revived tokens are kept", n)
	}
}

func TestASnapshotRevivesNoTokenThatWasHandedOut(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	h := realHouse(t, server)
	h.filled(3)
	if err := h.redis.Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	handedOut := h.handOut(h.open(h.withPool(0, 3)), 3)
	server.Kill()
	server.Launch()
	h.wantNoneRevived(h.open(h.withPool(0, 3)), h, handedOut)
}

func TestAPromotionRevivesNoTokenThatWasHandedOut(t *testing.T) {
	t.Parallel()
	primary, replica := testredis.Start(t), testredis.Start(t)
	h := realHouse(t, primary)
	replica.Follow(primary) // the first replica gives the primary another identity
	h.filled(3)
	// The replica has the pool as it is now, and hears of nothing further: it
	// lags, and is promoted so.
	replica.Follow(primary)
	replica.Promote()
	handedOut := h.handOut(h.open(h.withPool(0, 3)), 2)
	promoted := h.open(h.withPool(0, 3), h.at(replica.URL))
	there := realHouse(t, replica)
	h.wantNoneRevived(promoted, there, handedOut)
	// Back again, without a restart: the first primary follows, lags and is
	// promoted once more.
	fill := h.open(h.withPool(3, 3), h.at(replica.URL))
	stop := h.run(fill)
	there.eventually("the pool is filled", func() bool { return there.pooled() == 3 })
	stop()
	primary.Follow(replica)
	primary.Promote()
	h.wantNoneRevived(h.open(h.withPool(0, 3)), h, there.handOut(promoted, 1))
}

// The server gets its role back without a restart, so it is the same process;
// meanwhile nobody has touched the pool on the other.
func TestARoleThatComesBackRevivesNoTokenThatWasHandedOut(t *testing.T) {
	t.Parallel()
	server, other := testredis.Start(t), testredis.Start(t)
	h := realHouse(t, server)
	other.Follow(server)
	h.filled(3)
	other.Follow(server)
	other.Promote()
	handedOut := h.handOut(h.open(h.withPool(0, 3)), 3)
	server.Follow(other)
	server.Promote()
	h.wantNoneRevived(h.open(h.withPool(0, 3)), h, handedOut)
}

func TestReservationsWhoseAnswerWasLostAreGivenUp(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	h := realHouse(t, server)
	h.filled(1) // and the scripts are known
	line := server.Proxy(t)
	line.Lose(1)
	h.run(h.open(h.withPool(3, 3), h.at(line.URL), func(cfg *options) { cfg.RequestTimeout = time.Hour }))
	lost := line.Lost()
	h.eventually("answers are lost, of several rounds in a row", func() bool {
		return len(h.keys("m:")) == 3 && line.Lost() >= lost+3*3 // of each type
	})
	line.Lose(0)
	h.eventually("the pool is filled all the same", func() bool { return h.pooled() == 3 })
}

func TestWithoutTheRightToAskWhoRedisIsThereIsNoPool(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	h := realHouse(t, server)
	h.filled(2)
	if err := h.redis.Do(t.Context(), "ACL", "SETUSER", "farebox", "on", ">secret", "~*", "+@all", "-info", "-@dangerous").Err(); err != nil {
		t.Fatal(err)
	}
	d := h.open(h.withPool(2, 2), h.at(strings.Replace(server.URL, "unix://", "unix://farebox:secret@", 1)))
	h.run(d)
	h.eventually("the pool is said to be off", func() bool { return h.board.Report().Dependencies["pool"].State == health.StateDown })
	for range 3 {
		if g := must(t, d, request("ada", "")); g.Source != dispenser.SourceMint || len(g.Limits) == 0 {
			t.Errorf("source = %s", g.Source)
		}
	}
	if state := h.board.Report().Dependencies["redis"].State; state != health.StateUp {
		t.Errorf("redis is %s", state)
	}
	if h.pooled() != 2 {
		t.Errorf("%d of 2 are left", h.pooled())
	}
}

// With every reply lost after its command ran, a second sending would show in
// what the server has run.
func TestNoCommandThatWritesIsSentTwice(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	h := realHouse(t, server)
	line := server.Proxy(t)
	d := h.open(h.withPool(0, 5), h.at(line.URL))
	must(t, d, request("ada", "")) // the scripts are known
	h.filled(2)
	before, lost := server.Calls(), line.Lost()
	line.Lose(1)
	g := must(t, d, request("bob", "")) // claim and take, then alone: remember
	line.Lose(0)
	if g.Source != dispenser.SourceMint {
		t.Errorf("source = %s", g.Source)
	}
	if sent, seen := server.Calls()-before, line.Lost()-lost; sent != 2 || seen != 2 {
		t.Errorf("%d commands ran for 2, %d replies were lost", sent, seen)
	}
	if n := h.pooled(); n != 1 {
		t.Errorf("%d of 2 are left: a take whose reply was lost counts as handed out, once", n)
	}
}

func TestARedisThatIsAwayIsNotAskedByEveryRequest(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	h := realHouse(t, server)
	line := server.Proxy(t)
	d := h.open(h.at(line.URL))
	must(t, d, request("ada", ""))
	line.Lose(1)
	began, lost := time.Now(), line.Lost()
	for i := range 100 {
		must(t, d, request(fmt.Sprint("user", i), ""))
	}
	// Three failures open the breaker, and one trial a second follows.
	if n, most := line.Lost()-lost, 3+1+int(time.Since(began)/time.Second); n > most {
		t.Errorf("%d commands to a Redis that is away, at most %d", n, most)
	}
}

func TestAClaimWhoseReplyWasLostHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	h := realHouse(t, server)
	line := server.Proxy(t)
	d := h.open(h.at(line.URL))
	must(t, d, request("ada", ""))
	line.Lose(1)
	must(t, d, request("ada", "k"))
	line.Lose(0)
	short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := h.open().Dispense(short, request("ada", "k")); err != nil {
		t.Errorf("the next try: %v", err)
	}
}

func TestARepeatedTokenIsKnownWithoutRedisToo(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	h := realHouse(t, server)
	h.vendor.answer = func(int) (string, error) { return "the same", nil }
	d := h.open()
	server.Kill()
	must(t, d, request("ada", ""))
	if _, err := d.Dispense(t.Context(), request("bob", "")); !errors.Is(err, dispenser.ErrRepeatedToken) {
		t.Errorf("error = %v", err)
	}
	// Once Redis is back, the other replicas know of it.
	server.Launch()
	h.run(d)
	h.eventually("redis is told", func() bool { return len(h.keys("t:")) == 1 })
	if _, err := h.open().Dispense(t.Context(), request("carol", "")); !errors.Is(err, dispenser.ErrRepeatedToken) {
		t.Errorf("another replica: %v", err)
	}
}

// How long an answer of Redis was on its way is no part of a token's life.
func TestALateAnswerOfRedisMakesNoTokenYounger(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	line := server.Proxy(t)
	h := realHouse(t, server)
	h.url = line.URL
	d := h.filled(1)
	filled := time.Now()
	line.Delay(500 * time.Millisecond)
	pooled := must(t, d, request("ada", "k"))
	if pooled.Source != dispenser.SourcePool {
		t.Fatalf("source = %s", pooled.Source)
	}
	replayed := must(t, d, request("ada", "k"))
	for name, g := range map[string]dispenser.Grant{"out of the pool": pooled, "replayed": replayed} {
		if g.ExpiresAt.After(filled.Add(15 * time.Minute)) {
			t.Errorf("%s it is told to live %v longer than the vendor lets it", name, g.ExpiresAt.Sub(filled.Add(15*time.Minute)))
		}
	}
}
