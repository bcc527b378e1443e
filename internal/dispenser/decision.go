package dispenser

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"farebox/internal/limit"
	"farebox/internal/shard"
	vendorclient "farebox/vendor_client"
)

type outcome string

const (
	outcomeGranted outcome = "granted" // charged, and claimed where there is a key
	outcomeReplay  outcome = "replay"
	outcomePending outcome = "pending"
	outcomeFailed  outcome = "failed"
	outcomeReused  outcome = "reused"
	outcomeLimited outcome = "limited"
	outcomeEnded   outcome = "ended"
)

// decision is what the claim script said.
type decision struct {
	outcome outcome
	clock

	claim   string // pending: who is at it
	sealed  string // replay: the kept answer; granted: a token out of a pool, or ""
	pooled  bool   // sealed is as a pool has it, of one of keys
	keys    []*vendorclient.Key
	dropped dropped // granted: what the pools had that was not good
	failure error   // failed: what the claim that was waited on ended with
	limited limit.Name
	states  []limit.State // granted, limited: what is left, as states has it
}

// claim decides a request. An error means that Redis did not answer; the claim
// may have been made all the same.
func (s *store) claim(ctx context.Context, a *attempt) (decision, error) {
	shards, err := s.cfg.Shards.All(ctx)
	if err != nil {
		return decision{}, err
	}
	sh, pools := shard.At(shards, a.spread), s.pools(a)
	kind := s.kindOf(a, sh, len(shards), pools)
	keys, args := kind.own(a)
	asked := s.cfg.Now()
	common, own, err := s.claims.Run(ctx, sh, kind, keys, args)
	if err != nil {
		return decision{}, err
	}
	asOf := s.cfg.Now()
	d, err := parseDecision(common, own, kind.limits, pools)
	d.asked, d.asOf = asked, asOf
	return d, err
}

// claimKind is what attempts have in common that are decided together.
type claimKind struct {
	store          *store
	shard          *shard.Shard
	callers, marks int // hashes of each
	keyed          bool
	limits         limit.Limits
	of             vendorclient.TokenType
	pools          string // their ids
}

// kindOf is that of an attempt in one of n shards.
func (s *store) kindOf(a *attempt, sh *shard.Shard, n int, pools []*vendorclient.Key) claimKind {
	limits := a.Limits
	limits.Global = limits.Global.Share(n)
	return claimKind{
		store: s, shard: sh, callers: len(a.callers), marks: a.marks.Count(), keyed: a.keyed(),
		limits: limits, of: a.Type, pools: idsOf(pools),
	}
}

// own are the keys and arguments of one attempt of the kind. Neither is to be
// changed.
func (k claimKind) own(a *attempt) (keys []string, args []any) {
	keys = a.keysAt(k.shard, a.name())
	if !k.keyed {
		return keys, a.issued
	}
	keys = append(slices.Concat(keys, attemptKeys(k.shard, a)), failureKey(k.shard, a.waitingOn))
	return keys, []any{a.issued[0], a.claim, a.fingerprint, a.useless}
}

// Common implements shard.Kind.
func (k claimKind) Common(keys []string, args []any) ([]string, []any) {
	keys = append(keys, globalKey(k.shard))
	keys = appendPoolKeys(keys, k.shard, k.pools, k.of)
	args = append(args,
		k.callers, k.marks, len(keys)-1, flag(k.keyed),
		microseconds(k.limits.PerUser.Interval()), k.limits.PerUser.Count, k.limits.PerUserDaily,
		microseconds(k.limits.Global.Interval()), k.limits.Global.Count)
	return keys, append(args, k.store.toAllClaims...)
}

// pools are the keys whose pools may serve the attempt. A token that comes out of
// none of them now, but stands under the attempt as it came out of one, is one of
// theirs too, or of no use.
func (s *store) pools(a *attempt) []*vendorclient.Key {
	if s.cfg.Pool.Max == 0 || a.Bespoke != nil {
		return nil
	}
	return s.cfg.Keys.Good(a.Type)
}

// parseDecision reads what the claim script said to all, and to this attempt.
func parseDecision(common, own any, limits limit.Limits, pools []*vendorclient.Key) (decision, error) {
	now, isTime := common.(int64)
	text, isText := own.(string)
	r := reading{rest: text, odd: !isTime || !isText}
	d := decision{outcome: outcome(r.word()), clock: clock{now: time.UnixMicro(now)}}
	switch d.outcome {
	case outcomeReused, outcomeEnded:
	case outcomePending:
		d.claim = r.rest
	case outcomeReplay:
		if r.odd = r.odd || r.rest == ""; !r.odd {
			d.pooled, d.sealed, d.keys = r.rest[0] == 'q', r.rest[1:], pools
		}
	case outcomeFailed:
		d.failure = decodeFailure(r.rest)
	case outcomeLimited:
		d.limited = limit.Name(r.word())
		tat, used, global := r.micros(), int(r.number()), r.micros()
		d.states = states(limits, d.limited, tat, used, global, d.now)
	case outcomeGranted:
		tat, _, used, _ := r.micros(), r.word(), int(r.number()), r.word()
		d.states = states(limits, "", tat, used, time.Time{}, d.now)
		d.dropped = parseDropped(r.word())
		if pool := r.number(); r.rest != "" {
			d.pooled, d.sealed, d.keys = true, r.rest, only(pools, pool)
		}
	default:
		r.odd = true
	}
	if r.odd {
		return decision{}, shard.ErrOddAnswer
	}
	return d, nil
}

// reading reads the words of an answer, and notes where one is of another kind.
type reading struct {
	rest string
	odd  bool
}

func (r *reading) word() (word string) {
	word, r.rest, _ = strings.Cut(r.rest, " ")
	return word
}

func (r *reading) number() int64 {
	number, err := strconv.ParseInt(r.word(), 10, 64)
	r.odd = r.odd || err != nil
	return number
}

func (r *reading) micros() time.Time { return time.UnixMicro(r.number()) }

// only is the pool that a script has taken out of, which counts them from 1.
func only(pools []*vendorclient.Key, n int64) []*vendorclient.Key {
	if n < 1 || n > int64(len(pools)) {
		return nil // which nothing opens under
	}
	return pools[n-1 : n]
}

// states lists what is left of each of the caller's own limits, and of the global
// one where that is what the caller is over.
func states(limits limit.Limits, over limit.Name, userTAT time.Time, used int, globalTAT, now time.Time) []limit.State {
	all := make([]limit.State, 0, 2)
	if !limits.PerUser.IsZero() {
		all = append(all, limits.PerUser.State(limit.PerUser, userTAT, now))
	}
	if limits.PerUserDaily > 0 {
		all = append(all, limit.DailyState(limits.PerUserDaily, used, now))
	}
	if over == limit.Global {
		all = append(all, limits.Global.State(limit.Global, globalTAT, now))
	}
	return all
}

// settle keeps the answer of a claim, or of an attempt that was served out of
// the pool. False means that another has taken its place.
func (s *store) settle(ctx context.Context, a *attempt, sealed string) (bool, error) {
	shards, err := s.cfg.Shards.All(ctx)
	if err != nil {
		return false, err
	}
	standing := "p" + a.fingerprint + a.claim
	if a.pooled != "" {
		standing = "q" + a.fingerprint + a.pooled
	}
	sh := shard.At(shards, a.spread)
	reply, err := s.cfg.Shards.Run(ctx, sh, s.settles, attemptKeys(sh, a)[:1],
		standing, "d"+a.fingerprint+sealed, milliseconds(s.cfg.ReplayWindow))
	return reply == int64(1), err
}

// release ends an attempt that failed with cause. What it cannot reach expires.
func (s *store) release(ctx context.Context, a *attempt, d decision, cause error) error {
	if !a.keyed() && !mayGiveBack(cause) {
		return nil
	}
	shards, err := s.cfg.Shards.All(ctx)
	if err != nil {
		return err
	}
	sh := shard.At(shards, a.spread)
	keys := []string{globalKey(sh), userKey(sh, a.callers[0], a.name())}
	if a.keyed() {
		keys = append(keys, attemptKeys(sh, a)[0], failureKey(sh, a.claim))
	}
	day, _ := limit.Day(d.now)
	_, err = s.cfg.Shards.Run(ctx, sh, s.releases, keys,
		a.claim, a.fingerprint, encodeFailure(cause), milliseconds(failureLife),
		flag(mayGiveBack(cause)), day)
	if err != nil {
		s.cfg.Log.DebugContext(ctx, "a failed attempt was not released", "error", err)
	}
	return err
}

func globalKey(sh *shard.Shard) string                { return sh.Key("g") }
func failureKey(sh *shard.Shard, claim string) string { return sh.Key("f:" + claim) }

func userKey(sh *shard.Shard, caller, name string) string { return sh.Key("u:" + caller + ":" + name) }

func attemptKeys(sh *shard.Shard, a *attempt) []string {
	keys := make([]string, len(a.keys))
	for i, key := range a.keys {
		keys[i] = sh.Key("r:" + key)
	}
	return keys
}
