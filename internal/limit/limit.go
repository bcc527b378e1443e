// Package limit holds how much a caller may have, and the rate algorithm in
// plain Go.
package limit

import "time"

// Rate lets Count events pass per Period, all of them at once if need be
// (GCRA with a burst of Count). The zero Rate limits nothing.
type Rate struct {
	Count  int
	Period time.Duration
}

// IsZero reports whether the rate limits nothing.
func (r Rate) IsZero() bool { return r.Count <= 0 || r.Period <= 0 }

// Interval is the time in which one event of an exhausted rate comes back, in
// whole microseconds, which is what the Redis script counts in.
func (r Rate) Interval() time.Duration {
	if r.IsZero() {
		return 0
	}
	return max(r.Period/time.Duration(r.Count), time.Microsecond).Truncate(time.Microsecond)
}

// Share is the rate of one of n parts that are counted apart. Together they let
// no more pass than the whole, but may refuse early. Where Count is less than n,
// single events still pass in each part, so that up to n may come at once.
func (r Rate) Share(n int) Rate {
	if r.IsZero() || n <= 1 {
		return r
	}
	count := max(r.Count/n, 1)
	return Rate{Count: count, Period: r.Interval() * time.Duration(n*count)}
}

// Take asks for one event at now, where tat is the theoretical arrival time
// that an earlier Take returned (the zero Time at first). It returns the one to
// keep from now on; where ok is false nothing was taken and that is tat itself.
func (r Rate) Take(tat, now time.Time) (next time.Time, ok bool) {
	if r.IsZero() {
		return tat, true
	}
	next = now
	if tat.After(now) {
		next = tat
	}
	next = next.Add(r.Interval())
	if next.Sub(now) > r.window() {
		return tat, false
	}
	return next, true
}

// State is what is left of the rate at now. Where nothing is, Reset is how
// long Take goes on refusing.
func (r Rate) State(name Name, tat, now time.Time) State {
	interval := r.Interval()
	free := r.window() - max(tat.Sub(now), 0)
	state := State{Name: name, Quota: r.Count, Window: r.Period, Remaining: max(int(free/interval), 0)}
	if state.Remaining < r.Count {
		state.Reset = interval*time.Duration(state.Remaining+1) - free
	}
	return state
}

// Adopt returns in this rate's terms a tat that another one has kept, in steps
// of its interval: as many events are used now, and the whole burst at most. So
// a limit that was loosened is loose at once, and going back and forth between
// two of them forgets nothing.
func (r Rate) Adopt(tat, now time.Time, interval time.Duration) time.Time {
	own := r.Interval()
	if r.IsZero() || interval <= 0 || interval == own || !tat.After(now) {
		return tat
	}
	used := (tat.Sub(now) + interval - 1) / interval
	return now.Add(own * min(used, time.Duration(r.Count)))
}

// window is the time that a whole burst takes to come back; by rounding of the
// interval it may differ from Period.
func (r Rate) window() time.Duration { return r.Interval() * time.Duration(r.Count) }

// Limits are all the limits that hold for one caller and one kind of credential.
type Limits struct {
	// PerUser is the caller's rate for this kind.
	PerUser Rate
	// PerUserDaily is how many the caller may have of this kind in a UTC day;
	// 0 is no limit.
	PerUserDaily int
	// Global is the rate of all callers and kinds together.
	Global Rate
}

// Name says which of the limits a State or a refusal is about.
type Name string

// The limits by name, as they stand in the RateLimit fields.
const (
	PerUser      Name = "per_user"
	PerUserDaily Name = "per_user_daily"
	Global       Name = "global"
	PerAddress   Name = "per_address" // of sessions that are not acceptable
)

// State is what is left of one limit after a request.
type State struct {
	Name      Name
	Quota     int           // events per Window
	Window    time.Duration // the limit's period
	Remaining int           // events left now
	Reset     time.Duration // until one more event is there
}

// DailyState is what is left of a daily limit of quota after used of it.
func DailyState(quota, used int, now time.Time) State {
	_, rest := Day(now)
	return State{Name: PerUserDaily, Quota: quota, Window: 24 * time.Hour, Remaining: max(quota-used, 0), Reset: rest}
}

// Day is the number of the UTC day of t, and the time until the next begins.
func Day(t time.Time) (day int64, rest time.Duration) {
	const length = 24 * time.Hour
	day = t.Unix() / int64(length/time.Second)
	return day, time.Unix((day+1)*int64(length/time.Second), 0).Sub(t)
}
