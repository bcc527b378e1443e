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
	global time.Time // theoretical arrival time
}

type userType struct{ caller, name string }

// usage is one caller's use of one type, or of what else has limits of its own. It is a value: updates replace it.
type usage struct {
	tat  time.Time
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
	global, globalOK := limits.Global.Take(l.global, now)
	l.users.Compute(l.key(a), func(u usage, _ bool) (usage, otter.ComputeOp) {
		if u.day != today {
			u.day, u.used = today, 0
		}
		tat, userOK := limits.PerUser.Take(u.tat, now)
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
			left = states(limits, u.tat, u.used, l.global, now)
			return u, otter.CancelOp
		}
		u.tat, l.global = tat, global
		u.used++
		left = states(limits, u.tat, u.used, l.global, now)
		return u, otter.WriteOp
	})
	return left, over
}

// giveBack undoes one charge.
func (l *localLimits) giveBack(a *attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.global = a.Limits.Global.GiveBack(l.global)
	l.users.ComputeIfPresent(l.key(a), func(u usage) (usage, otter.ComputeOp) {
		u.tat, u.used = a.Limits.PerUser.GiveBack(u.tat), max(u.used-1, 0)
		return u, otter.WriteOp
	})
}

func (l *localLimits) key(a *attempt) userType { return userType{a.callers[0], a.name()} }
