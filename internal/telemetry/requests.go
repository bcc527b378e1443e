package telemetry

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// requests counts answers by route.
type requests struct {
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newRequests(registry *prometheus.Registry) requests {
	// A token out of the pool takes a millisecond, a mint hundreds, and none
	// more than the request time-out.
	buckets := []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	return requests{
		total:    counterVec(registry, "farebox_requests_total", "Answers of the public listener, by route and HTTP status.", "route", "code"),
		duration: histogramVec(registry, "farebox_request_duration_seconds", "How long requests took, by route.", buckets, "route"),
	}
}

// Route returns what is to be told of each answer at a route.
func (r *requests) Route(route string) func(ctx context.Context, status int, took time.Duration) {
	label := prometheus.Labels{"route": route}
	total, duration := r.total.MustCurryWith(label), r.duration.With(label)
	ok := total.WithLabelValues("200")
	return func(ctx context.Context, status int, took time.Duration) {
		if status == http.StatusOK {
			ok.Inc()
		} else {
			total.WithLabelValues(strconv.Itoa(status)).Inc()
		}
		observe(ctx, duration, took)
	}
}

// grants counts what was handed out and refused.
type grants struct {
	dispensed pairs
	refused   *prometheus.CounterVec
}

func newGrants(registry *prometheus.Registry, cfg MetricsConfig) grants {
	return grants{
		dispensed: newPairs(counterVec(registry, "farebox_dispensed_total", "What was handed out, by type and where it came from.", "type", "source"),
			cfg.Handed, cfg.Sources),
		refused: counterVec(registry, "farebox_refused_total", "What was refused, by type, the problem's code and whose doing it is.", "type", "reason", "blame"),
	}
}

// Dispensed is told that something was handed out.
func (g *grants) Dispensed(what, source string) { g.dispensed.of(what, source).Inc() }

// Refused is told that something was not; what is "" where it is not known.
func (g *grants) Refused(what, reason, blame string) {
	if what == "" {
		what = "unknown"
	}
	g.refused.WithLabelValues(what, reason, blame).Inc()
}
