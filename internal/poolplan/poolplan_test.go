package poolplan_test

import (
	"math"
	"testing"
	"time"

	"farebox/internal/poolplan"
)

var start = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

func TestTheMeter(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		asked func(m *poolplan.Meter) (now time.Time)
		most  float64 // of what it may say
		least float64
	}{
		"says nothing where nothing was asked for": {
			asked: func(*poolplan.Meter) time.Time { return start },
		},
		"takes one request for little demand": {
			asked: func(m *poolplan.Meter) time.Time { m.Note(start, 1); return start },
			least: 0.2, most: 0.2,
		},
		"finds a steady demand": {
			asked: func(m *poolplan.Meter) time.Time { return steadily(m, start, 100, 30*time.Second) },
			least: 95, most: 110,
		},
		"sees within half a second that demand is twenty times what it was": {
			asked: func(m *poolplan.Meter) time.Time {
				now := steadily(m, start, 100, 30*time.Second)
				return steadily(m, now, 2000, 500*time.Millisecond)
			},
			least: 1000, most: 2000,
		},
		"has forgotten it a minute after": {
			asked: func(m *poolplan.Meter) time.Time {
				return steadily(m, start, 1000, 30*time.Second).Add(time.Minute)
			},
			most: 0.01,
		},
		"has forgotten all in ten": {
			asked: func(m *poolplan.Meter) time.Time {
				return steadily(m, start, 1000, 30*time.Second).Add(10 * time.Minute)
			},
		},
		"bears a clock that goes back": {
			asked: func(m *poolplan.Meter) time.Time {
				now := steadily(m, start, 100, 30*time.Second)
				m.Note(now.Add(-time.Hour), 1)
				return now
			},
			least: 95, most: 110,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m poolplan.Meter
			now := test.asked(&m)
			if got := m.PerSecond(now); got < test.least-1e-9 || got > test.most+1e-9 {
				t.Errorf("%v a second, not between %v and %v", got, test.least, test.most)
			}
		})
	}
}

func steadily(m *poolplan.Meter, from time.Time, perSecond int, length time.Duration) time.Time {
	step := time.Second / time.Duration(perSecond)
	now := from
	for ; now.Before(from.Add(length)); now = now.Add(step) {
		m.Note(now, 1)
	}
	return now
}

func TestTheTarget(t *testing.T) {
	t.Parallel()
	const lead = 170 * time.Millisecond
	for name, test := range map[string]struct {
		perSecond   float64
		least, most int
		want        int
	}{
		"is the least where nothing is asked for":     {0, 1, 256, 1},
		"is none where nothing need be ready":         {0, 0, 256, 0},
		"allows for chance where little is asked for": {1, 1, 256, 3},
		"is a multiple where much is asked for":       {100, 1, 256, 68},
		"is never beyond the most":                    {10_000, 1, 256, 256},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := poolplan.Target(test.perSecond, lead, test.least, test.most); got != test.want {
				t.Errorf("%d, not %d", got, test.want)
			}
		})
	}
	if got := poolplan.Target(math.MaxFloat64, time.Hour, 1, 256); got != 256 {
		t.Errorf("%d for more than can be counted", got)
	}
}
