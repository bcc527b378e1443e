//go:build real

package e2e_test

import (
	"testing"
	"time"

	"farebox/internal/testredis"
)

// stage is Redis in one of its forms, with what can happen to it.
type stage struct {
	urls   [2]string // at which one half of the replicas finds it, and the other
	faults map[string]func()
	lines  []*testredis.Proxy // on which replies may be lost
}

// lost is how many replies were.
func (s *stage) lost() (n int) {
	for _, line := range s.lines {
		n += line.Lost()
	}
	return n
}

// lose has some replies lost for a while.
func (s *stage) lose() {
	for _, line := range s.lines {
		line.Lose(0.1)
	}
	dwell()
	for _, line := range s.lines {
		line.Lose(0)
	}
}

// pair is a primary and a replica; which is which changes.
type pair struct {
	primary, replica *testredis.Server
	links            map[*testredis.Server]*testredis.Proxy // to a primary, for its replica
	fronts           [2]*testredis.Proxy
}

func pairStage(t *testing.T) *stage {
	t.Helper()
	p := &pair{primary: startRedis(t), replica: startRedis(t)}
	p.links = map[*testredis.Server]*testredis.Proxy{p.primary: p.primary.Link(t), p.replica: p.replica.Link(t)}
	p.fronts = [2]*testredis.Proxy{p.primary.Proxy(t), p.primary.Proxy(t)}
	p.replica.FollowThrough(p.links[p.primary], p.primary)
	s := &stage{urls: [2]string{p.fronts[0].URL, p.fronts[1].URL}, lines: p.fronts[:]}
	s.faults = map[string]func(){
		"replies lost":           s.lose,
		"redis cut off":          func() { p.both(func(line *testredis.Proxy, on bool) { line.Cut(on) }) },
		"redis hanging":          func() { p.both(func(line *testredis.Proxy, on bool) { line.Hold(on) }) },
		"redis slow":             p.slow,
		"redis killed, snapshot": func() { p.restart(p.primary.Save) },
		"redis killed, empty":    func() { p.restart(p.primary.Forget) },
		"fail-over, lagging":     p.failOver,
		"partition":              p.partition,
	}
	return s
}

// both has a fault begin and end on both fronts.
func (p *pair) both(fault func(line *testredis.Proxy, on bool)) {
	for _, on := range []bool{true, false} {
		for _, line := range p.fronts {
			fault(line, on)
		}
		if on {
			dwell()
		}
	}
}

func (p *pair) slow() {
	p.both(func(line *testredis.Proxy, on bool) {
		line.Delay(map[bool]time.Duration{true: 150 * time.Millisecond}[on])
	})
}

func (p *pair) restart(prepare func()) {
	prepare()
	dwell()
	p.primary.Kill()
	p.primary.Launch()
	p.replica.AwaitInStep(p.primary)
}

func (p *pair) swap() { p.primary, p.replica = p.replica, p.primary }

// failOver promotes a replica that lags; the other follows it, through its link.
func (p *pair) failOver() {
	p.links[p.primary].Lag(true)
	dwell()
	p.replica.Promote()
	for _, line := range p.fronts {
		line.Point(p.replica)
	}
	p.links[p.primary].Lag(false)
	p.primary.FollowThrough(p.links[p.replica], p.replica)
	p.swap()
}

// partition has a primary on each side for a while.
func (p *pair) partition() {
	p.links[p.primary].Cut(true)
	p.fronts[1].Point(p.replica)
	p.replica.Promote()
	dwell()
	p.links[p.primary].Cut(false)
	p.primary.FollowThrough(p.links[p.replica], p.replica)
	p.fronts[0].Point(p.replica)
	p.swap()
}

func clusterStage(t *testing.T) *stage {
	t.Helper()
	cluster := testredis.StartCluster(t, 3)
	s := &stage{urls: [2]string{cluster.URL(), cluster.URL()}}
	for _, node := range append(cluster.Primaries, cluster.Replicas...) {
		s.lines = append(s.lines, node.Line)
		searchedToo(t, node.Server)
	}
	shard := func() int { return cluster.Slot("{farebox:0}:") }
	s.faults = map[string]func(){
		"replies lost": s.lose,
		"cluster's primary killed": func() {
			gone := cluster.Owner(shard())
			gone.Line.Lag(true)
			dwell()
			gone.Kill()
			gone.Line.Lag(false)
			other := cluster.Other(gone)
			other.AwaitPrimary()
			cluster.AwaitServing()
			gone.Launch()
			gone.AwaitInStep(other.Server)
		},
		"slot moved": func() { cluster.Move(shard(), cluster.AnotherOwner(shard())) },
	}
	return s
}

func sentinelStage(t *testing.T) *stage {
	t.Helper()
	var servers []*testredis.Server
	for range 3 {
		servers = append(servers, searchedToo(t, testredis.StartTCP(t)))
	}
	for _, replica := range servers[1:] {
		replica.Follow(servers[0])
	}
	sentinels := testredis.StartSentinels(t, servers[0], 2)
	primary := func() *testredis.Server {
		at := sentinels.Primary()
		for _, server := range servers {
			if server.Addr() == at {
				return server
			}
		}
		t.Fatal("the sentinels name nobody")
		return nil
	}
	return &stage{urls: [2]string{sentinels.URL, sentinels.URL}, faults: map[string]func(){
		"sentinel's primary killed": func() {
			gone := primary()
			gone.Save()
			dwell()
			gone.Kill()
			for deadline := time.Now().Add(30 * time.Second); primary() == gone; time.Sleep(20 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("nobody is promoted")
				}
			}
			primary().AwaitPrimary()
			gone.Launch()
			gone.Follow(primary())
		},
	}}
}
