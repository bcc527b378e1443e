package service

import (
	"context"
	"log/slog"
	"time"

	"farebox/internal/config"
	"farebox/internal/shard"
	"farebox/internal/telemetry"
)

// tracingFlush is how long the spans that are left may take at the end.
const tracingFlush = 3 * time.Second

// openTracing leaves tracing nil where none is asked for.
func (s *service) openTracing(cfg *config.Config, build Build, log *slog.Logger) (err error) {
	if cfg.Tracing.Endpoint == "" {
		return nil
	}
	s.tracing, err = telemetry.NewTracing(telemetry.TracingConfig{
		Collector: telemetry.Collector{URL: cfg.Tracing.Endpoint, Headers: cfg.Tracing.Headers, Timeout: cfg.Tracing.Timeout},
		Sampling:  telemetry.Sampling{Share: cfg.Tracing.Share, Skippable: cfg.Tracing.Skippable},
		Version:   build.Version, Log: log,
	})
	if err != nil {
		return config.Faults{{Setting: "OTEL_RESOURCE_ATTRIBUTES", Mend: "must be name=value,name=value"}}
	}
	s.closers = append(s.closers, func() {
		ctx, cancel := context.WithTimeout(context.Background(), tracingFlush)
		defer cancel()
		_ = s.tracing.Close(ctx)
	})
	return nil
}

// redisTracer is nil where nothing is traced.
func (s *service) redisTracer() shard.Tracer {
	if s.tracing == nil {
		return nil
	}
	return s.tracing
}
