package revocation

import (
	"context"
	"crypto/rand"
	_ "embed"
	"strconv"
	"time"

	"farebox/internal/shard"
)

//go:embed look.lua
var lookSource string

// watch is what is known of Redis' own list.
type watch struct {
	last   string         // the last id of the log that was read
	owners map[int]string // who the shards' servers were
	away   map[int]bool   // shards that did not answer
	turn   int
}

const beginning = "0-0"

func newWatch() watch {
	return watch{last: beginning, owners: map[int]string{}, away: map[int]bool{}}
}

// lookEvery is how long an ending takes to hold on all replicas, at most.
const lookEvery = 500 * time.Millisecond

// Run reads what other replicas end, and writes back what Redis has lost, until
// ctx ends. It is to run once.
func (l *List) Run(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		l.look(ctx)
		l.forget()
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// look asks the first shard what is new, and it, the next in turn and those that
// did not answer who they are.
func (l *List) look(ctx context.Context) {
	all, err := l.cfg.Shards.All(ctx)
	if err != nil {
		return
	}
	l.settleDebts(all)
	w := &l.watch
	w.turn = (w.turn + 1) % len(all)
	for i, sh := range all {
		if i != 0 && i != w.turn && !w.away[i] {
			continue
		}
		owner, err := l.read(ctx, sh)
		if err != nil {
			w.away[i] = true
			continue
		}
		if known, ok := w.owners[i]; ok && owner != known || w.away[i] {
			l.oweKnown(sh)
			if i == 0 {
				w.last = beginning // its log may be another
			}
		}
		w.owners[i] = owner
		delete(w.away, i)
		if lacking := l.debts(i); len(lacking) > 0 {
			if err := l.write(ctx, sh, lacking); err != nil {
				w.away[i] = true
				l.cfg.Log.DebugContext(ctx, "endings of sessions could not be written back", "error", err)
			}
		}
	}
}

// read keeps what is new in the log, which only the first shard has, and
// returns which server and which life of its data it was.
func (l *List) read(ctx context.Context, sh *shard.Shard) (owner string, err error) {
	news := 0
	defer func() {
		if news > 0 {
			l.cfg.Log.InfoContext(ctx, "sessions were ended", "endings", news)
		}
	}()
	for {
		reply, err := l.cfg.Shards.Run(ctx, sh, l.scripts.look, []string{logKey(sh), sh.Key("epoch")}, l.cfg.FixedOwner, l.watch.last, batch, rand.Text())
		if err != nil {
			return "", err
		}
		fields, err := shard.Texts(reply)
		if err != nil || len(fields)%4 != 2 {
			return "", shard.ErrOddAnswer
		}
		now := l.cfg.Now()
		for entry := fields[2:]; len(entry) > 0; entry = entry[4:] {
			at, _ := strconv.ParseInt(entry[2], 10, 64)
			life, _ := strconv.ParseInt(entry[3], 10, 64)
			if l.learn(entry[1], mark{at: time.UnixMicro(at), until: now.Add(time.Duration(life) * time.Millisecond)}) {
				news++
			}
			l.watch.last = entry[0]
		}
		if len(fields) < 2+4*batch {
			return fields[0] + fields[1], nil
		}
	}
}

// settleDebts shares out what was owed when it was not known how many shards
// there are.
func (l *List) settleDebts(all []*shard.Shard) {
	l.mu.Lock()
	owed := l.unwritten[unknownShard]
	delete(l.unwritten, unknownShard)
	l.mu.Unlock()
	for hash := range owed {
		for _, sh := range all {
			l.owe(sh.Index, hash)
		}
	}
}

func (l *List) debts(index int) (hashes []string) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for hash := range l.unwritten[index] {
		hashes = append(hashes, hash)
	}
	return hashes
}

// oweKnown notes that a shard may lack all that is known.
func (l *List) oweKnown(sh *shard.Shard) {
	l.mu.RLock()
	hashes := make([]string, 0, len(l.ends))
	for hash := range l.ends {
		hashes = append(hashes, hash)
	}
	l.mu.RUnlock()
	for _, hash := range hashes {
		l.owe(sh.Index, hash)
	}
}

// forget drops what no session can be old enough for.
func (l *List) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.cfg.Now()
	for hash, e := range l.ends {
		if !now.Before(e.until) {
			delete(l.ends, hash)
		}
	}
}
