package dispenser

import (
	"context"
	"crypto/sha1"
	_ "embed"
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

var (
	//go:embed scripts/pool.lua
	poolSource string
	//go:embed scripts/claim.lua
	claimSource string
	//go:embed scripts/take.lua
	takeSource string
	//go:embed scripts/settle.lua
	settleSource string
	//go:embed scripts/release.lua
	releaseSource string
	//go:embed scripts/reserve.lua
	reserveSource string
	//go:embed scripts/put.lua
	putSource string
	//go:embed scripts/remember.lua
	rememberSource string
	//go:embed scripts/agree.lua
	agreeSource string
	//go:embed scripts/end.lua
	endSource string
)

// scripts are all that there are, each described at its head.
type scripts struct {
	claims, takes, settles, releases, reserves, puts, remembers, agrees, ends *script
}

func newScripts() scripts {
	return scripts{
		claims: newScript(poolSource + claimSource), takes: newScript(poolSource + takeSource),
		settles: newScript(settleSource), releases: newScript(releaseSource),
		reserves: newScript(poolSource + reserveSource), puts: newScript(poolSource + putSource),
		remembers: newScript(rememberSource), agrees: newScript(agreeSource),
		ends: newScript(endSource),
	}
}

// run runs a script over keys that all lie in one shard.
func (s *store) run(ctx context.Context, sh *shard, sc *script, keys []string, args ...any) (any, error) {
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
	reply, err := s.do(ctx, sh, call("evalsha", sc.hash))
	if isNoScript(err) {
		// Nothing ran, so sending it again repeats nothing.
		return s.do(ctx, sh, call("eval", sc.source))
	}
	return reply, err
}

func isNoScript(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") }

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
