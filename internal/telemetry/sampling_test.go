package telemetry_test

import (
	"context"
	"testing"

	"farebox/internal/telemetry"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func TestWhatCallersSayOfTheirTraceMakesNoneKept(t *testing.T) {
	t.Parallel()
	// An id that a sampler by ids would keep, whatever its share.
	lowest := trace.TraceID{15: 1}
	tests := map[string]struct {
		sampling     telemetry.Sampling
		remote, flag bool
		want         bool
	}{
		"a caller's flag does not raise a share":    {telemetry.Sampling{}, true, true, false},
		"nor with parents":                          {telemetry.Sampling{Skippable: true}, true, true, false},
		"a caller may ask not to be kept":           {telemetry.Sampling{Share: 1, Skippable: true}, true, false, false},
		"which does not count without parents":      {telemetry.Sampling{Share: 1}, true, false, true},
		"all are kept where all are asked for":      {telemetry.Sampling{Share: 1, Skippable: true}, true, true, true},
		"what a kept request causes is kept":        {telemetry.Sampling{}, false, true, true},
		"what a request causes that is not, is not": {telemetry.Sampling{Share: 1}, false, false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flags := trace.TraceFlags(0)
			if test.flag {
				flags = trace.FlagsSampled
			}
			parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: lowest, SpanID: trace.SpanID{1}, TraceFlags: flags, Remote: test.remote})
			for range 50 {
				got := test.sampling.ShouldSample(sdktrace.SamplingParameters{
					ParentContext: trace.ContextWithSpanContext(context.Background(), parent), TraceID: lowest,
				}).Decision == sdktrace.RecordAndSample
				if got != test.want {
					t.Fatalf("kept = %v", got)
				}
			}
		})
	}
}

// A caller chooses the id, so it must not decide: of one id some are kept.
func TestAShareIsNotOfIDs(t *testing.T) {
	t.Parallel()
	parameters := sdktrace.SamplingParameters{ParentContext: context.Background(), TraceID: trace.TraceID{15: 1}}
	seen := map[sdktrace.SamplingDecision]bool{}
	for range 200 {
		seen[telemetry.Sampling{Share: .5}.ShouldSample(parameters).Decision] = true
	}
	if len(seen) != 2 {
		t.Errorf("decisions = %v", seen)
	}
}
