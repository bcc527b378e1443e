package dispenser_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/limit"
	vendorclient "farebox/vendor_client"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

// model is what callers may expect of the limits, in plain Go and without Redis.
type model struct {
	limits limit.Limits
	global time.Time
	users  map[userType]*use
}

type userType struct {
	subject string
	kind    vendorclient.TokenType
}

type use struct {
	tat  time.Time
	day  int64
	used int
	kept map[string]*kept
}

// kept is an answer under a key.
type kept struct {
	token string
	until time.Time
}

// ask is one request at now; vendorFails says that no token can be made.
func (m *model) ask(r dispenser.Request, now time.Time, vendorFails bool) (replayed string, over limit.Name) {
	u := m.users[userType{r.Subject, r.Type}]
	if u == nil {
		u = &use{kept: map[string]*kept{}}
		m.users[userType{r.Subject, r.Type}] = u
	}
	if k := u.kept[r.IdempotencyKey]; k != nil && now.Before(k.until) {
		return k.token, ""
	}
	day, _ := limit.Day(now)
	if u.day != day {
		u.day, u.used = day, 0
	}
	tat, userOK := m.limits.PerUser.Take(u.tat, now)
	global, globalOK := m.limits.Global.Take(m.global, now)
	switch {
	case m.limits.PerUserDaily > 0 && u.used >= m.limits.PerUserDaily:
		return "", limit.PerUserDaily
	case !userOK:
		return "", limit.PerUser
	case !globalOK:
		return "", limit.Global
	}
	u.tat, m.global = tat, global
	u.used++
	if vendorFails {
		// The charge was for nothing.
		u.tat, m.global = u.tat.Add(-m.limits.PerUser.Interval()), m.global.Add(-m.limits.Global.Interval())
		u.used--
	}
	return "", ""
}

func (m *model) keep(r dispenser.Request, token string, until time.Time) {
	if r.IdempotencyKey != "" {
		m.users[userType{r.Subject, r.Type}].kept[r.IdempotencyKey] = &kept{token, until}
	}
}

// Whatever callers ask of whichever replica, and whenever: what passes, what is
// refused and by which limit, what is left and what is given again is as the
// model says.
func TestTheScriptsKeepToAPlainModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		server := miniredis.NewMiniRedis()
		const midnight = 20_000 * 24 * 60 * 60
		now := time.Unix(midnight, 0).Add(time.Duration(rapid.Int64Range(-100_000_000, 0).Draw(rt, "start_us")) * time.Microsecond)
		server.SetTime(now)
		server.ClockTTL(true)
		if err := server.Start(); err != nil {
			rt.Fatal(err)
		}
		defer server.Close()
		client := redis.NewClient(&redis.Options{Addr: server.Addr()})
		defer client.Close()
		h := newHouse(t, "redis://"+server.Addr(), client, server.Close)
		replicas := []*dispenser.Dispenser{h.open(), h.open()}
		rate := func(name string) limit.Rate {
			return limit.Rate{
				Count:  rapid.IntRange(0, 6).Draw(rt, name+"_count"),
				Period: time.Duration(rapid.Int64Range(1000, 100_000_000).Draw(rt, name+"_period_us")) * time.Microsecond,
			}
		}
		m := &model{limits: limit.Limits{PerUser: rate("user"), PerUserDaily: rapid.IntRange(0, 8).Draw(rt, "daily"), Global: rate("global")}, users: map[userType]*use{}}

		for i := range rapid.IntRange(1, 40).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.OneOf(
				rapid.Just(int64(0)), rapid.Int64Range(0, 100_000), rapid.Int64Range(0, 100_000_000), rapid.Int64Range(0, 86_400_000_000),
			).Draw(rt, "pause_us")) * time.Microsecond)
			server.SetTime(now)
			r := request(rapid.SampledFrom([]string{"ada", "bob"}).Draw(rt, "who"), rapid.SampledFrom([]string{"", "", "k1", "k2"}).Draw(rt, "key"))
			r.Type = rapid.SampledFrom(vendorclient.TokenTypes()).Draw(rt, "type")
			r.IdempotencyKey += map[bool]string{true: string(r.Type)}[r.IdempotencyKey != ""]
			r.Limits = m.limits
			fails := rapid.IntRange(0, 3).Draw(rt, "vendor") == 0
			h.vendor.works()
			if fails {
				h.vendor.fails(&vendorclient.Error{Kind: vendorclient.KindKeyInvalid})
			}
			which := fmt.Sprintf("request %d of %s for %s under %q", i, r.Subject, r.Type, r.IdempotencyKey)

			replayed, over := m.ask(r, now, fails)
			g, err := rapid.SampledFrom(replicas).Draw(rt, "replica").Dispense(t.Context(), r)
			var refused *dispenser.LimitError
			var failed *vendorclient.Error
			switch {
			case replayed != "":
				if err != nil || g.Token.Reveal() != replayed || g.Source != dispenser.SourceReplay {
					rt.Fatalf("%s: %v, source %q, want the same answer", which, err, g.Source)
				}
			case over != "":
				if !errors.As(err, &refused) || refused.Limit != over || refused.RetryAfter <= 0 {
					rt.Fatalf("%s: %v, want the limit %s", which, err, over)
				}
			case fails:
				if !errors.As(err, &failed) {
					rt.Fatalf("%s: %v, want the vendor's error", which, err)
				}
			default:
				if err != nil || g.Source != dispenser.SourceMint {
					rt.Fatalf("%s: %v, source %q, want a new token", which, err, g.Source)
				}
				u := m.users[userType{r.Subject, r.Type}]
				for _, left := range g.Limits {
					want := left
					switch left.Name {
					case limit.PerUser:
						want = m.limits.PerUser.State(limit.PerUser, u.tat, now)
					case limit.PerUserDaily:
						want = limit.DailyState(m.limits.PerUserDaily, u.used, now)
					case limit.Global:
						want = m.limits.Global.State(limit.Global, m.global, now)
					}
					if left != want {
						rt.Fatalf("%s: %+v is left, want %+v", which, left, want)
					}
				}
				m.keep(r, g.Token.Reveal(), now.Add(time.Minute))
			}
		}
	})
}
