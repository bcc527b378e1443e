package history_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"farebox/internal/history"
	"farebox/internal/limit"
)

var began = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// handOut is ada's good token of one minute's age, amended.
func handOut(amend func(*history.HandOut)) history.HandOut {
	o := history.HandOut{
		Caller: "ada", Token: "one", Type: "scribe", Source: history.Pool,
		Asked: began.Add(time.Minute), Got: began.Add(time.Minute + time.Second), Life: 14 * time.Minute,
	}
	if amend != nil {
		amend(&o)
	}
	return o
}

func TestEachRuleIsBrokenByABadHistoryAndByNoGoodOne(t *testing.T) {
	t.Parallel()
	keyed := func(o *history.HandOut) { o.Key = "k" }
	replayed := func(o *history.HandOut) { o.Key, o.Source = "k", history.Replay }
	later := func(d time.Duration) func(*history.HandOut) {
		return func(o *history.HandOut) {
			o.Asked, o.Got = o.Asked.Add(d), o.Got.Add(d)
			o.Life -= d
		}
	}
	tests := map[string]struct {
		handOuts []history.HandOut
		want     []history.Rule
	}{
		"one hand-out": {[]history.HandOut{handOut(nil)}, nil},
		"a replay under its key": {
			[]history.HandOut{handOut(keyed), handOut(replayed)}, nil,
		},
		"a replay of what never arrived": {[]history.HandOut{handOut(replayed)}, nil},
		"the last moment in which it may be handed out": {
			[]history.HandOut{handOut(later(9 * time.Minute))}, nil,
		},
		"a token for two callers": {
			[]history.HandOut{handOut(nil), handOut(func(o *history.HandOut) { o.Caller = "bob" })},
			[]history.Rule{history.Duplicate},
		},
		"a token that the vendor gave twice, for two callers": {
			[]history.HandOut{
				handOut(func(o *history.HandOut) { o.Token, o.Life = "given twice", 15*time.Minute }),
				handOut(func(o *history.HandOut) { o.Token, o.Caller = "given twice", "bob" }),
			},
			[]history.Rule{history.Repeated},
		},
		"another caller's replay under the same key": {
			[]history.HandOut{handOut(keyed), handOut(func(o *history.HandOut) { replayed(o); o.Caller = "bob" })},
			[]history.Rule{history.Duplicate},
		},
		"twice without a key": {
			[]history.HandOut{handOut(nil), handOut(nil)}, []history.Rule{history.Twice},
		},
		"twice under two keys": {
			[]history.HandOut{handOut(keyed), handOut(func(o *history.HandOut) { o.Key, o.Source = "l", history.Replay })},
			[]history.Rule{history.Twice},
		},
		"twice under one key, both times as a new one": {
			[]history.HandOut{handOut(keyed), handOut(keyed)}, []history.Rule{history.Twice},
		},
		"a replay without a key": {
			[]history.HandOut{handOut(func(o *history.HandOut) { o.Source = history.Replay })}, []history.Rule{history.Twice},
		},
		"a token from nowhere": {
			[]history.HandOut{handOut(func(o *history.HandOut) { o.Token = "none" })}, []history.Rule{history.Invented},
		},
		"a token from before it was minted": {
			[]history.HandOut{handOut(func(o *history.HandOut) {
				o.Asked, o.Got = began.Add(-2*time.Second), began.Add(-time.Second)
			})},
			[]history.Rule{history.Invented},
		},
		"a token of another type": {
			[]history.HandOut{handOut(func(o *history.HandOut) { o.Type = "speech" })}, []history.Rule{history.Mistyped},
		},
		"too little life": {
			[]history.HandOut{handOut(later(9*time.Minute + time.Second))}, []history.Rule{history.Expired},
		},
		"more life stated than there is": {
			[]history.HandOut{handOut(func(o *history.HandOut) { o.Life = 15 * time.Minute })}, []history.Rule{history.Expired},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := history.New(history.Config{TokenLifetime: 15 * time.Minute, MinimumLife: 5 * time.Minute})
			h.Mint(history.Mint{Token: "one", Type: "scribe", At: began})
			for range 2 {
				h.Mint(history.Mint{Token: "given twice", Type: "scribe", At: began})
			}
			for _, o := range test.handOuts {
				h.HandOut(o)
			}
			wantRules(t, h, test.want)
		})
	}
}

func TestWhatNeedsRedisIsJudgedInASteadyRun(t *testing.T) {
	t.Parallel()
	limits := limit.Limits{PerUser: limit.Rate{Count: 3, Period: 30 * time.Second}, Global: limit.Rate{Count: 5, Period: 50 * time.Second}}
	// at are the seconds at which each caller gets a token.
	tests := map[string]struct {
		at   map[string][]int
		want []history.Rule
	}{
		"a burst and what comes back":          {map[string][]int{"ada": {0, 0, 0, 10, 20, 30}}, nil},
		"one more than a burst":                {map[string][]int{"ada": {0, 0, 0, 0}}, []history.Rule{history.OverLimit}},
		"too soon after a burst":               {map[string][]int{"ada": {0, 0, 0, 10, 15}}, []history.Rule{history.OverLimit}},
		"a second burst within the period":     {map[string][]int{"ada": {0, 60, 60, 60, 65}}, []history.Rule{history.OverLimit}},
		"each caller has a limit of their own": {map[string][]int{"ada": {0, 0, 0}, "bob": {0, 0}}, nil},
		"all together are over":                {map[string][]int{"ada": {0, 0}, "bob": {0, 0}, "eve": {0, 0}}, []history.Rule{history.OverLimit}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := history.New(history.Config{
				TokenLifetime: 15 * time.Minute, MinimumLife: 5 * time.Minute,
				Steady: &history.Steady{Limits: limits, ReplayWindow: time.Minute},
			})
			for caller, seconds := range test.at {
				for i, second := range seconds {
					token := fmt.Sprint(caller, i)
					at := began.Add(time.Duration(second) * time.Second)
					h.Mint(history.Mint{Token: token, Type: "scribe", At: at})
					h.HandOut(history.HandOut{Caller: caller, Token: token, Type: "scribe", Source: history.Minted, Asked: at, Got: at.Add(time.Millisecond)})
					h.HandOut(history.HandOut{Caller: caller, Key: token, Token: token + "'s key", Type: "scribe", Source: history.Replay, Asked: at, Got: at})
					h.Mint(history.Mint{Token: token + "'s key", Type: "scribe", At: at})
				}
			}
			wantRules(t, h, test.want)
		})
	}
	for after, want := range map[time.Duration][]history.Rule{30 * time.Second: {history.OtherKey}, 2 * time.Minute: nil} {
		h := history.New(history.Config{TokenLifetime: 15 * time.Minute, Steady: &history.Steady{ReplayWindow: time.Minute}})
		for token, at := range map[string]time.Time{"one": began, "two": began.Add(after)} {
			h.Mint(history.Mint{Token: token, Type: "scribe", At: at})
			h.HandOut(history.HandOut{Caller: "ada", Key: "k", Token: token, Type: "scribe", Source: history.Pool, Asked: at, Got: at})
		}
		wantRules(t, h, want)
	}
}

func wantRules(t *testing.T, h *history.History, want []history.Rule) {
	t.Helper()
	var broken []history.Rule
	for _, v := range h.Violations() {
		broken = append(broken, v.Rule)
	}
	if !slices.Equal(broken, want) {
		t.Errorf("broken: %v, want %v", h.Violations(), want)
	}
}

func TestTheSummaryCountsWhatWasWrittenDown(t *testing.T) {
	t.Parallel()
	h := history.New(history.Config{TokenLifetime: 15 * time.Minute, MinimumLife: 5 * time.Minute})
	for _, token := range []string{"one", "two", "two"} {
		h.Mint(history.Mint{Token: token, Type: "scribe", At: began})
	}
	h.HandOut(handOut(nil))
	h.HandOut(handOut(func(o *history.HandOut) { o.Caller = "bob" }))
	h.Refuse("rate_limited")
	h.Fault("cut", 2)
	h.Fault("kill", 1)
	s := h.Summary()
	if s.Requests != 3 || s.Granted[history.Pool] != 2 || s.Refused["rate_limited"] != 1 || s.Minted != 2 || s.Repeats != 1 || s.Broken[history.Duplicate] != 1 {
		t.Errorf("summary = %+v", s)
	}
	for _, line := range []string{"requests     3", "granted      2 (pool 2)", "faults       3 (cut 2, kill 1)", "duplicate    1", "expired      0"} {
		if !strings.Contains(s.String(), line) {
			t.Errorf("no line %q in\n%s", line, s)
		}
	}
}
