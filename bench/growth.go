package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"farebox/bench/load"

	"github.com/redis/go-redis/v9"
)

const growthHow = "CPU a request, farebox and Redis together, as things grow. Users and replicas are measured as in point 1, pools at a fixed rate with the minting. " +
	"Of the many users, those who do not ask are written into Redis as copies of one who did. A session that is new has to be verified; one that came before is remembered."

// mostGrowth is how much a request may cost more.
const mostGrowth = 1.3

func growth(ctx context.Context, b *bench) ([]row, error) {
	var rows []row
	for _, part := range []func(context.Context, *bench) ([]row, error){growthOfUsers, growthOfPool, growthOfReplicas, growthOfRedis} {
		more, err := part(ctx, b)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// contender is a candidate on a stage of its own.
type contender struct {
	*candidate
	*stage
	figures figures
}

// contend starts a farebox on a stage of its own, asked by so many users.
func (b *bench) contend(ctx context.Context, name string, primaries int, requests [][]byte, settings ...string) (*contender, error) {
	s, err := b.newStage(ctx, primaries)
	if err != nil {
		return nil, err
	}
	replica, err := s.farebox(ctx, settings...)
	if err != nil {
		s.close()
		return nil, err
	}
	return &contender{candidate: s.candidate(name, requests, replica), stage: s}, nil
}

func growthOfUsers(ctx context.Context, b *bench) ([]row, error) {
	known, err := b.signer.requests(b.scale.fewUsers, b.scale.fewUsers)
	if err != nil {
		return nil, err
	}
	settings := poolSettings(b.scale.pool+spare, b.scale.pool+spare)
	few, err := b.contend(ctx, "few users", 1, known, settings...)
	if err != nil {
		return nil, err
	}
	defer few.close()
	many, err := b.contend(ctx, "many users", 1, known, settings...)
	if err != nil {
		return nil, err
	}
	defer many.close()
	for _, c := range []*contender{few, many} {
		if err := c.warm(ctx, b.scale.fewUsers, c.candidate); err != nil {
			return nil, err
		}
	}
	if err := many.populate(ctx, b.scale.manyUsers); err != nil {
		return nil, err
	}
	var fewNew, manyNew figures
	for range b.scale.growthRounds {
		for _, c := range []*contender{few, many} {
			if err := c.takeAll(ctx, c.candidate, b.scale.pool+spare, b.scale.pool, &c.figures); err != nil {
				return nil, err
			}
		}
		for _, run := range []struct {
			c     *contender
			users int
			into  *figures
		}{{few, b.scale.fewUsers, &fewNew}, {many, b.scale.manyUsers, &manyNew}} {
			fresh, err := b.signer.requests(b.scale.pool, run.users)
			if err != nil {
				return nil, err
			}
			c := *run.c.candidate
			c.name, c.requests = c.name+", new sessions", inTurn(fresh)
			if err := run.c.takeAll(ctx, &c, b.scale.pool+spare, b.scale.pool, run.into); err != nil {
				return nil, err
			}
		}
	}
	from, to := b.scale.fewUsers, b.scale.manyUsers
	return []row{
		information(fmt.Sprintf("%d users, sessions that came before; new ones: us", from), few.figures.cost().show("%.0f")+"; "+fewNew.cost().show("%.0f")),
		information(fmt.Sprintf("%d users, sessions that came before; new ones: us", to), many.figures.cost().show("%.0f")+"; "+manyNew.cost().show("%.0f")),
		atMost(fmt.Sprintf("%d over %d users, sessions that came before", to, from), many.figures.cost().over(few.figures.cost()), "%.2f", mostGrowth),
		atMost(fmt.Sprintf("%d over %d users, new sessions", to, from), manyNew.cost().over(fewNew.cost()), "%.2f", mostGrowth),
		atMost(fmt.Sprintf("%d users once each over %d again and again", to, from), manyNew.cost().over(few.figures.cost()), "%.2f", mostGrowth),
	}, nil
}

// populate makes so many users in Redis, by copies of one that is there.
func (s *stage) populate(ctx context.Context, users int) error {
	there, err := s.keys(ctx, "u:")
	if err != nil {
		return err
	}
	if len(there) == 0 {
		return errors.New("there is no user to copy")
	}
	value, err := s.redis.Get(ctx, there[0]).Result()
	if err != nil {
		return err
	}
	// {farebox:0}:u:<the caller's hash>:<what for>
	name := strings.SplitN(there[0], ":", 5)
	if len(name) != 5 {
		return fmt.Errorf("%d parts in the name of a user's key, not 5", len(name))
	}
	length := len(name[3])
	for made := len(there); made < users; {
		some := min(users-made, 1000)
		if _, err := s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
			for range some {
				name[3] = (rand.Text() + rand.Text())[:length]
				p.Set(ctx, strings.Join(name, ":"), value, 12*time.Hour)
			}
			return nil
		}); err != nil {
			return err
		}
		made += some
	}
	return nil
}

func growthOfPool(ctx context.Context, b *bench) ([]row, error) {
	requests, err := b.signer.requests(b.scale.users, b.scale.users)
	if err != nil {
		return nil, err
	}
	sizes := []int{b.scale.smallPool, b.scale.greatPool}
	var all []*contender
	for _, size := range sizes {
		c, err := b.contend(ctx, fmt.Sprintf("pool of %d", size), 1, requests, poolSettings(size, size)...)
		if err != nil {
			return nil, err
		}
		defer c.close()
		if err := c.fill(ctx, size); err != nil {
			return nil, err
		}
		if err := c.warm(ctx, b.scale.users, c.candidate); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	for range b.scale.growthRounds {
		for i, c := range all {
			if err := c.fill(ctx, sizes[i]); err != nil {
				return nil, err
			}
			if err := c.watch(ctx, c.candidate, &c.figures, func() (*load.Result, error) {
				return c.candidate.open(ctx, b.scale.poolRate, b.scale.poolLasting)
			}); err != nil {
				return nil, err
			}
		}
	}
	small, great := all[0].figures.cost(), all[1].figures.cost()
	return []row{
		information(fmt.Sprintf("pool of %d; of %d, with the minting: us", sizes[0], sizes[1]), small.show("%.0f")+"; "+great.show("%.0f")),
		atMost(fmt.Sprintf("pool of %d over %d", sizes[1], sizes[0]), great.over(small), "%.2f", mostGrowth),
	}, nil
}

func growthOfReplicas(ctx context.Context, b *bench) ([]row, error) {
	requests, err := b.signer.requests(b.scale.users, b.scale.users)
	if err != nil {
		return nil, err
	}
	s, err := b.newStage(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var replicas []*process
	for range 4 {
		replica, err := s.farebox(ctx, poolSettings(b.scale.pool+spare, b.scale.pool+spare)...)
		if err != nil {
			return nil, err
		}
		replicas = append(replicas, replica)
		if err := s.warm(ctx, b.scale.users, s.candidate("a replica", requests, replica)); err != nil {
			return nil, err
		}
	}
	one, two, four := s.candidate("1 replica", requests, replicas[:1]...), s.candidate("2 replicas", requests, replicas[:2]...), s.candidate("4 replicas", requests, replicas...)
	two.seen, four.seen = one.seen, one.seen // a token must not come from two of them either
	f := map[*candidate]*figures{one: {}, two: {}, four: {}}
	if err := rounds(b.scale.growthRounds, []*candidate{one, two, four}, func(c *candidate) error {
		return s.takeAll(ctx, c, b.scale.pool+spare, b.scale.pool, f[c])
	}); err != nil {
		return nil, err
	}
	return []row{
		information("1, 2, 4 replicas on one Redis, requests a second", f[one].perSecond.show("%.0f")+"; "+f[two].perSecond.show("%.0f")+"; "+f[four].perSecond.show("%.0f")),
		atMost("2 replicas over 1, CPU a request", f[two].cost().over(f[one].cost()), "%.2f", mostGrowth),
		atMost("4 replicas over 1, CPU a request", f[four].cost().over(f[one].cost()), "%.2f", mostGrowth),
	}, nil
}

func growthOfRedis(ctx context.Context, b *bench) ([]row, error) {
	requests, err := b.signer.requests(b.scale.users, b.scale.users)
	if err != nil {
		return nil, err
	}
	var all []*contender
	for _, primaries := range []int{1, 3} {
		c, err := b.contend(ctx, fmt.Sprintf("Redis with %d primaries", primaries), primaries, requests,
			poolSettings(b.scale.pool+spare, b.scale.pool+spare)...)
		if err != nil {
			return nil, err
		}
		defer c.close()
		if err := c.warm(ctx, b.scale.users, c.candidate); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	for range b.scale.growthRounds {
		for _, c := range all {
			// Callers are not spread over a cluster so evenly as tokens are.
			if err := c.takeAll(ctx, c.candidate, b.scale.pool+spare, b.scale.pool/2, &c.figures); err != nil {
				return nil, err
			}
		}
	}
	single, cluster := &all[0].figures, &all[1].figures
	return []row{
		information("one Redis; a cluster of three primaries: requests a second", single.perSecond.show("%.0f")+"; "+cluster.perSecond.show("%.0f")),
		information("one Redis; a cluster: us", single.cost().show("%.0f")+"; "+cluster.cost().show("%.0f")),
		atMost("cluster over one Redis, CPU a request", cluster.cost().over(single.cost()), "%.2f", mostGrowth),
	}, nil
}
