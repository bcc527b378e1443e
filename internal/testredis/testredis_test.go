//go:build real

package testredis_test

import (
	"context"
	"testing"
	"time"

	"farebox/internal/testredis"

	"github.com/redis/go-redis/v9"
)

// patient retries nothing and waits long.
func patient(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	options.MaxRetries, options.ReadTimeout = -1, 30*time.Second
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func count(ctx context.Context, client redis.Scripter) error {
	return client.Eval(ctx, `return redis.call('INCR', KEYS[1])`, []string{"n"}).Err()
}

func TestAProxyLosesTheReplyAfterTheScriptRan(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	for name, proxy := range map[string]*testredis.Proxy{"a socket": server.Proxy(t), "loopback": server.Link(t)} {
		server.Client().Del(t.Context(), "n")
		client := patient(t, proxy.URL)
		proxy.LoseNth(2)
		for i := range 3 {
			if err := count(t.Context(), client); (err != nil) != (i == 1) {
				t.Errorf("%s: script %d: %v", name, i+1, err)
			}
		}
		if ran := server.Client().Get(t.Context(), "n").Val(); ran != "3" || proxy.Lost() != 1 || proxy.Calls() != 3 {
			t.Errorf("%s: %s scripts ran, %d replies of %d were lost", name, ran, proxy.Lost(), proxy.Calls())
		}
	}
}

// All commands come in one piece, and the second's reply is lost: the first's
// is there.
func TestAProxyKnowsEachReplyOfAPipeline(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	proxy := server.Proxy(t)
	client := patient(t, proxy.URL)
	proxy.LoseNth(2)
	replies, err := client.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		p.Set(t.Context(), "big", make([]byte, 1<<20), 0)
		p.Get(t.Context(), "big")
		for range 3 {
			_ = count(t.Context(), p)
		}
		return nil
	})
	if err == nil || proxy.Lost() != 1 {
		t.Fatalf("%d replies lost, error %v", proxy.Lost(), err)
	}
	if big, _ := replies[1].(*redis.StringCmd).Result(); len(big) != 1<<20 {
		t.Errorf("%d bytes came", len(big))
	}
	// The client gives every command the batch's error; the reply itself tells.
	for i, want := range []any{int64(1), nil, nil} {
		if got := replies[2+i].(*redis.Cmd).Val(); got != want {
			t.Errorf("script %d: %v", i+1, got)
		}
	}
	if ran := server.Client().Get(t.Context(), "n").Val(); ran != "3" {
		t.Errorf("%s scripts ran", ran)
	}
}

func TestAProxyCutsHoldsAndPointsElsewhere(t *testing.T) {
	t.Parallel()
	one, two := testredis.Start(t), testredis.Start(t)
	one.Client().Set(t.Context(), "who", "one", 0)
	two.Client().Set(t.Context(), "who", "two", 0)
	proxy := one.Proxy(t)
	client := patient(t, proxy.URL)
	who := func() string { return client.Get(t.Context(), "who").Val() }
	if who() != "one" {
		t.Error("it does not lead to its server")
	}
	proxy.Cut(true)
	if who() != "" {
		t.Error("a cut line carries on")
	}
	proxy.Cut(false)
	proxy.Point(two)
	if who() != "two" {
		t.Error("it does not lead elsewhere")
	}
	proxy.Hold(true)
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	answered := make(chan string)
	go func() { answered <- who() }()
	select {
	case name := <-answered:
		t.Errorf("a held line answered %q", name)
	case <-short.Done():
	}
	proxy.Hold(false)
	if name := <-answered; name != "two" {
		t.Errorf("after the hold: %q", name)
	}
}

func TestAReplicaLagsWhileItsPrimaryServes(t *testing.T) {
	t.Parallel()
	primary, replica := testredis.Start(t), testredis.Start(t)
	link := primary.Link(t)
	replica.FollowThrough(link, primary)
	link.Lag(true)
	if err := patient(t, link.URL).Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	replica.Promote()
	if there := replica.Client().Exists(t.Context(), "k").Val(); there != 0 {
		t.Error("it has what came since it lags")
	}
	link.Lag(false)
	primary.Follow(replica)
	if there := primary.Client().Exists(t.Context(), "k").Val(); there != 0 {
		t.Error("who follows now has kept what it had")
	}
}

func TestARestartBeginsWithTheSnapshotOrEmpty(t *testing.T) {
	t.Parallel()
	server := testredis.StartTCP(t)
	client := patient(t, "redis://"+server.Addr())
	client.Set(t.Context(), "k", "v", 0)
	server.Save()
	client.Set(t.Context(), "later", "v", 0)
	server.Kill()
	server.Launch()
	if n := client.Exists(t.Context(), "k", "later").Val(); n != 1 {
		t.Errorf("%d of the one key that was saved", n)
	}
	server.Kill()
	server.Forget()
	server.Launch()
	if n := client.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys after an empty start", n)
	}
}

func TestAClusterPromotesAndMoves(t *testing.T) {
	t.Parallel()
	c := testredis.StartCluster(t, 3)
	client := c.Client()
	slot := c.Slot("k")
	if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	from := c.Owner(slot)
	var to *testredis.Node
	for _, node := range c.Primaries {
		if node != from {
			to = node
		}
	}
	c.Move(slot, to)
	if c.Owner(slot) != to || client.Get(t.Context(), "k").Val() != "v" {
		t.Error("the slot did not move with its keys")
	}
	for i, primary := range c.Primaries {
		if primary == to {
			c.Replicas[i].AwaitInStep(primary.Server)
			primary.Kill()
			c.Replicas[i].AwaitPrimary()
			c.AwaitServing()
			if c.Owner(slot) != c.Replicas[i] {
				t.Error("another node has the slot")
			}
			primary.Launch()
		}
	}
	if got := client.Get(t.Context(), "k").Val(); got != "v" {
		t.Errorf("%q after the promotion", got)
	}
}

func TestSentinelsPromoteAReplica(t *testing.T) {
	t.Parallel()
	primary, a, b := testredis.StartTCP(t), testredis.StartTCP(t), testredis.StartTCP(t)
	a.Follow(primary)
	b.Follow(primary)
	s := testredis.StartSentinels(t, primary, 2)
	if s.Primary() != primary.Addr() {
		t.Errorf("the primary is at %s", s.Primary())
	}
	primary.Kill()
	for deadline := time.Now().Add(30 * time.Second); s.Primary() == primary.Addr(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody is promoted")
		}
	}
	if at := s.Primary(); at != a.Addr() && at != b.Addr() {
		t.Errorf("the primary is at %s", at)
	}
}
