package main

import (
	"context"
	"fmt"

	"farebox/bench/planning"
)

const plannedHow = "A day of demand, simulated without waiting: a curve with its low at night, an hour of silence, twelve bursts of twenty times as much; a mint takes 150 ms at the mean. " +
	"Beside the planning that farebox uses itself: a pool of a fixed size, and an oracle that knows the day. In each cell: share from the pool; mints a token handed out; thrown away as too old."

func planned(ctx context.Context, b *bench) ([]row, error) {
	var rows []row
	for i, c := range planning.Cases() {
		if c.PerSecond > b.scale.busiestDay {
			continue
		}
		c.Length = b.scale.day
		day := c.Day()
		const usual = 256 // FAREBOX_POOL_MAX, where nothing is set
		ours, fixed, oracle := day.Farebox(), day.Fixed(usual), day.Oracle()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		show := func(o planning.Outcome) string {
			return fmt.Sprintf("%.3f %%; %.4f; %d", 100*o.Share(), o.MintsPerToken(), o.TooOld)
		}
		rows = append(rows,
			information(c.Name+", farebox", show(ours)),
			information(fmt.Sprintf("%s, a fixed pool of %d", c.Name, usual), show(fixed)),
			information(c.Name+", the oracle", show(oracle)),
		)
		if i == 1 { // the middle one
			rows = append(rows,
				atLeast(c.Name+", from the pool, %", spread{100 * ours.Share()}, "%.2f", 100*planning.LeastShare),
				atMost(c.Name+", mints a token", spread{ours.MintsPerToken()}, "%.4f", planning.MostMints),
			)
		}
		b.note("%s: %s", c.Name, show(ours))
	}
	return rows, nil
}
