package dispenser

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"farebox/internal/limit"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/redis/go-redis/v9"
)

// store is Redis as the dispenser uses it. All its keys lie in one slot.
type store struct {
	client redis.UniversalClient
	slot   string // "{prefix:0}:", what every key begins with
	pool   string // which pool is this one's
	cfg    Config
	// breaker spares callers the wait for a Redis that is away.
	breaker                                           circuitbreaker.CircuitBreaker[any]
	claims, settles, frees, reserves, puts, remembers *script
	// clock is the server's time as it was last told, with who told it.
	clock atomic.Pointer[clock]
}

const (
	defaultRedisTimeout = 250 * time.Millisecond
	// failureLife is how long a claim's failure is told to those who wait on
	// it; they ask every pollLast at the latest.
	failureLife = 2 * time.Second
	// claimMargin is what a claim outlives the longest mint by.
	claimMargin = 5 * time.Second
)

var errRedisAway = errors.New("redis is away")

//go:embed scripts/owner.lua
var ownerSource string

//go:embed scripts/claim.lua
var claimSource string

//go:embed scripts/settle.lua
var settleSource string

//go:embed scripts/release.lua
var releaseSource string

//go:embed scripts/reserve.lua
var reserveSource string

//go:embed scripts/remember.lua
var rememberSource string

//go:embed scripts/put.lua
var putSource string

func newStore(cfg Config, pool string) *store {
	if cfg.RedisTimeout == 0 {
		cfg.RedisTimeout = defaultRedisTimeout
	}
	return &store{
		client: cfg.Redis,
		slot:   "{" + cfg.Prefix + ":0}:",
		pool:   pool,
		cfg:    cfg,
		breaker: circuitbreaker.NewBuilder[any]().
			WithFailureThreshold(3).WithSuccessThreshold(1).WithDelay(time.Second).Build(),
		claims:  newScript(ownerSource + claimSource),
		settles: newScript(settleSource), frees: newScript(releaseSource),
		reserves: newScript(ownerSource + reserveSource), puts: newScript(ownerSource + putSource),
		remembers: newScript(rememberSource),
	}
}

type outcome string

const (
	outcomeGranted outcome = "granted" // charged, and claimed where there is a key
	outcomeReplay  outcome = "replay"
	outcomePending outcome = "pending"
	outcomeFailed  outcome = "failed"
	outcomeReused  outcome = "reused"
	outcomeLimited outcome = "limited"
)

// decision is what the claim script said.
type decision struct {
	outcome outcome
	clock

	claim   string // pending: who is at it
	sealed  []byte // replay: the kept answer; granted: a token out of the pool, or nil
	pooled  bool   // sealed is as the pool has it
	failure error  // failed: what the claim that was waited on ended with
	limited limit.Name
	states  []limit.State // granted, limited
}

// claimLife is how long a claim or a reservation lives where nobody ends it:
// longer than the longest mint.
func (s *store) claimLife() time.Duration { return s.cfg.mintBudget() + claimMargin }

func (s *store) userKeys(a *attempt) []string {
	keys := make([]string, len(a.callers))
	for i, caller := range a.callers {
		keys[i] = s.slot + "u:" + caller + ":" + string(a.Type)
	}
	return keys
}

func (s *store) tokenKeys(hashes []string) []string {
	keys := make([]string, len(hashes))
	for i, hash := range hashes {
		keys[i] = s.slot + "t:" + hash
	}
	return keys
}

func (s *store) attemptKeys(a *attempt) []string {
	keys := make([]string, len(a.keys))
	for i, key := range a.keys {
		keys[i] = s.slot + "r:" + key
	}
	return keys
}

func (s *store) globalKey() string              { return s.slot + "g" }
func (s *store) failureKey(claim string) string { return s.slot + "f:" + claim }
func microseconds(d time.Duration) int64        { return d.Microseconds() }
func milliseconds(d time.Duration) int64        { return max(d.Milliseconds(), 1) }
func flag(b bool) string                        { return map[bool]string{true: "1", false: "0"}[b] }

// claim decides a request. An error means that Redis did not answer; the claim
// may have been made all the same.
func (s *store) claim(ctx context.Context, a *attempt) (decision, error) {
	keys := append([]string{s.globalKey(), s.poolKey(a.Type)}, s.userKeys(a)...)
	if a.keyed() {
		keys = append(keys, s.attemptKeys(a)...)
		keys = append(keys, s.failureKey(a.waitingOn))
	}
	reply, err := s.run(ctx, s.claims, keys,
		len(a.callers), a.claim, a.fingerprint, milliseconds(s.claimLife()), a.useless,
		microseconds(a.Limits.PerUser.Interval()), a.Limits.PerUser.Count, a.Limits.PerUserDaily,
		microseconds(a.Limits.Global.Interval()), a.Limits.Global.Count,
		flag(s.cfg.Pool.Max > 0), s.cfg.Pool.Owner, microseconds(s.cfg.Pool.MaxAge), milliseconds(s.cfg.ReplayWindow))
	if err != nil {
		return decision{}, err
	}
	asOf := s.cfg.Now()
	d, err := parseDecision(reply, a.Limits)
	d.asOf = asOf
	if d.owner != "" {
		s.clock.Store(&d.clock)
	}
	return d, err
}

func parseDecision(reply any, limits limit.Limits) (decision, error) {
	fields, err := textFields(reply)
	if err != nil || len(fields) < 2 {
		return decision{}, errOddAnswer
	}
	d := decision{outcome: outcome(fields[0]), clock: clock{now: parseMicros(fields[1])}}
	switch {
	case d.outcome == outcomeReused:
	case d.outcome == outcomePending && len(fields) == 3:
		d.claim = fields[2]
	case d.outcome == outcomeReplay && len(fields) == 4:
		d.pooled, d.sealed = fields[2] == "q", []byte(fields[3])
	case d.outcome == outcomeFailed && len(fields) == 3:
		d.failure = decodeFailure(fields[2])
	case d.outcome == outcomeGranted && len(fields) == 8, d.outcome == outcomeLimited && len(fields) == 6:
		d.limited = limit.Name(fields[2])
		used, _ := strconv.Atoi(fields[4])
		d.states = states(limits, parseMicros(fields[3]), used, parseMicros(fields[5]), d.now)
		if d.outcome == outcomeGranted {
			d.owner = fields[6]
		}
		if d.outcome == outcomeGranted && fields[7] != "" {
			d.pooled, d.sealed = true, []byte(fields[7])
		}
	default:
		return decision{}, errOddAnswer
	}
	return d, nil
}

var errOddAnswer = errors.New("a script answered something else")

// textFields reads an answer that is a list of texts.
func textFields(reply any) ([]string, error) {
	list, ok := reply.([]any)
	if !ok {
		return nil, errOddAnswer
	}
	fields := make([]string, len(list))
	for i, field := range list {
		if fields[i], ok = field.(string); !ok {
			return nil, errOddAnswer
		}
	}
	return fields, nil
}

// states lists what is left of each limit, the global one last.
func states(limits limit.Limits, userTAT time.Time, used int, globalTAT, now time.Time) []limit.State {
	var all []limit.State
	if !limits.PerUser.IsZero() {
		all = append(all, limits.PerUser.State(limit.PerUser, userTAT, now))
	}
	if limits.PerUserDaily > 0 {
		all = append(all, limit.DailyState(limits.PerUserDaily, used, now))
	}
	if !limits.Global.IsZero() {
		all = append(all, limits.Global.State(limit.Global, globalTAT, now))
	}
	return all
}

func parseMicros(text string) time.Time {
	us, _ := strconv.ParseInt(text, 10, 64)
	return time.UnixMicro(us)
}

// settle keeps the answer of a claim, or of an attempt that was served out of
// the pool. False means that another has taken its place.
func (s *store) settle(ctx context.Context, a *attempt, sealed []byte) (bool, error) {
	standing := "p" + a.fingerprint + a.claim
	if a.pooled != nil {
		standing = "q" + a.fingerprint + string(a.pooled)
	}
	reply, err := s.run(ctx, s.settles, s.attemptKeys(a)[:1],
		standing, "d"+a.fingerprint+string(sealed), milliseconds(s.cfg.ReplayWindow))
	return reply == int64(1), err
}

// release ends an attempt that failed with cause. What it cannot reach expires.
func (s *store) release(ctx context.Context, a *attempt, d decision, cause error) error {
	keys := []string{s.globalKey(), s.userKeys(a)[0]}
	if a.keyed() {
		keys = append(keys, s.attemptKeys(a)[0], s.failureKey(a.claim))
	} else if !mayGiveBack(cause) {
		return nil
	}
	day, _ := limit.Day(d.now)
	_, err := s.run(ctx, s.frees, keys,
		a.claim, a.fingerprint, encodeFailure(cause), milliseconds(failureLife),
		flag(mayGiveBack(cause)), microseconds(a.Limits.PerUser.Interval()), microseconds(a.Limits.Global.Interval()), day)
	if err != nil {
		s.cfg.Log.DebugContext(ctx, "a failed attempt was not released", "error", err)
	}
	return err
}

// remember reports whether a token is new to all replicas.
func (s *store) remember(ctx context.Context, hashes []string) (bool, error) {
	reply, err := s.run(ctx, s.remembers, s.tokenKeys(hashes), milliseconds(s.cfg.TokenLifetime))
	return reply == int64(1), err
}

// ping reports whether Redis answers.
func (s *store) ping(ctx context.Context) bool {
	_, err := s.do(ctx, func(ctx context.Context) *redis.Cmd { return redis.NewCmd(ctx, "ping") })
	return err == nil
}

// do sends one command once, in RedisTimeout, whatever becomes of the caller:
// what was sent is to be known as exactly as can be.
func (s *store) do(ctx context.Context, command func(context.Context) *redis.Cmd) (any, error) {
	if !s.breaker.TryAcquirePermit() {
		return nil, errRedisAway
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.RedisTimeout)
	defer cancel()
	cmd := once{command(ctx)}
	err := s.client.Process(ctx, cmd)
	if err == nil || errors.Is(err, redis.Nil) || isNoScript(err) {
		s.breaker.RecordSuccess()
		s.cfg.RedisState.Up()
		return cmd.Val(), err
	}
	s.breaker.RecordFailure()
	s.cfg.RedisState.Down(reason(err))
	s.cfg.Log.DebugContext(ctx, "a call to redis failed", "error", err)
	return nil, fmt.Errorf("%w: %w", errRedisAway, err)
}

// reason is a short word for why Redis did not answer.
func reason(err error) string {
	var answered redis.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, redis.ErrPoolTimeout):
		return "timeout"
	case errors.As(err, &answered):
		code, _, _ := strings.Cut(answered.Error(), " ")
		return "refused: " + strings.ToLower(strings.Trim(code, ":"))
	default:
		return "unreachable"
	}
}
