package dispenser

import (
	"context"
	"fmt"
	"strconv"
	"time"

	vendorclient "farebox/vendor_client"

	"github.com/redis/go-redis/v9"
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

func (s *store) poolKey(t vendorclient.TokenType) string         { return s.ofPool("p:", t) }
func (s *store) reservationsKey(t vendorclient.TokenType) string { return s.ofPool("m:", t) }
func (s *store) demandKey(t vendorclient.TokenType) string       { return s.ofPool("d:", t) }

func (s *store) ofPool(kind string, t vendorclient.TokenType) string {
	return s.slot + kind + s.pool + ":" + string(t)
}

// reservation is what a replica was allotted of the pool's refill.
type reservation struct {
	fenced bool     // the server says who it is; without that there is no pool
	ids    []string // one for each token to mint
}

// refillRound asks for a share of the refill.
type refillRound struct {
	id     string        // makes reservations' ids
	want   int           // tokens to mint at most
	demand float64       // this replica's, in tokens a second
	ready  time.Duration // how long the pool is to last
	unsure *refillRound  // an earlier one whose answer was lost; nil for none
}

// reserve tells this replica's demand and asks for tokens to mint.
func (s *store) reserve(ctx context.Context, t vendorclient.TokenType, replica string, round refillRound) (reservation, error) {
	lost := refillRound{}
	if round.unsure != nil {
		lost = *round.unsure
		lost.id += ":"
	}
	reply, err := s.run(ctx, s.reserves, []string{s.poolKey(t), s.reservationsKey(t), s.demandKey(t)},
		s.cfg.Pool.Owner, microseconds(s.cfg.Pool.MaxAge), replica, strconv.FormatFloat(round.demand, 'f', 3, 64),
		strconv.FormatFloat(round.ready.Seconds(), 'f', 3, 64), s.cfg.Pool.Min, s.cfg.Pool.Max, round.want,
		microseconds(s.claimLife()), round.id+":", lost.id, lost.want)
	if err != nil {
		return reservation{}, err
	}
	asOf := s.cfg.Now()
	fields, err := textFields(reply)
	if err != nil || len(fields) != 3 {
		return reservation{}, errOddAnswer
	}
	if fields[0] == "" {
		return reservation{}, nil
	}
	s.clock.Store(&clock{owner: fields[0], now: parseMicros(fields[1]), asOf: asOf})
	r := reservation{fenced: true}
	mint, _ := strconv.Atoi(fields[2])
	for i := range mint {
		r.ids = append(r.ids, fmt.Sprint(round.id, ":", i+1))
	}
	return r, nil
}

// put lays a token into the pool and ends its reservation, "" for none. What
// did not certainly fit is thrown away. It returns what became of it.
func (s *store) put(ctx context.Context, t vendorclient.TokenType, c *clock, mintedAt time.Time, sealed []byte, hashes []string, reserved string) (string, error) {
	reply, err := s.run(ctx, s.puts, append([]string{s.poolKey(t), s.reservationsKey(t)}, s.tokenKeys(hashes)...),
		s.cfg.Pool.Owner, c.owner, fmt.Sprintf("%016d", mintedAt.UnixMicro()), sealed,
		microseconds(s.cfg.Pool.MaxAge), s.cfg.Pool.Max, milliseconds(s.cfg.TokenLifetime), reserved)
	became, _ := reply.(string)
	return became, err
}

// What becomes of a token that is put, beside that it may not fit.
const (
	putKept     = "kept"
	putRepeated = "repeated"
)

// free ends a reservation that brought no token for the pool.
func (s *store) free(ctx context.Context, t vendorclient.TokenType, reserved string) error {
	_, err := s.do(ctx, func(ctx context.Context) *redis.Cmd {
		return redis.NewCmd(ctx, "zrem", s.reservationsKey(t), reserved)
	})
	return err
}
