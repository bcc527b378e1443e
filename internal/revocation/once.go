package revocation

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"farebox/internal/shard"
)

//go:embed once.lua
var onceSource string

// Once reports whether an id of issuer is used for the first time, on whichever
// replica, within life. An error wraps shard.ErrAway, and then it may count as
// used.
func (l *List) Once(ctx context.Context, issuer, id string, life time.Duration) (bool, error) {
	all, err := l.cfg.Shards.All(ctx)
	if err != nil {
		return false, fmt.Errorf("revocation: %w", err)
	}
	sh := shard.At(all, shard.Spread("once", issuer, id))
	var keys []string
	for _, hash := range l.cfg.Hasher.Sums("used once", issuer, id) {
		keys = append(keys, sh.Key("o:"+hash))
	}
	reply, err := l.cfg.Shards.Run(ctx, sh, l.scripts.once, keys, max(life.Milliseconds(), 1))
	if err != nil {
		return false, fmt.Errorf("revocation: %w", err)
	}
	return reply == int64(1), nil
}
