package service

import (
	"context"
	"time"

	"farebox/handlers"
	"farebox/internal/config"
	"farebox/internal/dispenser"
	"farebox/internal/health"
	"farebox/internal/telemetry"
	"farebox/session"
	vendorclient "farebox/vendor_client"
)

// Build is which build this is.
type Build struct{ Version, Commit string }

func newMetrics(build Build) *telemetry.Metrics {
	return telemetry.NewMetrics(telemetry.MetricsConfig{
		Version: build.Version, Commit: build.Commit,
		Handed: handlers.Handed(), Sources: dispenser.Sources(),
		Sessions: session.Outcomes(), Operations: vendorclient.Operations(),
		DiscardTypes: dispenser.DiscardTypes(), Discards: dispenser.Discards(),
	})
}

// addGauges adds what is asked each time that the metrics are read: only what
// this replica knows anyway, so that nothing that is away is waited for.
func (s *service) addGauges(cfg *config.Config) {
	m := s.metrics
	up := func(dependency string) func() bool {
		return func() bool { return s.board.Report().Dependencies[dependency].State == health.StateUp }
	}
	m.AddSessionKeysAge(s.keysAge(time.Now()))
	m.AddMintsInFlight(s.vendor.InFlight)
	m.AddRedisUp(up("redis"))
	m.AddKeysUsable(s.ring.Usable)
	m.AddPolicyLoadSuccess(func() bool { return s.policyFile == nil || up("policy")() })
	if cfg.Pool.Max == 0 {
		return
	}
	m.AddPoolFenced(s.dispenser.Fenced)
	for _, t := range vendorclient.TokenTypes() {
		m.AddPool(string(t), func() int { return s.dispenser.Level(t).Ready }, func() int { return s.dispenser.Level(t).Target })
	}
}

// vendorObserver tells metrics and traces of vendor calls.
type vendorObserver struct {
	metrics *telemetry.Metrics
	tracing *telemetry.Tracing // nil where nothing is traced
}

func (o vendorObserver) Call(ctx context.Context, call vendorclient.Call) (context.Context, func(vendorclient.Ending)) {
	began, endSpan := time.Now(), func(string, int) {}
	if o.tracing != nil {
		ctx, endSpan = o.tracing.Call(ctx, call.Method, call.URL)
	}
	return ctx, func(ending vendorclient.Ending) {
		failed := ending.Outcome
		if failed == "ok" {
			failed = ""
		}
		endSpan(failed, ending.Status)
		o.metrics.CallEnded(ctx, call.Operation, ending.Outcome, time.Since(began))
	}
}

func (o vendorObserver) NotCalled(operation, why string) { o.metrics.NotCalled(operation, why) }
