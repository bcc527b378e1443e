package telemetry

import (
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// MetricsConfig is what metrics are labelled with from the start, so that a
// series is there before its first event: what alerts ask of is never missing.
type MetricsConfig struct {
	Version, Commit string
	Handed          []string // what is handed out
	Sources         []string // where it comes from
	Sessions        []string // how verifications end
	Operations      []string // what the vendor is asked for
	DiscardTypes    []string // what may be thrown away
	Discards        []string // why
}

// Metrics is what Prometheus reads, in a registry of its own. What is told on
// the way of a request costs an atomic addition or two; the rest is asked when
// it is read. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	requests
	grants
	vendorCalls
	sessions  map[string]prometheus.Counter
	discarded pairs
}

// NewMetrics returns Metrics without the gauges, which are added by Add….
func NewMetrics(cfg MetricsConfig) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.addGauge("farebox_build_info", "Always 1: which build this is.",
		prometheus.Labels{"version": cfg.Version, "commit": cfg.Commit, "goversion": runtime.Version()}, func() float64 { return 1 })
	m.requests = newRequests(m.registry)
	m.grants = newGrants(m.registry, cfg)
	m.vendorCalls = newVendorCalls(m.registry, cfg)
	sessions := counterVec(m.registry, "farebox_session_verifications_total", "Session JWTs that were judged, by how that ended.", "outcome")
	m.sessions = map[string]prometheus.Counter{}
	for _, outcome := range cfg.Sessions {
		m.sessions[outcome] = sessions.WithLabelValues(outcome)
	}
	m.discarded = newPairs(counterVec(m.registry, "farebox_pool_discarded_total", "Tokens that were made and thrown away, by why.", "type", "reason"),
		cfg.DiscardTypes, cfg.Discards)
	return m
}

// Verified is told that a session was judged.
func (m *Metrics) Verified(outcome string) {
	if counter := m.sessions[outcome]; counter != nil {
		counter.Inc()
	}
}

// Discarded is told that n tokens were thrown away.
func (m *Metrics) Discarded(what, why string, n int) { m.discarded.of(what, why).Add(float64(n)) }

// Handler answers in Prometheus' formats; exemplars are in OpenMetrics alone.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

func counterVec(registry *prometheus.Registry, name, help string, labels ...string) *prometheus.CounterVec {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	registry.MustRegister(vec)
	return vec
}

func histogramVec(registry *prometheus.Registry, name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	registry.MustRegister(vec)
	return vec
}

// pairs are the counters of two labels, those of the known values resolved once.
type pairs struct {
	known map[[2]string]prometheus.Counter
	rest  *prometheus.CounterVec
}

func newPairs(vec *prometheus.CounterVec, first, second []string) pairs {
	p := pairs{known: map[[2]string]prometheus.Counter{}, rest: vec}
	for _, a := range first {
		for _, b := range second {
			p.known[[2]string{a, b}] = vec.WithLabelValues(a, b)
		}
	}
	return p
}

func (p pairs) of(a, b string) prometheus.Counter {
	if counter, ok := p.known[[2]string{a, b}]; ok {
		return counter
	}
	return p.rest.WithLabelValues(a, b)
}
