package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// TracingConfig is what Tracing needs. Every field is required unless said
// otherwise.
type TracingConfig struct {
	Collector Collector
	Sampling  Sampling
	Version   string
	Log       *slog.Logger
}

// Tracing makes spans of requests, of the commands to Redis and of the calls to
// the vendor that they cause. What a span holds is from closed sets, or the
// vendor's host: no path or query as it was sent, no argument of a command, and
// no word of an answer. It is safe for concurrent use.
type Tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	context  propagation.TraceContext
}

// NewTracing returns Tracing, which calls nobody before there are spans. The
// resource, the batches and the limits of spans follow OpenTelemetry's own
// settings.
func NewTracing(cfg TracingConfig) (*Tracing, error) {
	// The library has one place for its own complaints, for the whole process.
	otel.SetLogger(logr.FromSlogHandler(cfg.Log.Handler()))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {
		cfg.Log.Debug("some traces are lost")
	}))
	of, err := resource.New(context.Background(),
		resource.WithTelemetrySDK(), resource.WithAttributes(semconv.ServiceName("farebox"), semconv.ServiceVersion(cfg.Version)), resource.WithFromEnv())
	if err != nil {
		return nil, errors.New("OTEL_RESOURCE_ATTRIBUTES cannot be read; write name=value,name=value")
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(otlptrace.NewUnstarted(newUploader(cfg.Collector, cfg.Log))),
		sdktrace.WithSampler(cfg.Sampling), sdktrace.WithResource(of))
	return &Tracing{provider: provider, tracer: provider.Tracer("farebox")}, nil
}

// Close delivers the spans that are left, until ctx ends.
func (t *Tracing) Close(ctx context.Context) error { return t.provider.Shutdown(ctx) }

// Request begins the span of a request, in the trace that its header names. The
// returned function ends it.
func (t *Tracing) Request(ctx context.Context, header http.Header, method, route string) (context.Context, func(status int)) {
	ctx = t.context.Extract(ctx, propagation.HeaderCarrier(header))
	name := method + " " + route
	if method == "other" {
		method, name = "_OTHER", "HTTP "+route
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(semconv.HTTPRequestMethodKey.String(method), semconv.HTTPRoute(route)))
	return ctx, func(status int) {
		span.SetAttributes(semconv.HTTPResponseStatusCode(status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Command begins the span of a command to Redis, where it is on behalf of
// something that is traced. The returned function ends it, with why it failed.
func (t *Tracing) Command(ctx context.Context, name string) (context.Context, func(failed string)) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, func(string) {}
	}
	name = strings.ToUpper(name)
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(semconv.DBSystemNameRedis, semconv.DBOperationName(name)))
	return ctx, func(failed string) { end(span, failed) }
}

// Call begins the span of a call to the vendor. target has no query. The
// returned function ends it; why it failed is "" where it did not.
func (t *Tracing) Call(ctx context.Context, method, target string) (context.Context, func(failed string, status int)) {
	attributes := []attribute.KeyValue{semconv.HTTPRequestMethodKey.String(method), semconv.URLFull(target)}
	name := method
	if u, err := url.Parse(target); err == nil {
		name += " " + u.Path
		attributes = append(attributes, semconv.ServerAddress(u.Hostname()))
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
	return ctx, func(failed string, status int) {
		if status != 0 {
			span.SetAttributes(semconv.HTTPResponseStatusCode(status))
		}
		end(span, failed)
	}
}

func end(span trace.Span, failed string) {
	if failed != "" {
		span.SetAttributes(semconv.ErrorTypeKey.String(failed))
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
