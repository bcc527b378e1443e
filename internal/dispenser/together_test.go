package dispenser

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"farebox/internal/identity"
	"farebox/internal/limit"
	"farebox/internal/revocation"
	"farebox/internal/secret"
	"farebox/internal/shard"
	vendorclient "farebox/vendor_client"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

// server is a Redis in this process.
type server struct{ *redis.Client }

func (server) Clustered(context.Context) (bool, error) { return false, nil }

func (s server) Process(ctx context.Context, cmd redis.Cmder) error {
	return s.Client.Process(ctx, cmd)
}

type unobserved struct{}

func (unobserved) Up()         {}
func (unobserved) Down(string) {}

type noVendor struct{}

func (noVendor) Mint(context.Context, vendorclient.TokenType) (vendorclient.Token, error) {
	panic("nothing is minted")
}

// newOver returns a dispenser that mints nothing and has its pools, of the owner,
// at a Redis, sealed by these API keys. The caller closes it.
func newOver(t rapid.TB, redis shard.Redis, owner string, now func() time.Time, secrets []secret.Text, keys ...string) *Dispenser {
	t.Helper()
	hasher, err := identity.NewHasher(secrets)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	shards, err := shard.New(shard.Config{Redis: redis, Prefix: "test", Timeout: time.Minute, State: unobserved{}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	revocations, err := revocation.New(revocation.Config{Shards: shards, Hasher: hasher, Lifetime: time.Hour, Now: now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ofRing := vendorclient.RingConfig{Host: "vendor.example", Now: now, Log: log}
	for _, key := range keys {
		ofRing.Keys = append(ofRing.Keys, secret.New(key))
	}
	ring, err := vendorclient.NewRing(ofRing)
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(Config{
		Vendor: noVendor{}, VendorHost: "vendor.example", Keys: ring, Shards: shards, Revocations: revocations,
		Secrets: secrets, Hasher: hasher, TokenLifetime: 15 * time.Minute, ReplayWindow: time.Minute, RequestTimeout: 10 * time.Second, MintTimeout: time.Second,
		Pool: Pool{Max: 10, MaxAge: 5 * time.Minute, Owner: owner}, MintConcurrency: 8,
		VendorState: unobserved{}, PoolState: unobserved{}, Now: now, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// aSecret is a deployment's.
var aSecret = []secret.Text{secret.New("a secret of the deployment, of more than 32 bytes")}

// claimer asks the claim script.
type claimer struct {
	d      *Dispenser
	redis  *miniredis.Miniredis
	shard  *shard.Shard
	pool   []*vendorclient.Key
	script *shard.Script
	now    time.Time
	close  func()
}

// newClaimer returns one with a Redis of its own, which close ends.
func newClaimer(t rapid.TB, secrets ...secret.Text) *claimer {
	t.Helper()
	mini, err := miniredis.Run()
	if err != nil {
		t.Fatal(err)
	}
	c := &claimer{
		redis: mini, now: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC),
		script: shard.NewScript(shard.OwnerSource, poolSource, claimSource),
	}
	c.redis.SetTime(c.now)
	client := redis.NewClient(&redis.Options{Addr: c.redis.Addr()})
	c.d = newOver(t, server{client}, samePlace, func() time.Time { return c.now }, secrets, "key", "another")
	c.pool = c.d.cfg.Keys.Keys()
	all, err := c.d.cfg.Shards.All(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	c.shard = all[0]
	c.close = func() {
		_ = c.d.Close(context.Background())
		_ = client.Close()
		mini.Close()
	}
	return c
}

// lay puts entries into the pool of a key, the oldest first.
func (c *claimer) lay(t rapid.TB, key int, owner, sealed string, age time.Duration) {
	t.Helper()
	entry := fmt.Sprintf("%s%016d%s", owner, c.now.Add(-age).UnixMicro(), sealed)
	if _, err := c.redis.Push(poolKey(c.shard, c.pool[key].ID(), vendorclient.RealtimeScribe), entry); err != nil {
		t.Fatal(err)
	}
}

// together has attempts of one kind decided by one run.
func (c *claimer) together(t rapid.TB, attempts ...*attempt) []decision {
	t.Helper()
	kind := c.d.store.kindOf(attempts[0], c.shard, 1, c.pool)
	keys, args := kind.Common(nil, nil)
	for _, a := range attempts {
		if k := c.d.store.kindOf(a, c.shard, 1, c.pool); k != kind {
			t.Fatalf("%+v and %+v are of two kinds", kind, k)
		}
		ownKeys, ownArgs := kind.own(a)
		keys, args = append(keys, ownKeys...), append(args, ownArgs...)
	}
	reply, err := c.d.cfg.Shards.Run(context.Background(), c.shard, c.script, keys, args...)
	if err != nil {
		t.Fatal(err)
	}
	answers, _ := reply.([]any)
	if len(answers) != 1+len(attempts) {
		t.Fatalf("%d answers to %d attempts", len(answers), len(attempts))
	}
	var all []decision
	for _, own := range answers[1:] {
		d, err := parseDecision(answers[0], own, kind.limits, c.pool)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

func (c *claimer) attempt(user, key, fingerprint string, limits limit.Limits) *attempt {
	return c.d.newAttempt(Request{
		Issuer: "issuer", Subject: user, SessionID: "session of " + user, IssuedAt: c.now, Type: vendorclient.RealtimeScribe,
		Limits: limits, IdempotencyKey: key, Fingerprint: fingerprint,
	})
}

// said is what a decision comes to, but for whom it was made.
func said(d decision) string {
	text := fmt.Sprint(d.outcome, " ", d.limited, " ", string(d.sealed), " ", d.pooled, " ", len(d.keys))
	for _, s := range d.states {
		text += fmt.Sprint(" ", s)
	}
	return text
}

// Requests that one run decides end as if they had come one after the other, in
// all that they are told and all that is left in Redis. Only who repeats a key
// in the run that claims it is told to wait, and finds the answer then.
func TestTogetherIsAsOneAfterTheOther(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var secrets []secret.Text
		for i := range rapid.IntRange(1, 2).Draw(rt, "secrets") {
			secrets = append(secrets, secret.New(fmt.Sprint("secret ", i, " of the deployment, of more than 32 bytes")))
		}
		one, other := newClaimer(rt, secrets...), newClaimer(rt, secrets...)
		defer one.close()
		defer other.close()
		limits := limit.Limits{
			PerUser:      limit.Rate{Count: rapid.IntRange(0, 3).Draw(rt, "rate"), Period: time.Minute},
			PerUserDaily: rapid.IntRange(0, 4).Draw(rt, "daily"),
			Global:       limit.Rate{Count: rapid.IntRange(0, 6).Draw(rt, "global"), Period: time.Second},
		}
		for i := range rapid.IntRange(0, 6).Draw(rt, "ready") {
			key := rapid.IntRange(0, 1).Draw(rt, "pool")
			owner := rapid.SampledFrom([]string{samePlace, samePlace, "an earlier one of thirty-two cha"}).Draw(rt, "owner")
			age := rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour}).Draw(rt, "age")
			one.lay(t, key, owner, fmt.Sprint("sealed", i), age)
			other.lay(t, key, owner, fmt.Sprint("sealed", i), age)
		}
		keyed := rapid.Bool().Draw(rt, "keyed")
		for range rapid.IntRange(1, 3).Draw(rt, "runs") {
			var batch, single []*attempt
			for range rapid.IntRange(1, 5).Draw(rt, "attempts") {
				user, key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "user"), ""
				if keyed {
					key = rapid.SampledFrom([]string{"k", "l"}).Draw(rt, "key")
				}
				print := rapid.SampledFrom([]string{"x", "x", "y"}).Draw(rt, "fingerprint")
				a, b := one.attempt(user, key, print, limits), other.attempt(user, key, print, limits)
				b.claim = a.claim
				batch, single = append(batch, a), append(single, b)
			}
			got := one.together(rt, batch...)
			claimed := map[string]bool{}
			drops := dropped{}
			for i, b := range single {
				want := other.together(rt, b)[0]
				drops.fenced += want.dropped.fenced - got[i].dropped.fenced
				drops.expired += want.dropped.expired - got[i].dropped.expired
				if keyed {
					id := b.keys[0]
					if got[i].outcome == outcomePending && want.outcome == outcomeReplay && claimed[id] {
						continue
					}
					claimed[id] = claimed[id] || want.outcome == outcomeGranted
				}
				if diff := cmp.Diff(said(want), said(got[i])); diff != "" {
					rt.Fatalf("attempt %d: %s", i, diff)
				}
			}
			if drops != (dropped{}) {
				rt.Fatalf("what was dropped differs by %+v", drops)
			}
			if diff := cmp.Diff(other.redis.Dump(), one.redis.Dump()); diff != "" {
				rt.Fatalf("what is left differs: %s", diff)
			}
			forward := rapid.SampledFrom([]time.Duration{0, time.Second, 30 * time.Second, 24 * time.Hour}).Draw(rt, "forward")
			for _, c := range []*claimer{one, other} {
				c.now = c.now.Add(forward)
				c.redis.SetTime(c.now)
				c.redis.FastForward(forward)
			}
		}
	})
}

// A caller who comes twice in one run has what is left of the limit, not twice of it.
func TestOneRunGrantsNoMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	c := newClaimer(t, aSecret...)
	defer c.close()
	limits := limit.Limits{PerUser: limit.Rate{Count: 2, Period: time.Minute}}
	var outcomes []outcome
	for _, d := range c.together(t, c.attempt("a", "", "", limits), c.attempt("a", "", "", limits), c.attempt("b", "", "", limits), c.attempt("a", "", "", limits)) {
		outcomes = append(outcomes, d.outcome)
	}
	want := []outcome{outcomeGranted, outcomeGranted, outcomeGranted, outcomeLimited}
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Error(diff)
	}
}
