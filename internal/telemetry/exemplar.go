package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// observe notes a duration, and for an example of it the trace that ctx is in,
// where that is kept.
func observe(ctx context.Context, histogram prometheus.Observer, took time.Duration) {
	if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
		if withExample, ok := histogram.(prometheus.ExemplarObserver); ok {
			withExample.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": span.TraceID().String()})
			return
		}
	}
	histogram.Observe(took.Seconds())
}
