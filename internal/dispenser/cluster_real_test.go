//go:build real

package dispenser_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/health"
	"farebox/internal/limit"
	"farebox/internal/testredis"
)

// oneShardOnly are the suite's tests that hold only where all lies in one place;
// each has its like for a cluster below, or none.
var oneShardOnly = map[string]string{
	"tokens too old are counted":                           "the pool is spread",
	"tokens of another life are counted":                   "the pool is spread",
	"the global limit is everybody's":                      "it is split",
	"redis holds neither tokens nor names":                 "the number of shards has no end",
	"a key gives the pool's token again":                   "the second caller's shard is empty",
	"a token that grew too old is thrown away":             "only where somebody looks",
	"the pools of good keys serve in order":                "the caller's shard has a share alone",
	"a refused key's tokens are out of reach":              "the caller's shard has a share alone",
	"a refused key's answers are not repeated":             "the caller's shard has a share alone",
	"a crashed replica's reservations are given to others": "a shard's share is one token",
}

func TestDispenserWithARedisCluster(t *testing.T) {
	t.Parallel()
	cluster := testredis.StartCluster(t, 3)
	var tests atomic.Int32
	suite(t, "", oneShardOnly, func(t *testing.T) *house { return clusterHouse(t, cluster, fmt.Sprint("test", tests.Add(1))) })
}

// clusterHouse is a house of its own in a cluster that others use too, so it
// loses Redis by losing the connections.
func clusterHouse(t *testing.T, cluster *testredis.Cluster, prefix string) *house {
	h := newHouse(t, cluster.URL(), cluster.Client(), nil)
	h.prefix = prefix
	h.stopRedis = func() {
		for _, conn := range h.conns {
			_ = conn.Close()
		}
	}
	return h
}

// callersOf finds callers of each shard.
func (h *house) callersOf(shards, each int) [][]string {
	callers := make([][]string, shards)
	d := h.open()
	for i := 0; ; i++ {
		name := fmt.Sprint("caller ", i)
		must(h.t, d, request(name, ""))
		for _, key := range h.keys("u:") {
			var shard int
			if _, err := fmt.Sscanf(key, "{"+h.prefix+":%d}", &shard); err != nil {
				h.t.Fatal(err)
			}
			if len(callers[shard]) < each {
				callers[shard] = append(callers[shard], name)
			}
			h.redis.Del(context.Background(), key)
		}
		full := 0
		for _, names := range callers {
			if len(names) == each {
				full++
			}
		}
		if full == shards {
			return callers
		}
	}
}

// On a cluster the global limit is split: it may refuse early, but it never lets
// more pass.
func TestOnAClusterTheGlobalLimitIsSplit(t *testing.T) {
	t.Parallel()
	h := clusterHouse(t, testredis.StartCluster(t, 3), "test")
	replicas := []*dispenser.Dispenser{h.open(), h.open()}
	passed := 0
	for i := range 200 {
		r := request(fmt.Sprint("user", i), "")
		r.Limits.Global = limit.Rate{Count: 24, Period: 24 * time.Hour}
		_, err := replicas[i%2].Dispense(t.Context(), r)
		var over *dispenser.LimitError
		switch {
		case err == nil:
			passed++
		case !errors.As(err, &over) || over.Limit != limit.Global:
			t.Fatal(err)
		}
	}
	if passed != 24 {
		t.Errorf("%d of 24 passed", passed)
	}
}

func TestOnAClusterAnEmptyShardTriesOneOther(t *testing.T) {
	t.Parallel()
	h := clusterHouse(t, testredis.StartCluster(t, 3), "test")
	callers := h.callersOf(8, 1)
	d := h.filled(8) // one in each shard
	minted := h.vendor.count()
	given := map[string]string{}
	for i := range 8 {
		caller, key := callers[0][0], fmt.Sprint("key ", i)
		if i%2 == 0 {
			key = ""
		}
		g := must(t, d, request(caller, key))
		if g.Source != dispenser.SourcePool {
			t.Errorf("request %d: source %s", i, g.Source)
		}
		if other, was := given[g.Token.Reveal()]; was {
			t.Errorf("requests %q and %q got one token", other, key)
		}
		given[g.Token.Reveal()] = key
	}
	if n := h.vendor.count() - minted; n != 0 || h.pooled() != 0 {
		t.Errorf("%d minted, %d left", n, h.pooled())
	}
	for token, key := range given {
		if key == "" {
			continue
		}
		if g := must(t, d, request(callers[0][0], key)); g.Token.Reveal() != token || g.Source != dispenser.SourceReplay {
			t.Errorf("key %q: another token, source %s", key, g.Source)
		}
	}
}

// With one of three primaries away its callers are served without Redis, and
// the others from the pool.
func TestOnAClusterWithoutOnePrimaryTheOthersServe(t *testing.T) {
	t.Parallel()
	cluster := testredis.StartCluster(t, 3)
	h := clusterHouse(t, cluster, "test")
	callers := h.callersOf(8, 1)
	d := h.open(h.withPool(16, 16))
	h.run(d)
	h.eventually("the pool is filled", func() bool { return h.pooled() == 16 })
	lost := cluster.Owner(cluster.Slot("{test:0}:g"))
	// Nobody takes its place, so it is seen how the others do without it.
	for _, replica := range cluster.Replicas {
		replica.Kill()
	}
	lost.Line.Cut(true)
	for shard, names := range callers {
		away := cluster.Owner(cluster.Slot(fmt.Sprintf("{test:%d}:g", shard))) == lost
		g := must(t, d, request(names[0], ""))
		if away != (g.Source == dispenser.SourceMint) {
			t.Errorf("shard %d, away %v: source %s", shard, away, g.Source)
		}
	}
	if state := h.board.Report(); state.Status != health.Degraded || state.Dependencies["redis"].State != health.StateDown {
		t.Errorf("state = %+v", state)
	}
	lost.Line.Cut(false)
	h.eventually("all is well", func() bool {
		state := h.board.Report()
		return state.Dependencies["redis"].State == health.StateUp && state.Dependencies["pool"].State == health.StateUp
	})
	if g := must(t, d, request(callers[0][0], "")); g.Source != dispenser.SourcePool {
		t.Errorf("the shard that is back: source %s", g.Source)
	}
}

// How many shards there are is written down once, and holds for all replicas.
func TestOnAClusterTheNumberOfShardsIsWrittenDown(t *testing.T) {
	t.Parallel()
	h := clusterHouse(t, testredis.StartCluster(t, 3), "test")
	must(t, h.open(), request("ada", ""))
	if n := h.redis.Get(t.Context(), "{test:0}:n").Val(); n != "8" {
		t.Errorf("%q is written down", n)
	}
	// Another version may have begun with another number.
	h.prefix = "older"
	h.redis.Set(t.Context(), "{older:0}:n", 2, 0)
	d := h.open()
	for i := range 50 {
		must(t, d, request(fmt.Sprint("caller ", i), ""))
	}
	shards := map[string]bool{}
	for _, key := range h.keys("u:") {
		shards[strings.SplitN(key, ":u:", 2)[0]] = true
	}
	if len(shards) != 2 {
		t.Errorf("shards %v", shards)
	}
}

func TestAServerIsAskedWhetherItIsACluster(t *testing.T) {
	t.Parallel()
	cluster := testredis.StartCluster(t, 3)
	h := clusterHouse(t, cluster, "test")
	h.url = cluster.Primaries[0].Line.URL
	d := h.open()
	for i := range 20 {
		must(t, d, request(fmt.Sprint("caller ", i), fmt.Sprint("key ", i)))
	}
	if found := h.keys("r:"); len(found) != 20 {
		t.Errorf("%d answers are kept", len(found))
	}
	if state := h.board.Report(); state.Dependencies["redis"].State != health.StateUp {
		t.Errorf("state = %+v", state)
	}
}
