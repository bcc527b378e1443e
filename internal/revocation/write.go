package revocation

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"farebox/internal/shard"
)

var (
	//go:embed end.lua
	endSource string
	//go:embed acked.lua
	ackedSource string
)

// ErrUnconfirmed is an ending that Redis has taken, and none of its replicas in
// time: a fail-over in that moment may lose it, until it is written back.
var ErrUnconfirmed = errors.New("no replica of redis has confirmed it in time")

// batch is how many endings one script writes or reads.
const batch = 500

func logKey(sh *shard.Shard) string { return sh.Key("ended") }

// owe notes that a shard may lack an ending.
func (l *List) owe(index int, hash string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unwritten[index] == nil {
		l.unwritten[index] = map[string]bool{}
	}
	l.unwritten[index][hash] = true
}

// unknownShard stands for all of them as long as it is not known how many there
// are.
const unknownShard = -1

func (l *List) oweAll(hash string) { l.owe(unknownShard, hash) }

// write writes endings to one shard; each may be there already.
func (l *List) write(ctx context.Context, sh *shard.Shard, hashes []string) error {
	for len(hashes) > 0 {
		some := hashes[:min(len(hashes), batch)]
		hashes = hashes[len(some):]
		now := l.cfg.Now()
		keys := []string{logKey(sh)}
		args := []any{map[bool]string{true: "1", false: "0"}[sh.Index == 0], strconv.FormatInt(now.Add(-l.cfg.Lifetime).UnixMilli(), 10)}
		written := map[string]time.Time{}
		l.mu.RLock()
		for _, hash := range some {
			if e, ok := l.ends[hash]; ok && now.Before(e.until) {
				written[hash] = e.at
				keys = append(keys, markKey(sh, hash))
				args = append(args, hash, e.at.UnixMicro(), max(e.until.Sub(now).Milliseconds(), 1))
			}
		}
		l.mu.RUnlock()
		if len(keys) > 1 {
			if _, err := l.cfg.Shards.Run(ctx, sh, l.scripts.end, keys, args...); err != nil {
				return err
			}
		}
		l.mu.Lock()
		for _, hash := range some {
			// A later ending may have come meanwhile.
			if l.ends[hash].at.Equal(written[hash]) {
				delete(l.unwritten[sh.Index], hash)
			}
		}
		l.mu.Unlock()
	}
	return nil
}

const (
	// ackTimeout is how long a replica gets; it reports once a second.
	ackTimeout = 3 * time.Second
	ackPause   = 50 * time.Millisecond
)

// awaitReplicas is awaitReplica for all shards at once.
func (l *List) awaitReplicas(ctx context.Context, all []*shard.Shard) error {
	errs := make([]error, len(all))
	var waiting sync.WaitGroup
	for i, sh := range all {
		waiting.Go(func() { errs[i] = l.awaitReplica(ctx, sh) })
	}
	waiting.Wait()
	return errors.Join(errs...)
}

// awaitReplica waits until a replica of the shard's server has all that was
// written to it by now. A server that has none, or does not say, is enough.
func (l *List) awaitReplica(ctx context.Context, sh *shard.Shard) error {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	var written int64
	for first := true; ; first = false {
		reply, err := l.cfg.Shards.Run(ctx, sh, l.scripts.acked, []string{logKey(sh)})
		if err != nil {
			return err
		}
		fields, err := shard.Texts(reply)
		if err != nil || len(fields) != 3 {
			return fmt.Errorf("%w: %w", shard.ErrAway, shard.ErrOddAnswer)
		}
		if first {
			written, _ = strconv.ParseInt(fields[1], 10, 64)
		}
		most, _ := strconv.ParseInt(fields[2], 10, 64)
		if fields[0] == "" || fields[0] == "0" || most >= written {
			return nil
		}
		select {
		case <-ctx.Done():
			return ErrUnconfirmed
		case <-time.After(ackPause):
		}
	}
}
