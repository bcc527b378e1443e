package dispenser

import (
	"errors"
	"testing"
	"time"

	"farebox/internal/limit"
	"farebox/internal/shard"
)

// What no script says is no decision.
func TestAnOddAnswerIsNoDecision(t *testing.T) {
	t.Parallel()
	good := []any{int64(1), "an owner"}
	const granted = "granted 2 20000 1 6000000 3/4 0 "
	if d, err := parseDecision(good, granted, limit.Limits{}, nil); err != nil || d.dropped != (dropped{3, 4}) || d.pooled {
		t.Fatalf("%+v, %v", d, err)
	}
	for _, odd := range []struct{ common, own any }{
		{nil, granted},
		{[]any{int64(1)}, granted},
		{[]any{"1", "an owner"}, granted},
		{[]any{int64(1), nil}, granted},
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

// A clock is kept for a while, but not for another server's.
func TestWhatAServersClockSaysIsNewsNowAndThen(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_790_000_000, 0)
	s := &stock{}
	for _, step := range []struct {
		owner string
		after time.Duration
		news  bool
	}{
		{"one", 0, true},
		{"one", 999 * time.Millisecond, false},
		{"another", 999 * time.Millisecond, true},
		{"another", 1998 * time.Millisecond, false},
		{"another", 1999 * time.Millisecond, true},
	} {
		told := clock{owner: step.owner, asOf: began.Add(step.after)}
		before := s.clock.Load()
		s.hear(told)
		if now := s.clock.Load(); (now != before) != step.news || now.owner != step.owner {
			t.Errorf("%+v: %+v", step, now)
		}
	}
}
