package telemetry

import (
	"net/http"
	"strconv"
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

// KeysUsable adds farebox_key_usable for each API key, by its position in the ring
// from 1, which asks usable each time that it is read. It may be added once.
func (m *Metrics) KeysUsable(usable func() []bool) {
	m.registry.MustRegister(keysUsable{usable: usable, desc: prometheus.NewDesc("farebox_key_usable",
		"1 for an API key that is in use or in reserve, 0 for one that the vendor refuses and that is set aside.", []string{"key"}, nil)})
}

// keysUsable is a collector, since a ring may have other keys each time.
type keysUsable struct {
	usable func() []bool
	desc   *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (k keysUsable) Describe(all chan<- *prometheus.Desc) { all <- k.desc }

// Collect implements prometheus.Collector.
func (k keysUsable) Collect(all chan<- prometheus.Metric) {
	for i, usable := range k.usable() {
		value := 0.0
		if usable {
			value = 1
		}
		all <- prometheus.MustNewConstMetric(k.desc, prometheus.GaugeValue, value, strconv.Itoa(i+1))
	}
}

// Handler answers in Prometheus' formats.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
