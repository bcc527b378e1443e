package limit_test

import (
	"testing"
	"time"

	"farebox/internal/limit"

	"pgregory.net/rapid"
)

func TestRateLetsItsCountPassAtOnceAndThenOneAnInterval(t *testing.T) {
	t.Parallel()
	rate := limit.Rate{Count: 10, Period: time.Minute}
	now := time.Unix(1_790_000_000, 0)
	var tat time.Time
	for i := range 10 {
		next, ok := rate.Take(tat, now)
		if state := rate.State(limit.PerUser, next, now); !ok || state.Remaining != 9-i {
			t.Fatalf("take %d: ok = %v, remaining = %d", i, ok, state.Remaining)
		}
		tat = next
	}
	state := rate.State(limit.PerUser, tat, now)
	if next, ok := rate.Take(tat, now); ok || state.Reset != 6*time.Second || !next.Equal(tat) {
		t.Fatalf("the eleventh: ok = %v, reset = %v, want a refusal for 6s", ok, state.Reset)
	}
	if _, ok := rate.Take(tat, now.Add(6*time.Second-time.Microsecond)); ok {
		t.Error("one microsecond early passed")
	}
	next, ok := rate.Take(tat, now.Add(6*time.Second))
	if state := rate.State(limit.PerUser, next, now.Add(6*time.Second)); !ok || state.Remaining != 0 || state.Reset != 6*time.Second {
		t.Errorf("after the wait: ok = %v, state = %+v", ok, state)
	}
	if _, ok := rate.Take(tat.Add(-rate.Interval()), now); !ok {
		t.Error("what was given back cannot be taken again")
	}
}

func TestRateNeverLetsMoreThanItsCountPassInAPeriodBeyondTheBurst(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := limit.Rate{
			Count:  rapid.IntRange(1, 50).Draw(t, "count"),
			Period: time.Duration(rapid.Int64Range(1000, 60_000_000).Draw(t, "period_us")) * time.Microsecond,
		}
		now := time.Unix(1_790_000_000, 0)
		start := now
		var tat time.Time
		passed := 0
		for _, step := range rapid.SliceOfN(rapid.Int64Range(0, 2_000_000), 1, 200).Draw(t, "steps_us") {
			now = now.Add(time.Duration(step) * time.Microsecond)
			next, ok := rate.Take(tat, now)
			state := rate.State(limit.PerUser, next, now)
			if !ok {
				if state.Remaining != 0 || state.Reset <= 0 {
					t.Fatalf("refused with %+v", state)
				}
				if _, early := rate.Take(tat, now.Add(state.Reset-time.Microsecond)); early {
					t.Fatalf("passed earlier than the reset of %v", state.Reset)
				}
				if _, again := rate.Take(tat, now.Add(state.Reset)); !again {
					t.Fatalf("refused again after the reset of %v", state.Reset)
				}
				continue
			}
			if state.Remaining < 0 || state.Remaining >= rate.Count {
				t.Fatalf("remaining = %d of %d", state.Remaining, rate.Count)
			}
			tat = next
			passed++
		}
		if most := rate.Count + int(now.Sub(start)/rate.Interval()); passed > most {
			t.Fatalf("%d passed in %v, at most %d may", passed, now.Sub(start), most)
		}
	})
}

func TestALimitThatWasLoosenedIsLooseAtOnceAndNothingIsForgotten(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_790_000_000, 0)
	strict, loose := limit.Rate{Count: 1, Period: 24 * time.Hour}, limit.Rate{Count: 5, Period: time.Second}
	tat, _ := strict.Take(time.Time{}, now)
	tat = loose.Adopt(tat, now, strict.Interval())
	if state := loose.State(limit.PerUser, tat, now); state.Remaining != 4 {
		t.Errorf("%+v, of five one is used", state)
	}
	if back := strict.Adopt(tat, now, loose.Interval()); !back.Equal(now.Add(strict.Interval())) {
		t.Errorf("back again %v are used", back.Sub(now))
	}
	if again := loose.Adopt(tat, now, loose.Interval()); !again.Equal(tat) {
		t.Error("its own is another")
	}
	many := limit.Rate{Count: 1000, Period: time.Hour}
	full := now.Add(time.Hour)
	if state := loose.State(limit.PerUser, loose.Adopt(full, now, many.Interval()), now); state.Remaining != 0 || state.Reset != 200*time.Millisecond {
		t.Errorf("a full one is %+v", state)
	}
}

func TestDayEndsAtMidnightUTC(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 23, 59, 58, 0, time.FixedZone("", 3600))
	day, rest := limit.Day(at)
	if want := time.Hour + 2*time.Second; rest != want {
		t.Errorf("rest = %v, want %v", rest, want)
	}
	if next, _ := limit.Day(at.Add(rest)); next != day+1 {
		t.Errorf("the next day is %d after %d", next, day)
	}
}
