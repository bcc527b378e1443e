package main

import (
	"context"
	"fmt"

	"farebox/bench/load"
)

const sustainedHow = "32 connections ask without a pause, and each token is minted meanwhile by a vendor that takes no time. " +
	"direct: the least Go program without pool or limits. hand-written: Express 5, jsonwebtoken, fetch. The vendor is the sandbox, a process that all share."

func sustained(ctx context.Context, b *bench) ([]row, error) {
	s, err := b.newStage(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer s.close()
	replica, err := s.farebox(ctx, "FAREBOX_MINT_CONCURRENCY=32")
	if err != nil {
		return nil, err
	}
	direct, err := s.direct(ctx)
	if err != nil {
		return nil, err
	}
	express, err := s.handwritten(ctx)
	if err != nil {
		return nil, err
	}
	requests, err := b.signer.requests(b.scale.users, b.scale.users)
	if err != nil {
		return nil, err
	}
	limit := load.Closed(ctx, load.Config{
		Addrs:    []string{s.vendor.addr},
		Requests: inTurn([][]byte{request(path, "xi-api-key: bench")}),
	}, connections, 0, b.scale.lasting)
	if err := limit.Check(); err != nil {
		return nil, fmt.Errorf("the vendor alone: %w", err)
	}
	ours, plain, byHand := s.candidate("farebox", requests, replica), s.candidate("direct", requests, direct), s.candidate("hand-written", requests, express)
	f := map[*candidate]*figures{ours: {}, plain: {}, byHand: {}}
	if err := s.warm(ctx, b.scale.users, ours, plain, byHand); err != nil {
		return nil, err
	}
	if err := rounds(b.scale.rounds, []*candidate{ours, plain, byHand}, func(c *candidate) error {
		return s.watch(ctx, c, f[c], func() (*load.Result, error) { return c.closed(ctx, 0, b.scale.lasting) })
	}); err != nil {
		return nil, err
	}
	rows := []row{information("the vendor alone, requests a second", fmt.Sprintf("%.0f", limit.PerSecond()))}
	for _, c := range []*candidate{ours, plain, byHand} {
		rows = append(rows,
			information(c.name+", requests a second", f[c].perSecond.show("%.0f")),
			information(c.name+", median and 99th percentile, ms", f[c].p50.show("%.2f")+"; "+f[c].p99.show("%.2f")),
			information(c.name+", CPU a request, us: itself, Redis, vendor", f[c].own.show("%.0f")+"; "+f[c].redis.show("%.0f")+"; "+f[c].vendor.show("%.0f")),
		)
	}
	return append(rows,
		atLeast("farebox over direct, requests a second", f[ours].perSecond.over(f[plain].perSecond), "%.2f", 0.9),
		atLeast("farebox over hand-written, requests a second", f[ours].perSecond.over(f[byHand].perSecond), "%.2f", 5),
	), nil
}
