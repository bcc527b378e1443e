package testredis

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Cluster is a Redis Cluster of one test, each of whose nodes is talked to
// through a proxy of its own.
type Cluster struct {
	Primaries []*Node
	Replicas  []*Node // as many, in the same order

	t testing.TB
}

// Node is a server of a cluster. Clients and its replica find it by its proxy's
// address; the nodes' talk among themselves goes another way and is left alone.
type Node struct {
	*Server
	Line *Proxy

	id  string
	bus int
}

const clusterSlots = 16384

// StartCluster starts a cluster of so many primaries, each with a replica, and
// waits until it serves. Its nodes miss each other after a second.
func StartCluster(t testing.TB, primaries int) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for range primaries {
		c.Primaries = append(c.Primaries, startNode(t))
		c.Replicas = append(c.Replicas, startNode(t))
	}
	first := c.Primaries[0]
	for i, node := range c.all() {
		node.command("cluster", "set-config-epoch", i+1)
		if node != first {
			first.command("cluster", "meet", "127.0.0.1", node.port, node.bus)
		}
	}
	for i, primary := range c.Primaries {
		primary.command("cluster", "addslotsrange", i*clusterSlots/primaries, (i+1)*clusterSlots/primaries-1)
	}
	for i, replica := range c.Replicas {
		replica.await("the nodes have met", func() bool {
			return strings.Contains(replica.cluster("nodes"), c.Primaries[i].id)
		})
		replica.command("cluster", "replicate", c.Primaries[i].id)
	}
	c.AwaitServing()
	for i, replica := range c.Replicas {
		replica.AwaitInStep(c.Primaries[i].Server)
	}
	return c
}

func startNode(t testing.TB) *Node {
	t.Helper()
	port, bus, line := freePort(t), freePort(t), freePort(t)
	n := &Node{bus: bus, Server: prepare(t, port, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000",
		"--cluster-port", strconv.Itoa(bus), "--cluster-announce-ip", "127.0.0.1",
		"--cluster-announce-port", strconv.Itoa(line), "--cluster-announce-bus-port", strconv.Itoa(bus),
		// A replica that was far behind may be promoted too.
		"--cluster-replica-validity-factor", "0")}
	n.Line = n.link(t, line)
	n.Launch()
	n.id = n.client.ClusterMyID(context.Background()).Val()
	return n
}

func (c *Cluster) all() []*Node { return append(append([]*Node{}, c.Primaries...), c.Replicas...) }

// URL names the primaries.
func (c *Cluster) URL() string {
	url := c.Primaries[0].Line.URL
	for i, node := range c.Primaries[1:] {
		url += []string{"?", "&"}[min(i, 1)] + "addr=" + node.Line.Addr
	}
	return url
}

// Client returns a client of the whole, closed with the test.
func (c *Cluster) Client() *redis.ClusterClient {
	options := &redis.ClusterOptions{}
	for _, node := range c.all() {
		options.Addrs = append(options.Addrs, node.Line.Addr)
	}
	client := redis.NewClusterClient(options)
	c.t.Cleanup(func() { _ = client.Close() })
	return client
}

// Client returns a plain client of this node alone, closed with the test. It
// reads from a replica too.
func (n *Node) Client() *redis.Client {
	client := redis.NewClient(&redis.Options{
		Network: "unix", Addr: n.socket(),
		OnConnect: func(ctx context.Context, conn *redis.Conn) error { return conn.ReadOnly(ctx).Err() },
	})
	n.t.Cleanup(func() { _ = client.Close() })
	return client
}

// AwaitServing waits until every node that runs knows of a primary for every
// slot.
func (c *Cluster) AwaitServing() {
	c.t.Helper()
	for _, node := range c.all() {
		if node.cmd != nil {
			node.await("the cluster serves", func() bool { return strings.Contains(node.cluster("info"), "cluster_state:ok") })
		}
	}
}

// Slot is where a key lies.
func (c *Cluster) Slot(key string) int {
	c.t.Helper()
	for _, node := range c.all() {
		if node.cmd != nil {
			return int(node.client.ClusterKeySlot(context.Background(), key).Val())
		}
	}
	c.t.Fatal("no node runs")
	return 0
}

// Owner is the primary that has a slot.
func (c *Cluster) Owner(slot int) *Node {
	c.t.Helper()
	for _, node := range c.all() {
		if node.cmd != nil && node.owns(slot) {
			return node
		}
	}
	c.t.Fatalf("nobody has slot %d", slot)
	return nil
}

// Other is a primary's replica, or a replica's primary, as it was at first.
func (c *Cluster) Other(node *Node) *Node {
	if i := slices.Index(c.Primaries, node); i >= 0 {
		return c.Replicas[i]
	}
	return c.Primaries[slices.Index(c.Replicas, node)]
}

// AnotherOwner is a node that has slots, and not this one.
func (c *Cluster) AnotherOwner(slot int) *Node {
	c.t.Helper()
	for i := range c.Primaries {
		if node := c.Owner((slot + i*clusterSlots/len(c.Primaries)) % clusterSlots); !node.owns(slot) {
			return node
		}
	}
	c.t.Fatal("one node has all slots")
	return nil
}

// owns reads the node's own line: <id> <address> myself,master … 0-5460 7000 [7001->-…]
func (n *Node) owns(slot int) bool {
	for _, line := range strings.Split(n.cluster("nodes"), "\n") {
		words := strings.Fields(line)
		if len(words) < 9 || !strings.Contains(words[2], "myself,master") {
			continue
		}
		for _, word := range words[8:] {
			from, to, isRange := strings.Cut(word, "-")
			first, err := strconv.Atoi(from)
			last := first
			if isRange {
				last, _ = strconv.Atoi(to)
			}
			if err == nil && first <= slot && slot <= last {
				return true
			}
		}
	}
	return false
}

// Move gives a slot, with the keys in it, to another primary, as an operator
// would while clients go on.
func (c *Cluster) Move(slot int, to *Node) {
	c.t.Helper()
	from := c.Owner(slot)
	to.command("cluster", "setslot", slot, "importing", from.id)
	from.command("cluster", "setslot", slot, "migrating", to.id)
	for {
		keys := from.client.ClusterGetKeysInSlot(context.Background(), slot, 10).Val()
		if len(keys) == 0 {
			break
		}
		words := []any{"migrate", "127.0.0.1", to.port, "", 0, 5000, "keys"}
		for _, key := range keys {
			words = append(words, key)
		}
		from.command(words...)
	}
	to.command("cluster", "setslot", slot, "node", to.id)
	from.command("cluster", "setslot", slot, "node", to.id)
}

// Calls is how many scripts the nodes have run.
func (c *Cluster) Calls() (scripts int) {
	for _, node := range c.all() {
		scripts += node.Server.Calls()
	}
	return scripts
}

func (n *Node) cluster(what string) string {
	text, _ := n.client.Do(context.Background(), "cluster", what).Text()
	return text
}
