package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	_ "embed"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/redis/go-redis/v9"
)

// Redis is the connection to Redis. It is safe for concurrent use.
type Redis interface {
	// Process sends one command, and never again where it may have run.
	Process(ctx context.Context, cmd redis.Cmder) error
	// Clustered reports whether keys are spread over the servers of a cluster;
	// an error where no server has answered yet.
	Clustered(ctx context.Context) (bool, error)
}

// Observer is told of a dependency's state as it is met. It is safe for
// concurrent use and cheap to call again and again.
type Observer interface {
	Up()
	Down(reason string)
}

// Tracer begins the spans of commands. It is safe for concurrent use.
type Tracer interface {
	// Command begins a span. The context is the command's, and the function ends
	// the span with a word for why it failed, "" where it did not.
	Command(ctx context.Context, name string) (context.Context, func(failed string))
}

// Config is what a Set needs. Every field is required unless said otherwise.
type Config struct {
	Redis  Redis
	Prefix string // first part of every key
	// Timeout bounds one call, after which Redis counts as away; 0 is 250 ms.
	Timeout time.Duration
	State   Observer // up where all shards are
	Tracer  Tracer   // nil: nothing is traced
	Log     *slog.Logger
}

// Set is all shards. It is safe for concurrent use.
type Set struct {
	cfg     Config
	known   atomic.Pointer[[]*Shard] // nil until it is known what Redis is
	asking  chan struct{}            // has a place for who asks that
	first   *Shard
	unasked circuitbreaker.CircuitBreaker[any]
	downs   atomic.Int32 // shards that are down
}

const (
	defaultTimeout = 250 * time.Millisecond
	// onCluster is how many shards a cluster gets, as long as Redis says no
	// other number: enough for a handful of primaries, and few enough that a
	// pool or a limit cut into as many is still one.
	onCluster = 8
	// most bounds what is believed of Redis.
	most = 1024
)

var (
	// ErrAway is a Redis that did not answer, or not in time.
	ErrAway = errors.New("redis is away")
	// ErrUnsent is an ErrAway of which it is certain that nothing was sent.
	ErrUnsent = fmt.Errorf("%w, and is left alone", ErrAway)
)

//go:embed agree.lua
var agreeSource string

// New returns a Set. It does not wait for Redis.
func New(cfg Config) (*Set, error) {
	if cfg.Redis == nil || cfg.Prefix == "" || cfg.State == nil || cfg.Log == nil {
		return nil, errors.New("shard: a required field is missing")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	return &Set{cfg: cfg, unasked: newBreaker(), asking: make(chan struct{}, 1), first: newShard(cfg.Prefix, 0)}, nil
}

// All returns all shards, always the same. Where it is not known yet what Redis
// is, it asks, one caller at a time; an error wraps ErrAway.
func (s *Set) All(ctx context.Context) ([]*Shard, error) {
	if known := s.known.Load(); known != nil {
		return *known, nil
	}
	select {
	case s.asking <- struct{}{}: // also for a caller who has gone
	default:
		select {
		case s.asking <- struct{}{}:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnsent, ctx.Err())
		}
	}
	defer func() { <-s.asking }()
	if known := s.known.Load(); known != nil {
		return *known, nil
	}
	if !s.unasked.TryAcquirePermit() {
		return nil, ErrUnsent
	}
	ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Timeout)
	defer cancel()
	clustered, err := s.cfg.Redis.Clustered(ask)
	if err != nil {
		s.unasked.RecordFailure()
		s.cfg.State.Down(reason(err))
		s.cfg.Log.DebugContext(ctx, "redis does not say what it is", "error", err)
		return nil, fmt.Errorf("%w: %w", ErrAway, err)
	}
	s.unasked.RecordSuccess()
	all := []*Shard{s.first}
	if clustered {
		count, err := s.agree(ctx)
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

// agree has all replicas use the number of shards that the first of them wrote
// down.
func (s *Set) agree(ctx context.Context) (int, error) {
	reply, err := s.Run(ctx, s.first, NewScript(agreeSource), []string{s.first.Key("n")}, onCluster)
	if err != nil {
		return 0, err
	}
	text, _ := reply.(string)
	count, err := strconv.Atoi(text)
	if err != nil || count < 1 || count > most {
		return 0, fmt.Errorf("%w: %w", ErrAway, ErrOddAnswer)
	}
	return count, nil
}

// Do sends one command about keys of one shard, once, within the time-out and
// whatever becomes of ctx: what was sent is to be known as exactly as can be.
// An error wraps ErrAway, or is the server's own NOSCRIPT.
func (s *Set) Do(ctx context.Context, sh *Shard, words ...any) (any, error) {
	return s.do(ctx, sh, s.traced, words)
}

// process sends a command and waits for its answer.
type process func(ctx context.Context, cmd *redis.Cmd) error

// do is Do by a process of its own.
func (s *Set) do(ctx context.Context, sh *Shard, process process, words []any) (any, error) {
	if !sh.breaker.TryAcquirePermit() {
		return nil, ErrUnsent
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Timeout)
	defer cancel()
	cmd := redis.NewCmd(ctx, words...)
	err := process(ctx, cmd)
	if err == nil || errors.Is(err, redis.Nil) || isNoScript(err) {
		s.met(sh)
		if errors.Is(err, redis.Nil) {
			err = nil
		}
		return cmd.Val(), err
	}
	s.missed(sh, err)
	s.cfg.Log.DebugContext(ctx, "a call to redis failed", "error", err)
	return nil, fmt.Errorf("%w: %w", ErrAway, err)
}

func (s *Set) untraced(ctx context.Context, cmd *redis.Cmd) error {
	return s.cfg.Redis.Process(ctx, cmd)
}

func (s *Set) traced(ctx context.Context, cmd *redis.Cmd) error {
	if s.cfg.Tracer == nil {
		return s.untraced(ctx, cmd)
	}
	ctx, end := s.cfg.Tracer.Command(ctx, cmd.Name())
	err := s.untraced(ctx, cmd)
	if errors.Is(err, redis.Nil) || isNoScript(err) {
		end("")
	} else {
		end(reason(err))
	}
	return err
}

// met notes an answer. One that comes late, to a call from before the breaker
// opened, does not close it: others are still turned away.
func (s *Set) met(sh *Shard) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.breaker.RecordSuccess()
	if !sh.breaker.IsClosed() {
		return
	}
	if sh.down.Swap(false) {
		s.downs.Add(-1)
	}
	if s.downs.Load() == 0 {
		s.cfg.State.Up()
	}
}

// missed notes that there was none.
func (s *Set) missed(sh *Shard, err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.breaker.RecordFailure()
	if !sh.down.Swap(true) {
		s.downs.Add(1)
	}
	s.cfg.State.Down(reason(err))
}

// timedOut is the reason of no answer in time.
const timedOut = "timeout"

// reason is a short word for why Redis did not answer; "" where it did.
func reason(err error) string {
	if err == nil {
		return ""
	}
	answered, isAnswer := errors.AsType[redis.Error](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, redis.ErrPoolTimeout):
		return timedOut
	case isAnswer:
		code, _, _ := strings.Cut(answered.Error(), " ")
		return "refused: " + strings.ToLower(strings.Trim(code, ":"))
	default:
		return "unreachable"
	}
}
