package dispenser

import (
	"testing"
	"time"

	"farebox/internal/limit"
	vendorclient "farebox/vendor_client"
)

// A caller's day is counted here by type, begins anew at midnight, and has back
// what no token was made for.
func TestADayIsCountedHereByCallerAndType(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 9, 21, 23, 0, 0, 0, time.UTC)
	l := newLocalLimits(func() time.Time { return now })
	by := func(name string, of vendorclient.TokenType) *attempt {
		return &attempt{Request: Request{Type: of, Limits: limit.Limits{PerUserDaily: 2}}, caller: &caller{callers: []string{name}}}
	}
	ada, other, neighbour := by("ada", vendorclient.RealtimeScribe), by("ada", vendorclient.BatchScribe), by("bob", vendorclient.RealtimeScribe)
	steps := []struct {
		name string
		do   func()
		who  *attempt
		left int // -1: over the limit
	}{
		{name: "the first", who: ada, left: 1},
		{name: "the second", who: ada, left: 0},
		{name: "one too many", who: ada, left: -1},
		{name: "of another type", who: other, left: 1},
		{name: "of another caller", who: neighbour, left: 1},
		{name: "after one was given back", do: func() { l.giveBack(ada) }, who: ada, left: 0},
		{name: "what Redis has granted counts", do: func() { l.record(other) }, who: other, left: -1},
		{name: "a day that is over", do: func() { now = now.Add(2 * time.Hour) }, who: ada, left: 1},
	}
	for _, step := range steps {
		if step.do != nil {
			step.do()
		}
		left, over := l.take(step.who)
		if got := left[0].Remaining; over == "" && got != step.left || (over != "") != (step.left < 0) {
			t.Errorf("%s: %d left, over %q", step.name, got, over)
		}
	}
}
