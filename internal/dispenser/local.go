package dispenser

import (
	"fmt"
	"sync"
	"time"

	"farebox/internal/limit"

	"github.com/maypok86/otter/v2"
)

// localLimits counts in this process what Redis counts for all. It is charged
// alongside all the time, so that losing Redis is no fresh burst.
type localLimits struct {
	now    func() time.Time
	users  *otter.Cache[userType, usage]
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

type userType struct{ caller, name string }

// usage is one caller's use of one type, or of what else has limits of its own. It is a value: updates replace it.
type usage struct {
	pace pace
	day  int64
	used int
}

// mostUsers bounds the memory; who is pushed out was away for long.
const mostUsers = 100_000

func newLocalLimits(now func() time.Time) (*localLimits, error) {
	users, err := otter.New(&otter.Options[userType, usage]{
		MaximumSize:      mostUsers,
		ExpiryCalculator: otter.ExpiryWriting[userType, usage](24 * time.Hour),
	})
	if err != nil {
		return nil, fmt.Errorf("dispenser: in-process limits: %w", err)
	}
	return &localLimits{now: now, users: users}, nil
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
	limits := a.Limits
	global, globalOK := l.global.take(limits.Global, now)
	l.users.Compute(l.key(a), func(u usage, _ bool) (usage, otter.ComputeOp) {
		if u.day != today {
			u.day, u.used = today, 0
		}
		user, userOK := u.pace.take(limits.PerUser, now)
		switch {
		case granted:
		case limits.PerUserDaily > 0 && u.used >= limits.PerUserDaily:
			over = limit.PerUserDaily
		case !userOK:
			over = limit.PerUser
		case !globalOK:
			over = limit.Global
		}
		if over != "" {
			left = states(limits, user.tat, u.used, global.tat, now)
			return u, otter.CancelOp
		}
		u.pace, l.global = user, global
		u.used++
		left = states(limits, user.tat, u.used, global.tat, now)
		return u, otter.WriteOp
	})
	return left, over
}

// giveBack undoes one charge.
func (l *localLimits) giveBack(a *attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.global = l.global.giveBack()
	l.users.ComputeIfPresent(l.key(a), func(u usage) (usage, otter.ComputeOp) {
		u.pace, u.used = u.pace.giveBack(), max(u.used-1, 0)
		return u, otter.WriteOp
	})
}

func (l *localLimits) key(a *attempt) userType { return userType{a.callers[0], a.name()} }
