package config

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"farebox/internal/secret"
)

// Tracing is where traces go, and which.
type Tracing struct {
	Endpoint  string // "" for no traces
	Headers   map[string]secret.Text
	Timeout   time.Duration
	Share     float64 // of requests that are traced
	Skippable bool    // a caller's word that it does not trace counts
}

// readTracing reads OpenTelemetry's own settings. The more special name of two
// goes before.
func (l *loader) readTracing(c *Config) {
	exporter := l.values["OTEL_TRACES_EXPORTER"]
	name, endpoint := l.ofExporter("ENDPOINT")
	switch {
	case strings.EqualFold(l.values["OTEL_SDK_DISABLED"], "true"), exporter == "none", exporter == "" && endpoint == "":
		return
	case exporter != "" && exporter != "otlp":
		l.fault("OTEL_TRACES_EXPORTER", "must be otlp or none")
		return
	case endpoint == "":
		name, endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"
	}
	u, err := url.Parse(endpoint)
	if err != nil || !goodHost(u) || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		l.fault(name, "must be an address, http://host:4318 or https, without user, query or fragment; what the collector asks for goes into OTEL_EXPORTER_OTLP_HEADERS")
		return
	}
	if name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
		u = u.JoinPath("v1", "traces")
	}
	c.Tracing.Endpoint = u.String()
	if name, protocol := l.ofExporter("PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		l.fault(name, "must be http/protobuf: grpc and http/json are not built in; collectors take HTTP on port 4318")
	}
	for _, what := range []string{"CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"} {
		if name, value := l.ofExporter(what); value != "" {
			l.fault(name, "is not supported; unset it, and name further authorities by SSL_CERT_FILE")
		}
	}
	if name, value := l.ofExporter("COMPRESSION"); value != "" && value != "none" {
		l.fault(name, "must be none; batches are small")
	}
	c.Tracing.Headers = l.readExporterHeaders()
	c.Tracing.Timeout = 10 * time.Second
	if name, value := l.ofExporter("TIMEOUT"); value != "" {
		ms, err := strconv.Atoi(value)
		if err != nil || ms < 1 || ms > 60_000 {
			l.fault(name, "must be milliseconds, 1 to 60000")
		}
		c.Tracing.Timeout = time.Duration(ms) * time.Millisecond
	}
	l.readSampler(c)
}

// ofExporter is a setting of the exporter and the name that it was given under.
func (l *loader) ofExporter(what string) (name, value string) {
	if name = "OTEL_EXPORTER_OTLP_TRACES_" + what; l.values[name] == "" {
		name = "OTEL_EXPORTER_OTLP_" + what
	}
	return name, l.values[name]
}

// readExporterHeaders reads name=value,name=value, with values escaped as in a
// URL.
func (l *loader) readExporterHeaders() map[string]secret.Text {
	headers := map[string]secret.Text{}
	name, list := l.ofExporter("HEADERS")
	for _, pair := range splitList(list) {
		key, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if _, keyErr := parseToken(strings.TrimSpace(key)); !ok || err != nil || keyErr != nil || strings.ContainsAny(value, "\r\n\x00") {
			l.fault(name, "must be name=value,name=value")
			return nil
		}
		headers[strings.TrimSpace(key)] = secret.New(value)
	}
	return headers
}

func (l *loader) readSampler(c *Config) {
	sampler := l.values["OTEL_TRACES_SAMPLER"]
	if sampler == "" {
		sampler = "parentbased_always_on"
	}
	c.Tracing.Skippable = strings.HasPrefix(sampler, "parentbased_")
	switch strings.TrimPrefix(sampler, "parentbased_") {
	case "always_on":
		c.Tracing.Share = 1
	case "always_off":
		c.Tracing.Share = 0
	case "traceidratio":
		share, err := strconv.ParseFloat(l.values["OTEL_TRACES_SAMPLER_ARG"], 64)
		if err != nil || !(share >= 0 && share <= 1) {
			l.fault("OTEL_TRACES_SAMPLER_ARG", "must be a share of all traces, 0 to 1")
		}
		c.Tracing.Share = share
	default:
		l.fault("OTEL_TRACES_SAMPLER", "must be always_on, always_off, traceidratio, or one of these with parentbased_ before it")
	}
	for _, propagator := range splitList(l.values["OTEL_PROPAGATORS"]) {
		if !slices.Contains([]string{"tracecontext", "baggage"}, propagator) {
			l.fault("OTEL_PROPAGATORS", "must be tracecontext; baggage is passed over, and nothing else is understood")
		}
	}
}
