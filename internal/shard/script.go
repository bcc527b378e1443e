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
type Script struct {
	source string
	hash   any // a string, as a command has it
}

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
	line := script.line(len(keys), len(args))
	return s.run(ctx, sh, s.traced, script, append(appendKeys(line, keys), args...))
}

const evalsha = "evalsha"

// line begins the line that runs a script over so many keys, which come next, and
// then so many arguments.
func (s *Script) line(keys, args int) []any {
	return append(make([]any, 0, beforeKeys+keys+args), evalsha, s.hash, keys)
}

// beforeKeys is how many words of a line come before its keys.
const beforeKeys = 3

func appendKeys(line []any, keys []string) []any {
	for i := range keys {
		if len(line) == beforeKeys {
			line = append(line, keys[0]) // by which a cluster's server is found
			continue
		}
		line = append(line, &keys[i]) // which costs no copy
	}
	return line
}

// run sends the line that runs a script by a process of its own.
func (s *Set) run(ctx context.Context, sh *Shard, process process, script *Script, line []any) (any, error) {
	reply, err := s.do(ctx, sh, process, line)
	if isNoScript(err) {
		// Nothing ran, so sending it again repeats nothing.
		line[0], line[1] = "eval", script.source
		return s.do(ctx, sh, process, line)
	}
	return reply, err
}

func isNoScript(err error) bool {
	answer, is := errors.AsType[redis.Error](err)
	return is && strings.HasPrefix(answer.Error(), "NOSCRIPT")
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
