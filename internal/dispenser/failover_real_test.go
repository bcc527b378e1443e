//go:build real

package dispenser_test

import (
	"fmt"
	"testing"

	"farebox/internal/dispenser"
	"farebox/internal/history"
	"farebox/internal/testredis"
)

// clusterCrowd is a crowd at two replicas on a cluster.
func clusterCrowd(t *testing.T) (*testredis.Cluster, *crowd) {
	cluster := testredis.StartCluster(t, 3)
	h := clusterHouse(t, cluster, "test")
	written := h.written(ordinary())
	open := func() *counter { return h.counter(0, h.withPool(24, 80)) }
	return cluster, h.crowd(written, open(), open())
}

// busy waits until a node has run so many more scripts.
func (c *crowd) busy(node *testredis.Node, n int) {
	c.t.Helper()
	before := node.Line.Calls()
	c.eventually("the node serves", func() bool { return node.Line.Calls() >= before+n })
}

func TestNoTokenGoesToTwoWhileAClusterPromotesALaggingReplica(t *testing.T) {
	t.Parallel()
	cluster, c := clusterCrowd(t)
	slot := cluster.Slot("{test:0}:")
	primary := cluster.Owner(slot)
	replica := cluster.Other(primary)
	c.while(12, func() {
		c.more(40, history.Pool)
		c.lag(primary.Line.Lag, replica.Client(), primary.Client())
		primary.Kill()
		replica.AwaitPrimary()
		cluster.AwaitServing()
		c.busy(replica, 50)
		c.more(40, history.Pool)
		if cluster.Owner(slot) != replica {
			t.Error("another node was promoted")
		}
		c.more(1, history.Replay)
	})
}

func TestNoTokenGoesToTwoWhileSlotsMove(t *testing.T) {
	t.Parallel()
	cluster, c := clusterCrowd(t)
	c.while(12, func() {
		c.more(40, history.Pool)
		for shard := range 8 {
			slot := cluster.Slot(fmt.Sprintf("{test:%d}:", shard))
			to := cluster.AnotherOwner(slot)
			cluster.Move(slot, to)
			c.busy(to, 10)
		}
		c.more(40, history.Pool)
		c.more(1, history.Replay)
	})
}

func TestNoCommandThatWritesIsSentTwiceToACluster(t *testing.T) {
	t.Parallel()
	cluster := testredis.StartCluster(t, 3)
	d := clusterHouse(t, cluster, "test").open()
	users := []string{"ada", "bob", "cy", "dan", "eve", "fay", "gus", "hal"}
	for _, user := range users { // the scripts are known
		must(t, d, request(user, ""))
	}
	lost := func() (n int) {
		for _, node := range cluster.Primaries {
			n += node.Line.Lost()
		}
		return n
	}
	lose := func(share float64) {
		for _, node := range cluster.Primaries {
			node.Line.Lose(share)
		}
	}
	before := cluster.Calls()
	lose(1)
	if g := must(t, d, request("ada", "")); g.Source != dispenser.SourceMint { // claim, then alone: remember
		t.Errorf("source = %s", g.Source)
	}
	lose(0)
	if sent := cluster.Calls() - before; sent != 2 || lost() != 2 {
		t.Errorf("%d commands ran for 2, %d replies were lost", sent, lost())
	}
}

func TestNoTokenGoesToTwoWhileSentinelsPromote(t *testing.T) {
	t.Parallel()
	servers := []*testredis.Server{testredis.StartTCP(t), testredis.StartTCP(t), testredis.StartTCP(t)}
	for _, replica := range servers[1:] {
		replica.Follow(servers[0])
	}
	sentinels := testredis.StartSentinels(t, servers[0], 2)
	h := newHouse(t, sentinels.URL, servers[0].Client(), nil)
	written := h.written(ordinary())
	open := func() *counter { return h.counter(0, h.withPool(10, 50)) }
	c := h.crowd(written, open(), open())
	// A busy sentinel may not answer at once.
	primary := func(but *testredis.Server) (named *testredis.Server) {
		c.eventually("the sentinels name a primary", func() bool {
			address := sentinels.Primary()
			for _, server := range servers {
				if server != but && server.Addr() == address {
					named = server
				}
			}
			return named != nil
		})
		return named
	}
	c.while(6, func() {
		// A second time with the first primary back, as a replica.
		for range 2 {
			c.more(40, history.Pool)
			gone := primary(nil)
			gone.Save()
			c.more(40, history.Pool)
			gone.Kill()
			next := primary(gone)
			next.AwaitPrimary()
			c.more(40, history.Pool)
			gone.Launch()
			gone.Follow(next)
		}
		c.more(1, history.Replay)
	})
}
