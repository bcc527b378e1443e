package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"farebox/bench/load"

	"github.com/redis/go-redis/v9"
)

const costHow = "Resident memory while 100,000 users come ten times each, in turn, from 32 connections, with a vendor that takes no time. " +
	"Redis' memory is the difference of used_memory, without farebox' connections."

func cost(ctx context.Context, b *bench) ([]row, error) {
	var rows []row
	for _, part := range []func(context.Context, *bench) ([]row, error){costAtRest, costOfUsers, costOfPool} {
		more, err := part(ctx, b)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

const mebibyte = 1 << 20

// costAtRest is what the binary takes to lie there, to start and to wait.
func costAtRest(ctx context.Context, b *bench) ([]row, error) {
	binary, err := os.Stat(b.farebox)
	if err != nil {
		return nil, err
	}
	requests, err := b.signer.requests(1, 1)
	if err != nil {
		return nil, err
	}
	s, err := b.newStage(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var starts, idle, memory spread
	for range b.scale.starts {
		began := time.Now()
		replica, err := s.farebox(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := s.candidate("farebox", requests, replica).closed(ctx, 1, 0); err != nil {
			return nil, err
		}
		starts = append(starts, milliseconds(time.Since(began)))
		if len(starts) < b.scale.starts {
			s.end(replica)
			continue
		}
		// What the start has left to do is no idling.
		if err := pause(ctx, b.scale.idle/5); err != nil {
			return nil, err
		}
		before, err := replica.cpu()
		if err != nil {
			return nil, err
		}
		if err := pause(ctx, b.scale.idle); err != nil {
			return nil, err
		}
		after, err := replica.cpu()
		if err != nil {
			return nil, err
		}
		resident, err := replica.resident()
		if err != nil {
			return nil, err
		}
		idle = append(idle, 100*(after-before).Seconds()/b.scale.idle.Seconds())
		memory = append(memory, float64(resident)/mebibyte)
	}
	return []row{
		atMost("stripped binary, MiB", spread{float64(binary.Size()) / mebibyte}, "%.1f", 30),
		atMost("from the start to the first token, ms", starts, "%.0f", 150),
		atMost("idle, % of a core", idle, "%.2f", 1),
		information("idle, resident MiB", memory.show("%.0f")),
	}, nil
}

// costOfUsers is what many users leave in memory, here and in Redis.
func costOfUsers(ctx context.Context, b *bench) ([]row, error) {
	requests, err := b.signer.requests(b.scale.everybody, b.scale.everybody)
	if err != nil {
		return nil, err
	}
	s, err := b.newStage(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer s.close()
	base, err := s.usedMemory(ctx)
	if err != nil {
		return nil, err
	}
	replica, err := s.farebox(ctx, "FAREBOX_MINT_CONCURRENCY=32")
	if err != nil {
		return nil, err
	}
	c := s.candidate("farebox", requests, replica)
	f := &figures{}
	var thirds []float64 // the most memory in each
	for range 3 {
		peak := make(chan float64, 1)
		watching, stop := context.WithCancel(ctx)
		go func() { peak <- mostResident(watching, replica) }()
		err := s.watch(ctx, c, f, func() (*load.Result, error) {
			return c.closed(ctx, b.scale.everybody*b.scale.eachComes/3, 0)
		})
		stop()
		thirds = append(thirds, <-peak/mebibyte)
		b.note("at most %.0f MiB resident", thirds[len(thirds)-1])
		if err != nil {
			return nil, err
		}
	}
	s.end(replica)
	whole, err := s.usedMemory(ctx)
	if err != nil {
		return nil, err
	}
	remembered, err := s.given(ctx)
	if err != nil {
		return nil, err
	}
	for _, kind := range []string{"t:", "p:", "m:", "d:"} {
		if err := s.forget(ctx, kind); err != nil {
			return nil, err
		}
	}
	users, err := s.usedMemory(ctx)
	if err != nil {
		return nil, err
	}
	served := b.scale.everybody / 3 * 3 * b.scale.eachComes
	return []row{
		information("requests a second, and CPU a request, us: itself, Redis", f.perSecond.show("%.0f")+"; "+f.own.show("%.0f")+"; "+f.redis.show("%.0f")),
		atMost(fmt.Sprintf("resident MiB, at most, of %d requests by %d users", served, b.scale.everybody), spread{slices.Max(thirds)}, "%.0f", 64),
		information("resident MiB, at most, in each third", fmt.Sprintf("%.0f, %.0f, %.0f", thirds[0], thirds[1], thirds[2])),
		atMost("third third over second, resident", spread{thirds[2] / thirds[1]}, "%.2f", 1.02),
		atMost("Redis, bytes an active user", spread{float64(users-base) / float64(b.scale.everybody)}, "%.0f", 400),
		information("Redis, bytes a token that is remembered as given, for one lifetime to two", fmt.Sprintf("%.0f", float64(whole-users)/float64(max(remembered, 1)))),
	}, nil
}

// mostResident is the most memory that a process takes until ctx ends.
func mostResident(ctx context.Context, p *process) (most float64) {
	for {
		if now, err := p.resident(); err == nil {
			most = max(most, float64(now))
		}
		if pause(ctx, 50*time.Millisecond) != nil {
			return most
		}
	}
}

// costOfPool is what tokens that are ready take in Redis.
func costOfPool(ctx context.Context, b *bench) ([]row, error) {
	s, err := b.newStage(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer s.close()
	base, err := s.usedMemory(ctx)
	if err != nil {
		return nil, err
	}
	replica, err := s.farebox(ctx, poolSettings(b.scale.pool, b.scale.pool)...)
	if err != nil {
		return nil, err
	}
	if err := s.fill(ctx, b.scale.pool); err != nil {
		return nil, err
	}
	s.end(replica)
	ready, err := s.ready(ctx)
	if err != nil {
		return nil, err
	}
	whole, err := s.usedMemory(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.forget(ctx, "t:"); err != nil {
		return nil, err
	}
	alone, err := s.usedMemory(ctx)
	if err != nil {
		return nil, err
	}
	return []row{
		atMost("Redis, bytes a pooled token, with its being remembered as given", spread{float64(whole-base) / float64(ready)}, "%.0f", 250),
		information("Redis, bytes a pooled token, without", fmt.Sprintf("%.0f", float64(alone-base)/float64(ready))),
	}, nil
}

// usedMemory is what Redis has in use, once it has tidied up.
func (s *stage) usedMemory(ctx context.Context) (int, error) {
	last := -1
	err := await(ctx, "Redis' memory is at rest", func() (bool, error) {
		// Tables of keys shrink little by little.
		if err := pause(ctx, s.b.scale.rest); err != nil {
			return false, err
		}
		info, err := s.redis.Info(ctx, "memory").Result()
		if err != nil {
			return false, err
		}
		_, rest, _ := strings.Cut(info, "used_memory:")
		rest, _, _ = strings.Cut(rest, "\r")
		now, err := strconv.Atoi(rest)
		rested := last >= 0 && max(now-last, last-now) < 4096
		last = now
		return rested, err
	})
	return last, err
}

// given is how many tokens are remembered as given.
func (s *stage) given(ctx context.Context) (n int, err error) {
	sets, err := s.keys(ctx, "t:")
	if err != nil {
		return 0, err
	}
	for _, set := range sets {
		tokens, err := s.redis.SCard(ctx, set).Result()
		if err != nil {
			return 0, err
		}
		n += int(tokens)
	}
	return n, nil
}

// forget deletes keys of a kind.
func (s *stage) forget(ctx context.Context, kind string) error {
	keys, err := s.keys(ctx, kind)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(keys, 1000) {
		if _, err := s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, key := range some {
				p.Del(ctx, key)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
