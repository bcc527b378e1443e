package policy_test

import (
	"testing"
	"time"

	"farebox/internal/limit"
	"farebox/internal/policy"

	"github.com/google/go-cmp/cmp"
)

func TestDefaultPolicyAllowsTheNamedTypesUnderTheDocumentedLimits(t *testing.T) {
	t.Parallel()
	p := policy.Default("realtime_scribe")
	got, ok := p.Token("realtime_scribe")
	want := limit.Limits{
		PerUser:      limit.Rate{Count: 10, Period: time.Minute},
		PerUserDaily: 200,
		Global:       limit.Rate{Count: 50, Period: time.Second},
	}
	if !ok {
		t.Error("a named type was refused")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, ok := p.Token("batch_scribe"); ok {
		t.Error("a type that was not named is allowed")
	}
}
