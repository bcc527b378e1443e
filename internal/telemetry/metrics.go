package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is what Prometheus reads. It is safe for concurrent use.
type Metrics struct{ registry *prometheus.Registry }

// NewMetrics returns Metrics without any.
func NewMetrics() *Metrics { return &Metrics{registry: prometheus.NewRegistry()} }

// SessionKeysAge adds farebox_session_keys_age_seconds, which asks age each time
// that it is read. It may be added once.
func (m *Metrics) SessionKeysAge(age func() time.Duration) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "farebox_session_keys_age_seconds",
		Help: "Time since the keys of sessions were last known to be the issuer's; 0 for a shared secret. Since the start where they never were.",
	}, func() float64 { return age().Seconds() }))
}

// Handler answers in Prometheus' formats.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
