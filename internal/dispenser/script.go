package dispenser

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"strings"

	"github.com/redis/go-redis/v9"
)

// script is a Lua script, run by its hash and loaded where the server does not
// know it.
type script struct{ source, hash string }

func newScript(source string) *script {
	sum := sha1.Sum([]byte(source)) // what EVALSHA asks for
	return &script{source: source, hash: hex.EncodeToString(sum[:])}
}

func (s *store) run(ctx context.Context, sc *script, keys []string, args ...any) (any, error) {
	call := func(name, body string) func(context.Context) *redis.Cmd {
		return func(ctx context.Context) *redis.Cmd {
			line := make([]any, 0, 3+len(keys)+len(args))
			line = append(line, name, body, len(keys))
			for _, key := range keys {
				line = append(line, key)
			}
			return redis.NewCmd(ctx, append(line, args...)...)
		}
	}
	reply, err := s.do(ctx, call("evalsha", sc.hash))
	if isNoScript(err) {
		// Nothing ran, so sending it again repeats nothing.
		return s.do(ctx, call("eval", sc.source))
	}
	return reply, err
}

func isNoScript(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") }

// once is a command that go-redis must not repeat by itself after a time-out or
// a lost connection, when it may have run already.
type once struct{ *redis.Cmd }

// NoRetry implements redis.Cmder.
func (once) NoRetry() bool { return true }
