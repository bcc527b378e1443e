package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// vendorCalls counts what the vendor is asked for.
type vendorCalls struct {
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newVendorCalls(registry *prometheus.Registry, cfg MetricsConfig) vendorCalls {
	buckets := []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	v := vendorCalls{
		calls:    counterVec(registry, "farebox_vendor_calls_total", "Vendor calls, and those that were not made, by what was asked for and how they ended.", "operation", "outcome"),
		duration: histogramVec(registry, "farebox_vendor_duration_seconds", "How long vendor calls took.", buckets, "operation"),
	}
	for _, operation := range cfg.Operations {
		v.calls.WithLabelValues(operation, "ok")
		v.duration.WithLabelValues(operation)
	}
	return v
}

// CallEnded is told how a vendor call ended, and how long it took.
func (v *vendorCalls) CallEnded(ctx context.Context, operation, outcome string, took time.Duration) {
	v.calls.WithLabelValues(operation, outcome).Inc()
	observe(ctx, v.duration.WithLabelValues(operation), took)
}

// NotCalled is told why a call was not made.
func (v *vendorCalls) NotCalled(operation, why string) { v.calls.WithLabelValues(operation, why).Inc() }
