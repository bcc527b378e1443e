package main

import (
	"context"
	"time"
)

// point is one thing that is measured. run yields its rows; an error is
// something that went wrong with the measuring, not a bound that was missed.
type point struct {
	number int
	title  string
	how    string // in a sentence or two, for who reads the table
	run    func(ctx context.Context, b *bench) ([]row, error)
}

var points = []point{
	{1, "From the pool", fromPoolHow, fromPool},
	{2, "Sustained, the vendor takes no time", sustainedHow, sustained},
	{3, "Slow vendor", slowVendorHow, slowVendor},
	{4, "Vendor gone", vendorGoneHow, vendorGone},
	{5, "Cost", costHow, cost},
	{6, "Growth", growthHow, growth},
	{7, "The pool's planning", plannedHow, planned},
}

// scale is how much and how long is measured.
type scale struct {
	rounds  int
	users   int
	pool    int           // tokens that are taken from the pool in a round
	lasting time.Duration // of a round of point 2

	slowRounds           int
	perSecond            int           // of points 3 and 4
	cold, steady         time.Duration // of points 3 and 4
	gone, after          time.Duration // of point 4: how long the vendor is away, and how long is measured then
	everybody, eachComes int           // users of point 5, and how often each comes
	idle, rest           time.Duration // of point 5: waits, and the pause between two looks at Redis' memory
	starts               int
	fewUsers, manyUsers  int // of point 6
	smallPool, greatPool int
	growthRounds         int
	poolRate             int
	poolLasting          time.Duration
	day                  time.Duration // of point 7
	busiestDay           float64       // requests a second of the greatest case
}

var (
	// whole is what bench/RESULTS.md holds.
	whole = scale{
		rounds: 7, users: 2000, pool: 20_000, lasting: 5 * time.Second,
		slowRounds: 2, perSecond: 200, cold: 15 * time.Second, steady: time.Minute,
		gone: 20 * time.Second, after: 20 * time.Second,
		everybody: 100_000, eachComes: 10, idle: 15 * time.Second, rest: time.Second, starts: 5,
		fewUsers: 1000, manyUsers: 1_000_000, smallPool: 100, greatPool: 100_000, growthRounds: 3,
		poolRate: 400, poolLasting: 8 * time.Second, day: 24 * time.Hour, busiestDay: 10_000,
	}
	// short shows the direction, in a few minutes.
	short = scale{
		rounds: 3, users: 2000, pool: 10_000, lasting: 2 * time.Second,
		slowRounds: 1, perSecond: 200, cold: 10 * time.Second, steady: 10 * time.Second,
		gone: 10 * time.Second, after: 10 * time.Second,
		everybody: 20_000, eachComes: 5, idle: 5 * time.Second, rest: time.Second, starts: 3,
		fewUsers: 1000, manyUsers: 100_000, smallPool: 100, greatPool: 20_000, growthRounds: 1,
		poolRate: 400, poolLasting: 4 * time.Second, day: 24 * time.Hour, busiestDay: 100,
	}
	// smoke shows that every program and point runs, and nothing else.
	smoke = scale{
		rounds: 1, users: 40, pool: 80, lasting: 50 * time.Millisecond,
		slowRounds: 1, perSecond: 50, cold: 500 * time.Millisecond, steady: 500 * time.Millisecond,
		gone: time.Second, after: 2 * time.Second,
		everybody: 60, eachComes: 2, idle: 100 * time.Millisecond, rest: time.Millisecond, starts: 1,
		fewUsers: 20, manyUsers: 100, smallPool: 5, greatPool: 100, growthRounds: 1,
		poolRate: 50, poolLasting: 200 * time.Millisecond, day: 10 * time.Minute, busiestDay: 100,
	}
)
