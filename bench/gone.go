package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"farebox/bench/load"
)

const vendorGoneHow = "As point 3, and then the vendor's process is killed, so that connections to it are refused, and is started anew on the same port after a while."

func vendorGone(ctx context.Context, b *bench) ([]row, error) {
	const recovery = 5 * time.Second
	s, replica, err := b.slowStage(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	requests, err := b.signer.requests(b.scale.users, b.scale.users)
	if err != nil {
		return nil, err
	}
	killed := b.scale.cold + b.scale.steady/4
	whole := killed + b.scale.gone + b.scale.after
	c := s.candidate("farebox", requests, replica)
	outcome := make(chan *load.Result, 1)
	began := time.Now()
	go func() { outcome <- load.Open(ctx, c.config(), b.scale.perSecond, whole) }()
	if err := pause(ctx, killed-time.Since(began)); err != nil {
		return nil, err
	}
	ready, err := s.ready(ctx)
	if err != nil {
		return nil, err
	}
	s.vendor.kill()
	gone := time.Since(began)
	if err := pause(ctx, killed+b.scale.gone-time.Since(began)); err != nil {
		return nil, err
	}
	if err := s.vendor.launch(ctx, s.vendor.addr); err != nil {
		return nil, err
	}
	if err := s.vendor.delay(ctx, vendorTakes); err != nil {
		return nil, err
	}
	back := time.Since(began)
	result := <-outcome
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}

	before := result.Between(b.scale.cold, gone-vendorTakes)
	away := result.Between(gone-vendorTakes, back)
	refused := away.Where(func(s load.Sample) bool { return s.Status == http.StatusServiceUnavailable })
	dry := away.Elapsed
	if len(refused.Samples) > 0 {
		dry = refused.Samples[0].Sent - gone
	}
	other := result.Where(func(s load.Sample) bool {
		return s.Status != http.StatusOK && s.Status != http.StatusServiceUnavailable
	})
	served := away.Where(func(s load.Sample) bool { return s.Status == http.StatusOK })
	again := result.Between(back+min(recovery, b.scale.after/2), whole)
	restored := lastTrouble(result, back, vendorTakes/20) - back
	return []row{
		information("before: 99th percentile, ms", fmt.Sprintf("%.2f", milliseconds(before.Percentile(99)))),
		information("ready when the vendor went, of all types", fmt.Sprint(ready)),
		information("served without the vendor; first refusal after, seconds", fmt.Sprintf("%d; %.2f", served.OK(), dry.Seconds())),
		information("served without the vendor: 99th percentile, ms", fmt.Sprintf("%.2f", milliseconds(served.Percentile(99)))),
		information("refused", fmt.Sprint(len(refused.Samples))),
		atMost("refusals, 99th percentile, ms", spread{milliseconds(refused.Percentile(99))}, "%.2f", 5),
		information("refusals, the slowest, ms", fmt.Sprintf("%.2f", milliseconds(refused.Percentile(100)))),
		none("answered neither with a token nor with 503", len(other.Samples)),
		none("tokens handed out twice", result.Repeated),
		none(fmt.Sprintf("not served later than %s after the vendor's return", recovery), len(again.Samples)-again.OK()),
		atMost(fmt.Sprintf("99th percentile later than %s after its return, ms (1/20 of the vendor's time)", recovery),
			spread{milliseconds(again.Percentile(99))}, "%.2f", milliseconds(vendorTakes/20)),
		information("the last request that was refused or slower than that, seconds after its return", fmt.Sprintf("%.2f", max(restored, 0).Seconds())),
	}, nil
}

// lastTrouble is when the last request was to be sent that was not served within
// d, of those from a moment on.
func lastTrouble(r *load.Result, from, d time.Duration) time.Duration {
	last := from
	for _, s := range r.Samples {
		if s.Sent >= from && (s.Status != http.StatusOK || s.Took > d) {
			last = s.Sent
		}
	}
	return last
}
