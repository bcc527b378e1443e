package dispenser

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"farebox/internal/poolplan"
	"farebox/internal/shard"
	vendorclient "farebox/vendor_client"
)

// clock is Redis' time at a moment of this machine's.
type clock struct {
	now time.Time // Redis' time
	// This machine's time before it was asked, and when the answer came. The
	// server told its own somewhere in between.
	asked, asOf time.Time
}

// at is local in Redis' time. It is early rather than late, by the time of the
// answer's way, so a token never looks younger than it is.
func (c *clock) at(local time.Time) time.Time { return c.now.Add(local.Sub(c.asOf)) }

// local is what was at in Redis' time. It errs like at, by the time of the
// question's way.
func (c *clock) local(at time.Time) time.Time { return c.asked.Add(at.Sub(c.now)) }

// serverClock is a clock, and which server told it.
type serverClock struct {
	clock
	owner string
}

// Each API key has pools of its own: what it has minted can be used for as long
// as it can, and no replica takes what it cannot open.

func poolKey(sh *shard.Shard, id string, t vendorclient.TokenType) string {
	return sh.Key("p:" + id + ":" + string(t))
}

// idsOf are the ids of pools' keys, in one text.
func idsOf(pools []*vendorclient.Key) string {
	if len(pools) == 1 {
		return pools[0].ID() // as it is nearly always
	}
	ids := make([]string, len(pools))
	for i, pool := range pools {
		ids[i] = pool.ID()
	}
	return strings.Join(ids, between)
}

// between parts ids, which have none of it.
const between = " "

// appendPoolKeys appends those of the pools with these ids, as idsOf has them.
func appendPoolKeys(keys []string, sh *shard.Shard, ids string, t vendorclient.TokenType) []string {
	for id := range strings.FieldsSeq(ids) {
		keys = append(keys, poolKey(sh, id, t))
	}
	return keys
}

func reservationsKey(sh *shard.Shard, pool *vendorclient.Key, t vendorclient.TokenType) string {
	return sh.Key("m:" + pool.ID() + ":" + string(t))
}

func demandKey(sh *shard.Shard, pool *vendorclient.Key, t vendorclient.TokenType) string {
	return sh.Key("d:" + pool.ID() + ":" + string(t))
}

// reservation is what a replica was allotted of the pool's refill.
type reservation struct {
	clock   *serverClock // nil where the server does not say who it is: then there is no pool
	ready   int          // tokens in the pool
	target  int          // how many there are to be
	dropped dropped
	slots   []*slot // one for each token to mint
}

// slot is a place in a pool that is kept for a token under way.
type slot struct {
	pool *vendorclient.Key
	id   string
}

// refillRound asks for a share of the refill.
type refillRound struct {
	pool        *vendorclient.Key
	id          string        // makes reservations' ids
	want        int           // tokens to mint at most
	demand      float64       // this replica's, in tokens a second
	lead        time.Duration // until a token that is missing now can be had
	least, most int           // tokens in the pool
	unsure      *refillRound  // an earlier one of this pool whose answer was lost; nil for none
}

// reserve tells this replica's demand and asks for tokens to mint.
func (s *store) reserve(ctx context.Context, sh *shard.Shard, t vendorclient.TokenType, replica string, round refillRound) (reservation, error) {
	lost := refillRound{}
	if round.unsure != nil {
		lost = *round.unsure
		lost.id += ":"
	}
	asked := s.cfg.Now()
	reply, err := s.cfg.Shards.Run(ctx, sh, s.reserves,
		[]string{poolKey(sh, round.pool.ID(), t), reservationsKey(sh, round.pool, t), demandKey(sh, round.pool, t)},
		s.cfg.Pool.Owner, microseconds(s.cfg.Pool.MaxAge), replica, strconv.FormatFloat(round.demand, 'f', 3, 64),
		strconv.FormatFloat(round.lead.Seconds(), 'f', 3, 64), round.least, round.most, round.want,
		microseconds(s.claimLife()), round.id+":", lost.id, lost.want, poolplan.Margin, poolplan.Spread)
	if err != nil {
		return reservation{}, err
	}
	asOf := s.cfg.Now()
	fields, err := shard.Texts(reply)
	if err != nil || len(fields) != 6 {
		return reservation{}, shard.ErrOddAnswer
	}
	if fields[0] == "" {
		return reservation{}, nil
	}
	r := reservation{clock: &serverClock{clock{now: parseMicros(fields[1]), asked: asked, asOf: asOf}, fields[0]}}
	mint, _ := strconv.Atoi(fields[2])
	r.ready, _ = strconv.Atoi(fields[3])
	r.target, _ = strconv.Atoi(fields[4])
	r.dropped = parseDropped(fields[5])
	for i := range mint {
		r.slots = append(r.slots, &slot{round.pool, fmt.Sprint(round.id, ":", i+1)})
	}
	return r, nil
}

// fresh is a token on its way into the pool of a shard.
type fresh struct {
	of       vendorclient.TokenType
	pool     *vendorclient.Key
	clock    *serverClock
	mintedAt time.Time // by clock
	sealed   string
	hashes   []string // to be remembered in the same step; nil where that was done
	reserved *slot    // that ends with it; nil for none
}

// putNew is put for a token that nobody has remembered yet: in the same step
// where that lies in the same shard, and in one before otherwise.
func (s *store) putNew(ctx context.Context, sh *shard.Shard, f fresh, token tokenHashes, most int) (string, error) {
	shards, err := s.cfg.Shards.All(ctx)
	if err != nil {
		return "", err
	}
	if shard.At(shards, token.spread) == sh {
		f.hashes = token.hashes
		return s.put(ctx, sh, f, most)
	}
	isNew, err := s.remember(ctx, token)
	if err != nil {
		return "", err
	}
	if !isNew {
		return putRepeated, nil
	}
	return s.put(ctx, sh, f, most)
}

// put lays a token into a pool that holds most at most. What did not certainly
// fit is thrown away. It returns what became of it.
func (s *store) put(ctx context.Context, sh *shard.Shard, f fresh, most int) (string, error) {
	reserved := cmp.Or(f.reserved, &slot{pool: f.pool})
	kind := putKind{store: s, shard: sh, pool: f.pool, of: f.of, most: most, hashes: len(f.hashes)}
	args := []any{f.clock.owner, fmt.Sprintf("%016d", f.mintedAt.UnixMicro()), f.sealed, reserved.id}
	_, own, err := s.puts.Run(ctx, sh, kind, []string{reservationsKey(sh, reserved.pool, f.of)}, withHashes(args, f.hashes))
	became, ok := own.(string)
	if err == nil && !ok {
		err = shard.ErrOddAnswer
	}
	return became, err
}

// putKind is what tokens have in common that are put together.
type putKind struct {
	store  *store
	shard  *shard.Shard
	pool   *vendorclient.Key
	of     vendorclient.TokenType
	most   int
	hashes int // of each token
}

// Common implements shard.Kind.
func (k putKind) Common(keys []string, args []any) ([]string, []any) {
	cfg := &k.store.cfg
	keys = append(append(keys, poolKey(k.shard, k.pool.ID(), k.of)), givenKeys(k.shard)...)
	return keys, append(args, cfg.Pool.Owner, microseconds(cfg.Pool.MaxAge), k.most, milliseconds(cfg.TokenLifetime), k.hashes)
}

// What becomes of a token that is put: it is kept, or else why it was thrown away.
const (
	putKept     = "kept"
	putRepeated = string(DiscardRepeated)
)

// take takes a sealed token out of the first of the pools that has one, for a
// caller of another shard; no entry where there is none.
func (s *store) take(ctx context.Context, sh *shard.Shard, t vendorclient.TokenType, pools []*vendorclient.Key) (taken, error) {
	asked := s.cfg.Now()
	reply, err := s.cfg.Shards.Run(ctx, sh, s.takes, appendPoolKeys(nil, sh, idsOf(pools), t), s.cfg.Pool.Owner, microseconds(s.cfg.Pool.MaxAge))
	if err != nil {
		return taken{}, err
	}
	asOf := s.cfg.Now()
	fields, err := shard.Texts(reply)
	if err != nil || len(fields) != 4 {
		return taken{}, shard.ErrOddAnswer
	}
	from, _ := strconv.ParseInt(fields[2], 10, 64)
	return taken{
		clock:  clock{now: parseMicros(fields[0]), asked: asked, asOf: asOf},
		sealed: fields[1], keys: only(pools, from), dropped: parseDropped(fields[3]),
	}, nil
}

// taken is what came out of a pool.
type taken struct {
	clock   clock
	sealed  string              // "" where there was nothing
	keys    []*vendorclient.Key // the one whose pool it was
	dropped dropped
}

// free ends a reservation that brought no token for the pool.
func (s *store) free(ctx context.Context, sh *shard.Shard, t vendorclient.TokenType, reserved *slot) error {
	_, err := s.cfg.Shards.Do(ctx, sh, "zrem", reservationsKey(sh, reserved.pool, t), reserved.id)
	return err
}

// givenKeys are the sets of what the vendor gave, which take turns.
func givenKeys(sh *shard.Shard) []string {
	return []string{sh.Key("t:0"), sh.Key("t:1"), sh.Key("t:2")}
}

func withHashes(args []any, hashes []string) []any {
	for _, hash := range hashes {
		args = append(args, hash)
	}
	return args
}

// remember reports whether a token is new to all replicas. It lies in a shard
// of its own choice, since the vendor may repeat it to whoever asks.
func (s *store) remember(ctx context.Context, token tokenHashes) (bool, error) {
	shards, err := s.cfg.Shards.All(ctx)
	if err != nil {
		return false, err
	}
	sh := shard.At(shards, token.spread)
	kind := rememberKind{shard: sh, hashes: len(token.hashes), life: s.cfg.TokenLifetime}
	_, isNew, err := s.remembers.Run(ctx, sh, kind, nil, withHashes(nil, token.hashes))
	return isNew == int64(1), err
}

// rememberKind is what tokens have in common that are remembered together.
type rememberKind struct {
	shard  *shard.Shard
	hashes int // of each token
	life   time.Duration
}

// Common implements shard.Kind.
func (k rememberKind) Common(keys []string, args []any) ([]string, []any) {
	return append(keys, givenKeys(k.shard)...), append(args, milliseconds(k.life), k.hashes)
}

func parseMicros(text string) time.Time {
	us, _ := strconv.ParseInt(text, 10, 64)
	return time.UnixMicro(us)
}
