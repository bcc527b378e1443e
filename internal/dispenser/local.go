package dispenser

import (
	"sync"
	"time"

	"farebox/internal/limit"
	"farebox/internal/recent"
)

// localLimits counts in this process what Redis counts for all. It is charged
// alongside all the time, so that losing Redis is no fresh burst.
type localLimits struct {
	now    func() time.Time
	users  *recent.Map[digest, usage] // by caller and type
	mu     sync.Mutex
	global pace
}

// pace is the theoretical arrival time of a rate, and in which steps it was
// counted.
type pace struct {
	tat  time.Time
	step time.Duration
}

// take asks for one event of a rate that may be another than before.
func (p pace) take(r limit.Rate, now time.Time) (pace, bool) {
	if r.IsZero() {
		return p, true
	}
	tat, ok := r.Take(r.Adopt(p.tat, now, p.step), now)
	return pace{tat, r.Interval()}, ok
}

func (p pace) giveBack() pace { return pace{p.tat.Add(-p.step), p.step} }

// usage is one caller's use of one type, or of what else has limits of its own:
// a pace and a day, without pointers.
type usage struct {
	tat  int64 // of the pace, in nanoseconds of Unix time
	step time.Duration
	day  int32
	used int32
}

func (u usage) pace() pace { return pace{time.Unix(0, u.tat), u.step} }

func (u usage) withPace(p pace) usage {
	u.tat, u.step = p.tat.UnixNano(), p.step
	return u
}

// mostUsers is how many callers' use of a type is known for a day, whatever
// comes; who is pushed out was away for long. At some 60 bytes each, up to twice
// as many are held.
const mostUsers = 100_000

func newLocalLimits(now func() time.Time) *localLimits {
	return &localLimits{now: now, users: recent.New[digest, usage](2*mostUsers, 24*time.Hour, now)}
}

// record charges what Redis has granted, whatever the counters here say.
func (l *localLimits) record(a *attempt) { l.update(a, true) }

// take charges a request, or says which limit it is over.
func (l *localLimits) take(a *attempt) ([]limit.State, limit.Name) { return l.update(a, false) }

func (l *localLimits) update(a *attempt, granted bool) (left []limit.State, over limit.Name) {
	now := l.now()
	today, _ := limit.Day(now)
	l.mu.Lock()
	defer l.mu.Unlock()
	limits, key := a.Limits, a.localKey(a.name())
	global, globalOK := l.global.take(limits.Global, now)
	u, _ := l.users.Get(key)
	if u.day != int32(today) {
		u.day, u.used = int32(today), 0
	}
	user, userOK := u.pace().take(limits.PerUser, now)
	switch {
	case granted:
	case limits.PerUserDaily > 0 && int(u.used) >= limits.PerUserDaily:
		over = limit.PerUserDaily
	case !userOK:
		over = limit.PerUser
	case !globalOK:
		over = limit.Global
	}
	if over == "" {
		u, l.global = u.withPace(user), global
		u.used++
		l.users.Put(key, u)
	}
	if granted {
		return nil, "" // what is left is what Redis says
	}
	return states(limits, over, user.tat, int(u.used), global.tat, now), over
}

// giveBack undoes one charge.
func (l *localLimits) giveBack(a *attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.global = l.global.giveBack()
	key := a.localKey(a.name())
	if u, known := l.users.Get(key); known {
		u = u.withPace(u.pace().giveBack())
		u.used = max(u.used-1, 0)
		l.users.Put(key, u)
	}
}
