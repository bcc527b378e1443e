package telemetry

import (
	"math/rand/v2"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Sampling decides which traces are kept. Callers are strangers: neither the
// flag nor the id of a trace that they send, which they choose, makes one kept.
// What a request causes is kept with it.
type Sampling struct {
	Share float64 // of requests, and of what no request caused; 0 to 1
	// Skippable leaves out requests of which the caller says that it does not
	// keep them.
	Skippable bool
}

// ShouldSample implements sdktrace.Sampler.
func (s Sampling) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	parent := trace.SpanContextFromContext(p.ParentContext)
	keep := rand.Float64() < s.Share
	switch {
	case parent.IsValid() && !parent.IsRemote():
		keep = parent.IsSampled()
	case parent.IsValid() && s.Skippable && !parent.IsSampled():
		keep = false
	}
	decision := sdktrace.Drop
	if keep {
		decision = sdktrace.RecordAndSample
	}
	// Without tracestate: it is the caller's own text, and nobody is called on whom it
	// would have to be passed.
	return sdktrace.SamplingResult{Decision: decision}
}

// Description implements sdktrace.Sampler.
func (s Sampling) Description() string { return "farebox" }
