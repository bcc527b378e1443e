package dispenser

import (
	"errors"
	"testing"

	"farebox/internal/limit"
	"farebox/internal/shard"
)

// What no script says is no decision.
func TestAnOddAnswerIsNoDecision(t *testing.T) {
	t.Parallel()
	const good = int64(1)
	const granted = "granted 2 20000 1 6000000 3/4 0 "
	if d, err := parseDecision(good, granted, limit.Limits{}, nil); err != nil || d.dropped != (dropped{3, 4}) || d.pooled {
		t.Fatalf("%+v, %v", d, err)
	}
	for _, odd := range []struct{ common, own any }{
		{nil, granted},
		{"1", granted},
		{[]any{int64(1)}, granted},
		{good, nil},
		{good, []any{"granted"}},
		{good, ""},
		{good, "unheard of"},
		{good, "granted"},
		{good, "granted 2 20000 one 6000000  0 "},
		{good, "granted 2 20000 1 6000000  first sealed"},
		{good, "limited per_user 2 1"},
		{good, "replay"},
	} {
		if d, err := parseDecision(odd.common, odd.own, limit.Limits{}, nil); !errors.Is(err, shard.ErrOddAnswer) {
			t.Errorf("%v and %v: %+v, %v", odd.common, odd.own, d, err)
		}
	}
}
