package dispenser

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/redis/go-redis/v9"
)

// shard is one slot of Redis. A part of the callers has everything in it: their
// limits and attempts, and a share of each pool, so that one script can decide
// a request. There is one shard, or on a cluster some, on its several servers.
type shard struct {
	index int
	slot  string // "{prefix:index}:", what its keys begin with
	// breaker spares callers the wait for a server that is away.
	breaker circuitbreaker.CircuitBreaker[any]
	down    atomic.Bool
	// clock is the server's time as it was last told, with who told it.
	clock atomic.Pointer[clock]
}

// clusterShards is how many shards a cluster gets, as long as Redis says no
// other number: enough for a handful of primaries, and few enough that a pool
// or a global limit cut into as many is still one.
const clusterShards = 8

func newShard(prefix string, index int) *shard {
	return &shard{index: index, slot: "{" + prefix + ":" + strconv.Itoa(index) + "}:", breaker: newBreaker()}
}

func newBreaker() circuitbreaker.CircuitBreaker[any] {
	return circuitbreaker.NewBuilder[any]().
		WithFailureThreshold(3).WithSuccessThreshold(1).WithDelay(time.Second).Build()
}

// spread is where among the shards something belongs, whatever their number. It
// takes no secret, since rotating that must not move anybody; it tells three
// bits of a hash to who reads Redis.
func spread(parts ...string) uint32 {
	var all []byte
	for _, part := range parts {
		all = binary.BigEndian.AppendUint64(all, uint64(len(part)))
		all = append(all, part...)
	}
	sum := sha256.Sum256(all)
	return binary.BigEndian.Uint32(sum[:4])
}

// shards returns all of them. Where it is not known yet what Redis is, it asks,
// and an error means that there was no answer.
func (s *store) shards(ctx context.Context) ([]*shard, error) {
	if known := s.known.Load(); known != nil {
		return *known, nil
	}
	s.asking.Lock()
	defer s.asking.Unlock()
	if known := s.known.Load(); known != nil {
		return *known, nil
	}
	first := newShard(s.cfg.Prefix, 0)
	if !s.unasked.TryAcquirePermit() {
		return nil, errRedisAway
	}
	ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.RedisTimeout)
	defer cancel()
	clustered, err := s.cfg.Redis.Clustered(ask)
	if err != nil {
		s.unasked.RecordFailure()
		s.cfg.RedisState.Down(reason(err))
		s.cfg.Log.DebugContext(ctx, "redis does not say what it is", "error", err)
		return nil, fmt.Errorf("%w: %w", errRedisAway, err)
	}
	s.unasked.RecordSuccess()
	all := []*shard{first}
	if clustered {
		count, err := s.agreeOnShards(ctx, first)
		if err != nil {
			return nil, err
		}
		for i := 1; i < count; i++ {
			all = append(all, newShard(s.cfg.Prefix, i))
		}
	}
	s.known.Store(&all)
	return all, nil
}

// agreeOnShards has all replicas use the number of shards that the first of
// them wrote down.
func (s *store) agreeOnShards(ctx context.Context, first *shard) (int, error) {
	reply, err := s.run(ctx, first, s.agrees, []string{first.slot + "n"}, clusterShards)
	if err != nil {
		return 0, err
	}
	text, _ := reply.(string)
	count, err := strconv.Atoi(text)
	if err != nil || count < 1 || count > mostShards {
		return 0, errOddAnswer
	}
	return count, nil
}

// mostShards bounds what is believed of Redis.
const mostShards = 1024

// at returns the shard of something that is spread.
func at(shards []*shard, spread uint32) *shard { return shards[int(spread%uint32(len(shards)))] }

// share is what shard index of n has of a total.
func share(total, index, n int) int {
	if index < total%n {
		return total/n + 1
	}
	return total / n
}

// watch reports whether all of Redis answers, as far as one call to each shard
// that was down, and to the others in turn, can say.
func (s *store) watch(ctx context.Context) bool {
	shards, err := s.shards(ctx)
	if err != nil {
		return false
	}
	turn := int(s.turn.Add(1)) % len(shards)
	well := true
	for i, sh := range shards {
		if i != turn && !sh.down.Load() {
			continue
		}
		_, err := s.do(ctx, sh, func(ctx context.Context) *redis.Cmd { return redis.NewCmd(ctx, "exists", sh.slot+"g") })
		well = well && err == nil
	}
	return well
}
