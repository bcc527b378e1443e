package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"farebox/bench/load"
)

// connections is from how many the throughput is measured.
const connections = 32

// candidate is a program, or several alike, with what works for it alone.
type candidate struct {
	name     string
	replicas []*process
	requests func(int) []byte
	seen     *load.Seen
}

func (s *stage) candidate(name string, requests [][]byte, replicas ...*process) *candidate {
	return &candidate{name: name, replicas: replicas, requests: inTurn(requests), seen: load.NewSeen()}
}

func (c *candidate) config() load.Config {
	cfg := load.Config{Requests: c.requests, Seen: c.seen}
	for _, p := range c.replicas {
		cfg.Addrs = append(cfg.Addrs, p.addr)
	}
	return cfg
}

// closed and open load the candidate. Whatever is no token of its own is an error.
func (c *candidate) closed(ctx context.Context, count int, lasting time.Duration) (*load.Result, error) {
	return c.checked(ctx, load.Closed(ctx, c.config(), connections, count, lasting))
}

func (c *candidate) open(ctx context.Context, perSecond int, lasting time.Duration) (*load.Result, error) {
	return c.checked(ctx, load.Open(ctx, c.config(), perSecond, lasting))
}

func (c *candidate) checked(ctx context.Context, result *load.Result) (*load.Result, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err := result.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return result, nil
}

// meter counts the processor time of groups of processes.
type meter struct {
	groups [][]*process
	before []time.Duration
}

func newMeter(groups ...[]*process) (*meter, error) {
	m := &meter{groups: groups}
	var err error
	m.before, err = m.read()
	return m, err
}

func (m *meter) read() ([]time.Duration, error) {
	sums := make([]time.Duration, len(m.groups))
	for i, group := range m.groups {
		for _, p := range group {
			cpu, err := p.cpu()
			if err != nil {
				return nil, err
			}
			sums[i] += cpu
		}
	}
	return sums, nil
}

// each is what every group has used since, in microseconds a request.
func (m *meter) each(requests int) ([]float64, error) {
	after, err := m.read()
	if err != nil {
		return nil, err
	}
	each := make([]float64, len(after))
	for i := range after {
		each[i] = microseconds(after[i]-m.before[i]) / float64(requests)
	}
	return each, nil
}

// figures are a candidate's over all rounds.
type figures struct {
	perSecond, p50, p99, p999 spread // latencies in ms
	own, redis, vendor        spread // processor time in us a request
}

func (f *figures) add(r *load.Result, cpu []float64) {
	f.perSecond = append(f.perSecond, r.PerSecond())
	f.p50 = append(f.p50, milliseconds(r.Percentile(50)))
	f.p99 = append(f.p99, milliseconds(r.Percentile(99)))
	f.p999 = append(f.p999, milliseconds(r.Percentile(99.9)))
	f.own, f.redis, f.vendor = append(f.own, cpu[0]), append(f.redis, cpu[1]), append(f.vendor, cpu[2])
}

// cost is the processor time of a request, of the program and of Redis.
func (f *figures) cost() (sum spread) {
	for i := range f.own {
		sum = append(sum, f.own[i]+f.redis[i])
	}
	return sum
}

// watch measures one run of a candidate.
func (s *stage) watch(ctx context.Context, c *candidate, into *figures, run func() (*load.Result, error)) error {
	m, err := newMeter(c.replicas, s.servers, []*process{s.vendor.process})
	if err != nil {
		return err
	}
	profile := s.profile(ctx, c.replicas[0])
	result, err := run()
	if err := errors.Join(err, profile()); err != nil {
		return err
	}
	cpu, err := m.each(len(result.Samples))
	if err != nil {
		return err
	}
	into.add(result, cpu)
	s.b.note("%s: %.0f/s, p50 %.2f ms, p99 %.2f ms, CPU %.0f + Redis %.0f + vendor %.0f us",
		c.name, result.PerSecond(), milliseconds(result.Percentile(50)), milliseconds(result.Percentile(99)), cpu[0], cpu[1], cpu[2])
	return nil
}

// rounds has all candidates measured in turn, every other round from the end, so
// that none is always the first.
func rounds(n int, candidates []*candidate, one func(*candidate) error) error {
	for round := range n {
		order := slices.Clone(candidates)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, c := range order {
			if err := one(c); err != nil {
				return err
			}
		}
	}
	return nil
}
