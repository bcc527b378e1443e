package main

import (
	"context"
	"fmt"
	"time"

	"farebox/bench/load"
)

const slowVendorHow = "The vendor takes 150 ms for a token. Requests come at a fixed rate of 200 a second for a minute, whatever becomes of those before, " +
	"and their times are counted from when they were to be sent. farebox starts with nothing ready; its first seconds stand apart. " +
	"The floor at the same rate, which asks no vendor, shows what the machine itself takes to wake up for a request."

const vendorTakes = 150 * time.Millisecond

// slowStage is a stage with a vendor that takes time, and a farebox that has just
// started.
func (b *bench) slowStage(ctx context.Context) (*stage, *process, error) {
	s, err := b.newStage(ctx, 1)
	if err != nil {
		return nil, nil, err
	}
	err = s.vendor.delay(ctx, vendorTakes)
	var replica *process
	if err == nil {
		// 200 a second at 150 ms each are 30 at once; what is to be kept ready
		// has to be minted beside them.
		replica, err = s.farebox(ctx, "FAREBOX_MINT_CONCURRENCY=64")
	}
	if err != nil {
		s.close()
	}
	return s, replica, err
}

func slowVendor(ctx context.Context, b *bench) ([]row, error) {
	requests, err := b.signer.requests(b.scale.users, b.scale.users)
	if err != nil {
		return nil, err
	}
	ours, byHand, least := &figures{}, &figures{}, &figures{}
	var coldP50, coldP99, settled, mints spread
	for range b.scale.slowRounds {
		err := func() error {
			s, replica, err := b.slowStage(ctx)
			if err != nil {
				return err
			}
			defer s.close()
			c := s.candidate("farebox", requests, replica)
			cold, err := c.open(ctx, b.scale.perSecond, b.scale.cold)
			if err != nil {
				return err
			}
			coldP50 = append(coldP50, milliseconds(cold.Percentile(50)))
			coldP99 = append(coldP99, milliseconds(cold.Percentile(99)))
			settled = append(settled, lastOver(cold, vendorTakes/2).Seconds())
			before, err := s.vendor.calls(ctx)
			if err != nil {
				return err
			}
			if err := s.watch(ctx, c, ours, func() (*load.Result, error) { return c.open(ctx, b.scale.perSecond, b.scale.steady) }); err != nil {
				return err
			}
			after, err := s.vendor.calls(ctx)
			if err != nil {
				return err
			}
			mints = append(mints, float64(after-before)/(b.scale.steady.Seconds()*float64(b.scale.perSecond)))
			s.end(replica)

			express, err := s.handwritten(ctx)
			if err != nil {
				return err
			}
			c = s.candidate("hand-written", requests, express)
			if _, err := c.open(ctx, b.scale.perSecond, b.scale.cold/3); err != nil {
				return err
			}
			if err := s.watch(ctx, c, byHand, func() (*load.Result, error) { return c.open(ctx, b.scale.perSecond, b.scale.steady) }); err != nil {
				return err
			}
			s.end(express)

			floor, err := s.floor(ctx)
			if err != nil {
				return err
			}
			c = s.candidate("floor", requests, floor)
			return s.watch(ctx, c, least, func() (*load.Result, error) { return c.open(ctx, b.scale.perSecond, b.scale.steady/2) })
		}()
		if err != nil {
			return nil, err
		}
	}
	show := func(f *figures) string {
		return f.p50.show("%.2f") + "; " + f.p99.show("%.2f") + "; " + f.p999.show("%.2f")
	}
	return []row{
		information("farebox, median, 99th and 99.9th percentile, ms", show(ours)),
		information("hand-written, median, 99th and 99.9th percentile, ms", show(byHand)),
		information("floor, median, 99th and 99.9th percentile, ms", show(least)),
		information("farebox over floor, 99th percentile", ours.p99.over(least.p99).show("%.2f")),
		atMost("farebox over hand-written, 99th percentile", ours.p99.over(byHand.p99), "%.3f", 1./20),
		atMost("farebox over hand-written, 99.9th percentile", ours.p999.over(byHand.p999), "%.3f", 1./10),
		atMost("mints a token handed out", mints, "%.3f", 1.05),
		information(fmt.Sprintf("cold start, the first %s: median and 99th percentile, ms", b.scale.cold), coldP50.show("%.2f")+"; "+coldP99.show("%.2f")),
		information("cold start: the last request that waited for a mint, after so many seconds", settled.show("%.1f")),
		information("CPU a request, us: farebox and its Redis", ours.own.show("%.0f")+" and "+ours.redis.show("%.0f")),
		information("CPU a request, us: hand-written", byHand.own.show("%.0f")),
	}, nil
}

// lastOver is when the last request was to be sent that took longer than d.
func lastOver(r *load.Result, d time.Duration) (last time.Duration) {
	for _, s := range r.Samples {
		if s.Took > d {
			last = s.Sent
		}
	}
	return last
}
