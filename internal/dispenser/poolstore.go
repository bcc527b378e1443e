package dispenser

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"farebox/internal/poolplan"
	"farebox/internal/shard"
	vendorclient "farebox/vendor_client"
)

// clock is Redis' time at a moment of this machine's, and which server told it.
type clock struct {
	owner string    // "" where the script did not ask, or may not
	now   time.Time // Redis' time
	asOf  time.Time // this machine's time when the answer came
}

// at is local in Redis' time. It is early rather than late, by the time of the
// answer's way, so a token never looks younger than it is.
func (c *clock) at(local time.Time) time.Time { return c.now.Add(local.Sub(c.asOf)) }

// local is what was at in Redis' time. It errs like at.
func (c *clock) local(at time.Time) time.Time { return c.asOf.Add(at.Sub(c.now)) }

func poolKey(sh *shard.Shard, pool string, t vendorclient.TokenType) string {
	return sh.Key("p:" + pool + ":" + string(t))
}

func reservationsKey(sh *shard.Shard, pool string, t vendorclient.TokenType) string {
	return sh.Key("m:" + pool + ":" + string(t))
}

func demandKey(sh *shard.Shard, pool string, t vendorclient.TokenType) string {
	return sh.Key("d:" + pool + ":" + string(t))
}

// reservation is what a replica was allotted of the pool's refill.
type reservation struct {
	clock *clock   // nil where the server does not say who it is: then there is no pool
	ready int      // tokens in the pool
	ids   []string // one for each token to mint
}

// refillRound asks for a share of the refill.
type refillRound struct {
	id          string        // makes reservations' ids
	want        int           // tokens to mint at most
	demand      float64       // this replica's, in tokens a second
	lead        time.Duration // until a token that is missing now can be had
	least, most int           // tokens in the pool
	unsure      *refillRound  // an earlier one whose answer was lost; nil for none
}

// reserve tells this replica's demand and asks for tokens to mint.
func (s *store) reserve(ctx context.Context, sh *shard.Shard, t vendorclient.TokenType, replica string, round refillRound) (reservation, error) {
	lost := refillRound{}
	if round.unsure != nil {
		lost = *round.unsure
		lost.id += ":"
	}
	reply, err := s.cfg.Shards.Run(ctx, sh, s.reserves,
		[]string{poolKey(sh, s.pool, t), reservationsKey(sh, s.pool, t), demandKey(sh, s.pool, t)},
		s.cfg.Pool.Owner, microseconds(s.cfg.Pool.MaxAge), replica, strconv.FormatFloat(round.demand, 'f', 3, 64),
		strconv.FormatFloat(round.lead.Seconds(), 'f', 3, 64), round.least, round.most, round.want,
		microseconds(s.claimLife()), round.id+":", lost.id, lost.want, poolplan.Margin, poolplan.Spread)
	if err != nil {
		return reservation{}, err
	}
	asOf := s.cfg.Now()
	fields, err := shard.Texts(reply)
	if err != nil || len(fields) != 4 {
		return reservation{}, shard.ErrOddAnswer
	}
	if fields[0] == "" {
		return reservation{}, nil
	}
	r := reservation{clock: &clock{owner: fields[0], now: parseMicros(fields[1]), asOf: asOf}}
	mint, _ := strconv.Atoi(fields[2])
	r.ready, _ = strconv.Atoi(fields[3])
	for i := range mint {
		r.ids = append(r.ids, fmt.Sprint(round.id, ":", i+1))
	}
	return r, nil
}

// fresh is a token on its way into the pool of a shard.
type fresh struct {
	of       vendorclient.TokenType
	clock    *clock
	mintedAt time.Time // by clock
	sealed   []byte
	hashes   []string // to be remembered in the same step; nil where that was done
	reserved string   // the reservation that ends with it; "" for none
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
	keys := []string{poolKey(sh, s.pool, f.of), reservationsKey(sh, s.pool, f.of)}
	reply, err := s.cfg.Shards.Run(ctx, sh, s.puts, append(keys, tokenKeys(sh, f.hashes)...),
		s.cfg.Pool.Owner, f.clock.owner, fmt.Sprintf("%016d", f.mintedAt.UnixMicro()), f.sealed,
		microseconds(s.cfg.Pool.MaxAge), most, milliseconds(s.cfg.TokenLifetime), f.reserved)
	became, _ := reply.(string)
	return became, err
}

// What becomes of a token that is put, beside that it may not fit.
const (
	putKept     = "kept"
	putRepeated = "repeated"
)

// take takes a sealed token out of a pool for a caller of another shard; nil
// where there is none.
func (s *store) take(ctx context.Context, sh *shard.Shard, t vendorclient.TokenType) (*clock, []byte, error) {
	reply, err := s.cfg.Shards.Run(ctx, sh, s.takes, []string{poolKey(sh, s.pool, t)}, s.cfg.Pool.Owner, microseconds(s.cfg.Pool.MaxAge))
	if err != nil {
		return nil, nil, err
	}
	asOf := s.cfg.Now()
	fields, err := shard.Texts(reply)
	if err != nil || len(fields) != 3 {
		return nil, nil, shard.ErrOddAnswer
	}
	if fields[2] == "" {
		return nil, nil, nil
	}
	return &clock{owner: fields[0], now: parseMicros(fields[1]), asOf: asOf}, []byte(fields[2]), nil
}

// free ends a reservation that brought no token for the pool.
func (s *store) free(ctx context.Context, sh *shard.Shard, t vendorclient.TokenType, reserved string) error {
	_, err := s.cfg.Shards.Do(ctx, sh, "zrem", reservationsKey(sh, s.pool, t), reserved)
	return err
}

func tokenKeys(sh *shard.Shard, hashes []string) []string {
	keys := make([]string, len(hashes))
	for i, hash := range hashes {
		keys[i] = sh.Key("t:" + hash)
	}
	return keys
}

// remember reports whether a token is new to all replicas. It lies in a shard
// of its own choice, since the vendor may repeat it to whoever asks.
func (s *store) remember(ctx context.Context, token tokenHashes) (bool, error) {
	shards, err := s.cfg.Shards.All(ctx)
	if err != nil {
		return false, err
	}
	sh := shard.At(shards, token.spread)
	reply, err := s.cfg.Shards.Run(ctx, sh, s.remembers, tokenKeys(sh, token.hashes), milliseconds(s.cfg.TokenLifetime))
	return reply == int64(1), err
}

func parseMicros(text string) time.Time {
	us, _ := strconv.ParseInt(text, 10, 64)
	return time.UnixMicro(us)
}
