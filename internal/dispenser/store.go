package dispenser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/redis/go-redis/v9"
)

// store is Redis as the dispenser uses it.
type store struct {
	cfg  Config
	pool string // which pool is this one's
	scripts

	known   atomic.Pointer[[]*shard] // nil until it is known what Redis is
	asking  sync.Mutex               // held while that is asked
	unasked circuitbreaker.CircuitBreaker[any]
	turn    atomic.Uint32 // which shard is looked at next
	downs   atomic.Int32  // shards that are down
}

const (
	defaultRedisTimeout = 250 * time.Millisecond
	// failureLife is how long a claim's failure is told to those who wait on
	// it; they ask every pollLast at the latest.
	failureLife = 2 * time.Second
	// claimMargin is what a claim outlives the longest mint by.
	claimMargin = 5 * time.Second
)

var (
	errRedisAway = errors.New("redis is away")
	errOddAnswer = errors.New("a script answered something else")
)

func newStore(cfg Config, pool string) *store {
	if cfg.RedisTimeout == 0 {
		cfg.RedisTimeout = defaultRedisTimeout
	}
	return &store{cfg: cfg, pool: pool, scripts: newScripts(), unasked: newBreaker()}
}

// claimLife is how long a claim or a reservation lives where nobody ends it:
// longer than the longest mint.
func (s *store) claimLife() time.Duration { return s.cfg.mintBudget() + claimMargin }

// do sends one command once, in RedisTimeout, whatever becomes of the caller:
// what was sent is to be known as exactly as can be.
func (s *store) do(ctx context.Context, sh *shard, command func(context.Context) *redis.Cmd) (any, error) {
	if !sh.breaker.TryAcquirePermit() {
		return nil, errRedisAway
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.RedisTimeout)
	defer cancel()
	cmd := command(ctx)
	err := s.cfg.Redis.Process(ctx, cmd)
	if err == nil || errors.Is(err, redis.Nil) || isNoScript(err) {
		sh.breaker.RecordSuccess()
		if sh.down.Swap(false) {
			s.downs.Add(-1)
		}
		if s.downs.Load() == 0 {
			s.cfg.RedisState.Up()
		}
		return cmd.Val(), err
	}
	sh.breaker.RecordFailure()
	if !sh.down.Swap(true) {
		s.downs.Add(1)
	}
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

func microseconds(d time.Duration) int64 { return d.Microseconds() }
func milliseconds(d time.Duration) int64 { return max(d.Milliseconds(), 1) }

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
