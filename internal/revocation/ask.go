package revocation

import (
	"context"
	"fmt"
	"strconv"

	"farebox/internal/shard"
)

// Ask asks Redis itself, every shard of it, whether a session was ended, for
// who has not run a List long enough to know. An error wraps shard.ErrAway.
func (l *List) Ask(ctx context.Context, m Marks) (ended bool, err error) {
	all, err := l.cfg.Shards.All(ctx)
	if err != nil {
		return false, fmt.Errorf("revocation: %w", err)
	}
	for _, sh := range all {
		line := []any{"mget"}
		for _, key := range m.AppendKeys(nil, sh) {
			line = append(line, key)
		}
		reply, err := l.cfg.Shards.Do(ctx, sh, line...)
		if err != nil {
			return false, fmt.Errorf("revocation: %w", err)
		}
		values, ok := reply.([]any)
		if !ok {
			return false, fmt.Errorf("revocation: %w: %w", shard.ErrAway, shard.ErrOddAnswer)
		}
		for _, value := range values {
			if text, there := value.(string); there && m.endedBy(text) {
				return true, nil
			}
		}
	}
	return false, nil
}

// endedBy reports whether a mark, "<microseconds>", ends the session.
func (m Marks) endedBy(mark string) bool {
	at, err := strconv.ParseInt(mark, 10, 64)
	return err == nil && (m.issuedAt.IsZero() || m.issuedAt.UnixMicro() <= at)
}
