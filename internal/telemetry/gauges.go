package telemetry

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Every gauge asks what this replica knows anyway: reading the metrics waits for
// neither Redis nor the vendor.

// addGauge adds a gauge, once for each set of labels.
func (m *Metrics) addGauge(name, help string, labels prometheus.Labels, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
}

// AddSessionKeysAge adds farebox_session_keys_age_seconds.
func (m *Metrics) AddSessionKeysAge(age func() time.Duration) {
	m.addGauge("farebox_session_keys_age_seconds",
		"Time since the keys of sessions were last known to be the issuer's; 0 for a shared secret. Since the start where they never were.",
		nil, func() float64 { return age().Seconds() })
}

// AddMintsInFlight adds farebox_mints_in_flight.
func (m *Metrics) AddMintsInFlight(underWay func() int) {
	m.addGauge("farebox_mints_in_flight", "Vendor calls of this replica that are under way.", nil, func() float64 { return float64(underWay()) })
}

// AddPool adds farebox_pool_tokens and farebox_pool_target of one type.
func (m *Metrics) AddPool(tokenType string, ready, target func() int) {
	labels := prometheus.Labels{"type": tokenType}
	m.addGauge("farebox_pool_tokens", "Tokens ready in Redis, of all replicas together.", labels, func() float64 { return float64(ready()) })
	m.addGauge("farebox_pool_target", "How many tokens are to be ready in Redis, of all replicas together.", labels, func() float64 { return float64(target()) })
}

// AddPoolFenced adds farebox_pool_fenced.
func (m *Metrics) AddPoolFenced(fenced func() bool) {
	m.addGauge("farebox_pool_fenced", "1 where Redis says who it is, so that the pool is safe from an older life of the data; 0 where there is no pool for want of that.",
		nil, oneWhere(fenced))
}

// AddRedisUp adds farebox_redis_up.
func (m *Metrics) AddRedisUp(up func() bool) {
	m.addGauge("farebox_redis_up", "1 where Redis answered the last call.", nil, oneWhere(up))
}

// AddKeysUsable adds farebox_key_usable for each API key, by its position in the
// ring from 1.
func (m *Metrics) AddKeysUsable(usable func() []bool) {
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

// AddPolicyLoadSuccess adds farebox_policy_load_success.
func (m *Metrics) AddPolicyLoadSuccess(good func() bool) {
	m.addGauge("farebox_policy_load_success", "1 where the policy in force is what the file says, or there is no file.", nil, oneWhere(good))
}

func oneWhere(yes func() bool) func() float64 {
	return func() float64 {
		if yes() {
			return 1
		}
		return 0
	}
}
