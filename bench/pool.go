package main

import (
	"context"
	"fmt"
	"strconv"

	"farebox/bench/load"
)

const fromPoolHow = "A pool is filled, the vendor is then told to refuse, so that nothing is minted meanwhile, and 32 connections take all that is there. " +
	"Sessions were seen before; limits, sealing and audit are on. floor: Echo v4, one script by plain go-redis, the same bytes as an answer."

// spare is what a pool holds beyond what is taken, so that it does not run dry.
const spare = 100

// poolSettings are of a pool that is filled quickly.
func poolSettings(least, most int) []string {
	return []string{
		"FAREBOX_POOL_MIN=" + strconv.Itoa(least), "FAREBOX_POOL_MAX=" + strconv.Itoa(most), "FAREBOX_MINT_CONCURRENCY=256",
	}
}

func fromPool(ctx context.Context, b *bench) ([]row, error) {
	s, err := b.newStage(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer s.close()
	replica, err := s.farebox(ctx, poolSettings(b.scale.pool+spare, b.scale.pool+spare)...)
	if err != nil {
		return nil, err
	}
	floor, err := s.floor(ctx)
	if err != nil {
		return nil, err
	}
	requests, err := b.signer.requests(b.scale.users, b.scale.users)
	if err != nil {
		return nil, err
	}
	ours, theirs := s.candidate("farebox", requests, replica), s.candidate("floor", requests, floor)
	f := map[*candidate]*figures{ours: {}, theirs: {}}
	if err := s.warm(ctx, b.scale.users, ours, theirs); err != nil {
		return nil, err
	}
	if err := rounds(b.scale.rounds, []*candidate{ours, theirs}, func(c *candidate) error {
		return s.takeAll(ctx, c, b.scale.pool+spare, b.scale.pool, f[c])
	}); err != nil {
		return nil, err
	}
	a, z := f[ours], f[theirs]
	return []row{
		information("farebox, requests a second", a.perSecond.show("%.0f")),
		information("floor, requests a second", z.perSecond.show("%.0f")),
		atLeast("farebox over floor, requests a second", a.perSecond.over(z.perSecond), "%.2f", 0.9),
		information("farebox, median and 99th percentile, ms", a.p50.show("%.2f")+"; "+a.p99.show("%.2f")),
		information("floor, median and 99th percentile, ms", z.p50.show("%.2f")+"; "+z.p99.show("%.2f")),
		atMost("farebox over floor, 99th percentile", a.p99.over(z.p99), "%.2f", 1),
		information("CPU a request, us: farebox and its Redis", a.own.show("%.0f")+" and "+a.redis.show("%.0f")),
		information("CPU a request, us: floor and its Redis", z.own.show("%.0f")+" and "+z.redis.show("%.0f")),
		information("farebox over floor, CPU a request with Redis", a.cost().over(z.cost()).show("%.2f")),
	}, nil
}

// warm has every candidate asked so often before it is measured, within what the
// pool holds.
func (s *stage) warm(ctx context.Context, count int, candidates ...*candidate) error {
	for _, c := range candidates {
		if _, err := c.closed(ctx, count, 0); err != nil {
			return fmt.Errorf("warm up: %w", err)
		}
	}
	return nil
}

// takeAll measures a candidate while nothing is minted: count requests to a pool
// that holds ready tokens of each type. Where Redis does not answer in time, as
// on a busy machine, farebox goes on without the pool, which is not what is to be
// measured; the round is then made again.
func (s *stage) takeAll(ctx context.Context, c *candidate, ready, count int, into *figures) error {
	const tries = 3
	var err error
	for range tries {
		if err := s.vendor.behave(ctx); err != nil {
			return err
		}
		if err := s.fill(ctx, ready); err != nil {
			return err
		}
		if err := s.vendor.refuse(ctx); err != nil {
			return err
		}
		err = s.watch(ctx, c, into, func() (*load.Result, error) { return c.closed(ctx, count, 0) })
		if err == nil || ctx.Err() != nil {
			return err
		}
		s.b.repeated++
		s.b.note("once more: %v", err)
	}
	return err
}
