package history

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"farebox/internal/limit"
)

// Rule is a promise that can be broken.
type Rule string

// The rules.
const (
	Duplicate Rule = "duplicate" // one token, two callers
	Repeated  Rule = "repeated"  // likewise, and the vendor had given it twice
	Twice     Rule = "twice"     // one token again for its caller, and no replay under its key
	Invented  Rule = "invented"  // a token that the vendor had not made
	Mistyped  Rule = "mistyped"  // a token of another type
	Expired   Rule = "expired"   // too little of its life is left, or less than the answer states
	OverLimit Rule = "over limit"
	OtherKey  Rule = "another token under one key"
)

// Violation is one promise broken.
type Violation struct {
	Rule Rule
	What string
}

func (v Violation) String() string { return string(v.Rule) + ": " + v.What }

// tolerance is how far two clocks of one machine may drift apart in a run.
const tolerance = 50 * time.Millisecond

// Violations are the promises that were broken so far.
func (h *History) Violations() []Violation {
	h.mu.Lock()
	defer h.mu.Unlock()
	j := &judge{cfg: h.cfg, minted: h.minted, repeats: h.repeats}
	byToken, byKey, byCaller := map[string][]HandOut{}, map[string][]HandOut{}, map[string][]HandOut{}
	var fresh []HandOut
	for _, o := range h.handOuts {
		j.one(o)
		byToken[o.Token] = append(byToken[o.Token], o)
		if o.Key != "" {
			id := fmt.Sprintf("%q under %q", o.Caller, o.Key)
			byKey[id] = append(byKey[id], o)
		}
		if o.Source != Replay {
			fresh = append(fresh, o)
			id := fmt.Sprintf("%q for %s", o.Caller, o.Type)
			byCaller[id] = append(byCaller[id], o)
		}
	}
	for _, token := range slices.Sorted(maps.Keys(byToken)) {
		j.token(byToken[token])
	}
	if h.cfg.Steady == nil {
		return j.found
	}
	for _, id := range slices.Sorted(maps.Keys(byKey)) {
		j.key(id, byKey[id])
	}
	for _, id := range slices.Sorted(maps.Keys(byCaller)) {
		j.rate(id, h.cfg.Steady.Limits.PerUser, byCaller[id])
	}
	j.rate("everybody", h.cfg.Steady.Limits.Global, fresh)
	return j.found
}

type judge struct {
	cfg     Config
	minted  map[string]Mint
	repeats map[string]int
	found   []Violation
}

func (j *judge) broken(rule Rule, format string, args ...any) {
	j.found = append(j.found, Violation{Rule: rule, What: fmt.Sprintf(format, args...)})
}

// one judges a hand-out by itself.
func (j *judge) one(o HandOut) {
	m, known := j.minted[o.Token]
	if !known || m.At.After(o.Got) {
		j.broken(Invented, "%q got %s, which was not minted", o.Caller, o.Token)
		return
	}
	if m.Type != o.Type {
		j.broken(Mistyped, "%q asked for %s and got %s, of type %s", o.Caller, o.Type, o.Token, m.Type)
	}
	// What is left is at most what was left when it was asked for.
	left := min(m.At.Add(j.cfg.TokenLifetime).Sub(o.Asked), j.cfg.TokenLifetime)
	if left < j.cfg.MinimumLife {
		j.broken(Expired, "%q got %s with %v to live", o.Caller, o.Token, left)
	}
	// Of a token that is given again nobody but the vendor knows how old it is.
	if o.Life > left+tolerance && j.repeats[o.Token] == 0 {
		j.broken(Expired, "%q was told that %s has %v to live, and it has %v", o.Caller, o.Token, o.Life, left)
	}
}

// token judges all hand-outs of one token.
func (j *judge) token(all []HandOut) {
	first, fresh := all[0], 0
	for _, o := range all {
		if o.Source != Replay {
			fresh++
		}
		switch {
		case o.Caller != first.Caller && j.repeats[o.Token] > 0:
			j.broken(Repeated, "%s was given twice, and went to %q and to %q", o.Token, first.Caller, o.Caller)
		case o.Caller != first.Caller:
			j.broken(Duplicate, "%s went to %q and to %q", o.Token, first.Caller, o.Caller)
		case o.Key != first.Key:
			j.broken(Twice, "%s went to %q under %q and under %q", o.Token, o.Caller, first.Key, o.Key)
		case o.Key == "" && o.Source == Replay:
			j.broken(Twice, "%s was replayed to %q without a key", o.Token, o.Caller)
		}
	}
	if fresh > 1 && !slices.ContainsFunc(all, func(o HandOut) bool { return o.Caller != first.Caller }) {
		j.broken(Twice, "%s went to %q %d times as a new one", first.Token, first.Caller, fresh)
	}
}

// key judges all answers under one key.
func (j *judge) key(id string, all []HandOut) {
	slices.SortFunc(all, func(a, b HandOut) int { return a.Got.Compare(b.Got) })
	for i, o := range all[1:] {
		if before := all[i]; o.Token != before.Token && o.Got.Sub(before.Asked) < j.cfg.Steady.ReplayWindow {
			j.broken(OtherKey, "%s got %s and, %v later, %s", id, before.Token, o.Got.Sub(before.Got), o.Token)
		}
	}
}

// rate judges fresh hand-outs by their rate: in any span no more than a burst
// and what comes back in that time.
func (j *judge) rate(who string, rate limit.Rate, all []HandOut) {
	if rate.IsZero() {
		return
	}
	// By answers, the hand-outs that lie wholly in a span that begins with a
	// request and ends with an answer are counted as the span grows.
	byAnswer := slices.SortedFunc(slices.Values(all), func(a, b HandOut) int { return a.Got.Compare(b.Got) })
	for _, begin := range byAnswer {
		n := 0
		for _, o := range byAnswer {
			if o.Asked.Before(begin.Asked) {
				continue
			}
			n++
			span := o.Got.Sub(begin.Asked) + tolerance
			if most := rate.Count + int(span/rate.Interval()); n > most {
				j.broken(OverLimit, "%d tokens for %s in %v, %d may pass", n, who, span, most)
				return
			}
		}
	}
}
