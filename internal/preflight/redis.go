package preflight

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"farebox/internal/shard"
)

var (
	//go:embed rights.lua
	rightsSource string
	//go:embed eviction.lua
	evictionSource string
)

const (
	// RedisTimeout bounds one call. It is longer than serve's, so that a Redis
	// that is only slow is told from one that is away.
	RedisTimeout = 3 * time.Second
	// serveTimeout is what serve gives one call.
	serveTimeout = 250 * time.Millisecond
)

// redisChecks are the checks of one Redis. They are not for concurrent use.
type redisChecks struct {
	Redis
	shards *shard.Set
	why    *why
}

// why remembers why Redis was away the last time.
type why struct{ reason string }

func (w *why) Up()                {}
func (w *why) Down(reason string) { w.reason = reason }

func newRedisChecks(redis Redis) (*redisChecks, error) {
	w := &why{}
	shards, err := shard.New(shard.Config{
		Redis: redis.Conn, Prefix: redis.Prefix, Timeout: RedisTimeout, State: w, Log: slog.New(slog.DiscardHandler),
	})
	return &redisChecks{Redis: redis, shards: shards, why: w}, err
}

func (r *redisChecks) answers(ctx context.Context) Result {
	all, err := r.shards.All(ctx)
	if err != nil {
		return r.away()
	}
	slowest := time.Duration(0)
	for _, sh := range all {
		// The first call may have to connect; the second is like most of serve's.
		var start time.Time
		for range 2 {
			start = time.Now()
			if _, err := r.shards.Do(ctx, sh, "exists", sh.Key("check")); err != nil || ctx.Err() != nil {
				return r.away()
			}
		}
		slowest = max(slowest, time.Since(start))
	}
	is := "one server"
	switch {
	case r.FixedOwner != "":
		return warn("it is embedded: limits, replay and ended sessions are lost with the process", "set REDIS_URL to a server where there is more than one replica")
	case r.Sentinel:
		is = "the primary that Sentinel names"
	case len(all) > 1:
		is = fmt.Sprintf("a cluster, used in %d shards", len(all))
	}
	if slowest > serveTimeout {
		return warn(fmt.Sprintf("it answers, but in %d ms; it is %s", slowest.Milliseconds(), is), fmt.Sprintf("a call of more than %d ms counts as lost: have it nearer", serveTimeout.Milliseconds()))
	}
	return ok("it answers; it is " + is)
}

// away is a Redis that gave no answer to work with.
func (r *redisChecks) away() Result {
	mend := "look at REDIS_URL, and whether this server can reach it"
	switch {
	case strings.Contains(r.why.reason, "noauth"), strings.Contains(r.why.reason, "wrongpass"):
		mend = "look at the user and password in REDIS_URL"
	case strings.Contains(r.why.reason, "noperm"):
		mend = "give the user the rights in docs/redis.md, on keys that begin with {" + r.Prefix + ":"
	case strings.Contains(r.why.reason, "readonly"):
		mend = "set REDIS_URL to the primary; this is a replica"
	case strings.Contains(r.why.reason, "oom"):
		mend = "give Redis more memory"
	}
	return fail("Redis does not serve this ("+cmp.Or(r.why.reason, "it is away")+")", mend)
}

// eachShard runs a script on every shard.
func (r *redisChecks) eachShard(ctx context.Context, script *shard.Script, names []string, args ...any) ([]any, error) {
	all, err := r.shards.All(ctx)
	if err != nil {
		return nil, err
	}
	var replies []any
	for _, sh := range all {
		keys := make([]string, len(names))
		for i, name := range names {
			keys[i] = sh.Key(name)
		}
		reply, err := r.shards.Run(ctx, sh, script, keys, args...)
		if err == nil {
			err = ctx.Err() // a call goes on without it, but not the next
		}
		if err != nil {
			return nil, err
		}
		replies = append(replies, reply)
	}
	return replies, nil
}

func (r *redisChecks) scripts(ctx context.Context) Result {
	replies, err := r.eachShard(ctx, shard.NewScript(rightsSource), []string{"check", "check:l", "check:z", "check:x"})
	if err != nil {
		return r.away()
	}
	var commands []string
	var complaints string
	for _, reply := range replies {
		failed, err := shard.Texts(reply)
		if err != nil || len(failed)%2 != 0 {
			return fail("a script answered something else than it can", "look at what stands between: it must pass EVAL and EVALSHA on as they are")
		}
		for pair := range slices.Chunk(failed, 2) {
			commands = append(commands, "+"+strings.ToLower(pair[0]))
			complaints += pair[1] + "\n"
		}
	}
	if len(commands) == 0 {
		return ok("it runs the scripts, and all commands that they use")
	}
	slices.Sort(commands)
	return failingCommands(strings.Join(slices.Compact(commands), " "), complaints)
}

// failingCommands says what Redis has against commands, by its own words, which
// are not passed on.
func failingCommands(commands, complaints string) Result {
	switch {
	case strings.Contains(complaints, "READONLY"):
		return fail("it is a replica, which takes no writes", "set REDIS_URL to the primary")
	case strings.Contains(complaints, "OOM"):
		return fail("its memory is full", "give Redis more memory")
	case strings.Contains(strings.ToLower(complaints), "unknown"):
		return fail("it does not know commands that the scripts use: "+commands, "use Redis 6.2 or later, or Valkey")
	default:
		return fail("the user may not run commands that the scripts use", "give it "+commands+"; docs/redis.md has the whole line")
	}
}

func (r *redisChecks) fence(ctx context.Context) Result {
	if r.PoolOff {
		return ok("not needed: FAREBOX_POOL_MAX=0 turns the pool off")
	}
	replies, err := r.eachShard(ctx, shard.NewScript(shard.OwnerSource, "return owner(ARGV[1])"), []string{"check"}, r.FixedOwner)
	if err != nil {
		return r.away()
	}
	for _, reply := range replies {
		if owner, _ := reply.(string); len(owner) != shard.OwnerSize {
			return warn("a script cannot read who the server is, so the pool is off and each token is minted when it is asked for", "let the user call INFO (+info); where the service does not offer it in scripts, set FAREBOX_POOL_MAX=0")
		}
	}
	return ok("a script can read who the server is, so a fail-over cannot bring back a token")
}

// Eviction checks, as Run does among others, whether Redis evicts keys.
func Eviction(ctx context.Context, redis Redis) (Result, error) {
	if redis.Conn == nil {
		return Result{}, errors.New("preflight: a required field is missing")
	}
	checks, err := newRedisChecks(redis)
	if err != nil {
		return Result{}, err
	}
	return checks.eviction(ctx), nil
}

func (r *redisChecks) eviction(ctx context.Context) Result {
	if r.FixedOwner != "" {
		return ok("the embedded Redis evicts nothing")
	}
	replies, err := r.eachShard(ctx, shard.NewScript(evictionSource), []string{"check"})
	if err != nil {
		return r.away()
	}
	for _, reply := range replies {
		switch policy, _ := reply.(string); policy {
		case "noeviction":
		case "":
			return warn("it cannot be asked whether it evicts keys", "see to it that maxmemory-policy is noeviction")
		default:
			return warn("maxmemory-policy is "+policy+": full memory forgets limits and ended sessions", "set maxmemory-policy noeviction")
		}
	}
	return ok("maxmemory-policy is noeviction")
}
