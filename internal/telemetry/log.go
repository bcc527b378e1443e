// Package telemetry is what farebox tells its operators: log, audit, metrics and
// traces.
package telemetry

import (
	"context"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// NewLogger returns a logger that writes to w from level on, as JSON or text.
// Lines that are logged with the context of a request say which, and in which
// trace it is.
func NewLogger(w io.Writer, level slog.Level, text bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if text {
		return slog.New(ofRequest{slog.NewTextHandler(w, options)})
	}
	return slog.New(ofRequest{slog.NewJSONHandler(w, options)})
}

type requestIDKey struct{}

// WithRequestID returns a context whose lines in the log say the request's id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// ofRequest adds request_id and trace_id.
type ofRequest struct{ slog.Handler }

// Handle implements slog.Handler.
func (h ofRequest) Handle(ctx context.Context, line slog.Record) error {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok && !has(line, "request_id") {
		line.AddAttrs(slog.String("request_id", id))
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		line.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, line)
}

// WithAttrs implements slog.Handler.
func (h ofRequest) WithAttrs(attrs []slog.Attr) slog.Handler {
	return ofRequest{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h ofRequest) WithGroup(name string) slog.Handler { return ofRequest{h.Handler.WithGroup(name)} }

func has(line slog.Record, key string) (found bool) {
	line.Attrs(func(a slog.Attr) bool {
		found = found || a.Key == key
		return !found
	})
	return found
}
