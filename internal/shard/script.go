package shard

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Script is a Lua script, run by its hash and loaded where the server does not
// know it. It is immutable.
type Script struct{ source, hash string }

// NewScript returns the script of the sources, one after the other.
func NewScript(sources ...string) *Script {
	source := strings.Join(sources, "\n")
	sum := sha1.Sum([]byte(source)) // what EVALSHA asks for
	return &Script{source: source, hash: hex.EncodeToString(sum[:])}
}

// OwnerSource defines, for scripts that come after it, owner(fixed): who the
// server is, new at every start and every promotion.
//
//go:embed owner.lua
var OwnerSource string

// OwnerSize is the length of what owner returns, where it is not "".
const OwnerSize = 32

// ErrOddAnswer is a script that answered something else than it can.
var ErrOddAnswer = errors.New("a script answered something else")

// Run runs a script once, over keys that all lie in one shard. An error wraps
// ErrAway, and then the script may have run all the same.
func (s *Set) Run(ctx context.Context, sh *Shard, script *Script, keys []string, args ...any) (any, error) {
	return run(script, keys, args, func(line []any) (any, error) { return s.Do(ctx, sh, line...) })
}

const evalsha = "evalsha"

// run has do send the line that runs a script.
func run(script *Script, keys []string, args []any, do func(line []any) (any, error)) (any, error) {
	line := make([]any, 0, 3+len(keys)+len(args))
	line = append(line, evalsha, script.hash, len(keys))
	for i := range keys {
		if i == 0 {
			line = append(line, keys[0]) // by which a cluster's server is found
			continue
		}
		line = append(line, &keys[i]) // which costs no copy
	}
	line = append(line, args...)
	reply, err := do(line)
	if isNoScript(err) {
		// Nothing ran, so sending it again repeats nothing.
		line[0], line[1] = "eval", script.source
		return do(line)
	}
	return reply, err
}

func isNoScript(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer) && strings.HasPrefix(answer.Error(), "NOSCRIPT")
}

// Texts reads an answer that is a list of texts.
func Texts(reply any) ([]string, error) {
	list, ok := reply.([]any)
	if !ok {
		return nil, ErrOddAnswer
	}
	texts := make([]string, len(list))
	for i, text := range list {
		if texts[i], ok = text.(string); !ok {
			return nil, ErrOddAnswer
		}
	}
	return texts, nil
}
