// Package planning plays days of demand against the planning of the pool,
// without waiting for them: how much is served from the pool, how many tokens
// are made for it, and how many are thrown away.
package planning

import (
	"math"
	"math/rand/v2"
	"time"

	"farebox/internal/poolplan"
)

// tick is the step of the simulated time.
const tick = 10 * time.Millisecond

// Case is a day and the settings under which it is served.
type Case struct {
	Name string
	// PerSecond is the day's mean demand, its bursts left out.
	PerSecond float64
	// Length is how long the day is.
	Length time.Duration
	// Least and Most are FAREBOX_POOL_MIN and FAREBOX_POOL_MAX; Concurrency is
	// the FAREBOX_MINT_CONCURRENCY of all replicas together.
	Least, Most, Concurrency int
	// Seed makes the day's chances.
	Seed uint64
}

// Outcome is how a day went.
type Outcome struct {
	Asked    int // requests for a token
	FromPool int // of these, answered from the pool
	Minted   int // tokens made
	TooOld   int // thrown away in the pool
	Left     int // in the pool at the end, or on the way there
	Waiting  int // requests that still wait for their token at the end
}

const (
	// LeastShare and MostMints are what is to be reached at 100 requests a
	// second: the share from the pool, and tokens made for each handed out.
	LeastShare = 0.995
	MostMints  = 1.02
)

// Share is how much of what was asked for was served from the pool.
func (o Outcome) Share() float64 { return float64(o.FromPool) / float64(max(o.Asked, 1)) }

// MintsPerToken is how many tokens were made for each that was handed out.
func (o Outcome) MintsPerToken() float64 { return float64(o.Minted) / float64(max(o.Asked, 1)) }

// Day is a case with the chances of its day. It is immutable.
type Day struct {
	Case
	asked []int32 // in each tick
}

// Day draws what is asked for.
//
// The curve has its low at night, five times its low by day, and an hour of
// silence. Twelve times a day it rises within two seconds to twenty times what
// it was, stays for half a minute and falls within ten seconds. Within a tick
// requests come by chance (Poisson).
func (c Case) Day() Day {
	chance := rand.New(rand.NewPCG(c.Seed, 0))
	ticks := int(c.Length / tick)
	bursts := make([]int, 0, 12)
	for i := range 12 {
		bursts = append(bursts, (i*ticks+chance.IntN(ticks))/12)
	}
	asked := make([]int32, ticks)
	next := 0
	for i := range asked {
		part := float64(i) / float64(ticks)
		rate := c.PerSecond * (1 - 2./3*math.Cos(2*math.Pi*part))
		if part > 0.08 && part < 0.08+1./24 {
			rate = 0
		}
		if next+1 < len(bursts) && i >= bursts[next+1] {
			next++
		}
		rate *= 1 + 19*burst(time.Duration(i-bursts[next])*tick)
		asked[i] = int32(poisson(chance, rate*tick.Seconds()))
	}
	return Day{c, asked}
}

// burst is how far a burst has risen, from 0 to 1, so long after its begin.
func burst(since time.Duration) float64 {
	const rise, stay, fall = 2., 30., 10.
	s := since.Seconds()
	switch {
	case s < 0 || s > rise+stay+fall:
		return 0
	case s < rise:
		return s / rise
	case s < rise+stay:
		return 1
	default:
		return (rise + stay + fall - s) / fall
	}
}

func poisson(chance *rand.Rand, mean float64) int {
	if mean > 50 { // near enough to a normal distribution
		return max(0, int(math.Round(mean+math.Sqrt(mean)*chance.NormFloat64())))
	}
	limit, product, n := math.Exp(-mean), chance.Float64(), 0
	for product > limit {
		product *= chance.Float64()
		n++
	}
	return n
}

// planner says how many mints to begin.
type planner interface {
	// plan is asked at each tick, once what was asked for in it is served:
	// ready are the tokens in the pool, coming those under way for it, and free
	// how many more can be under way.
	plan(i int, asked, ready, coming, free int) int
}

// Farebox serves a day as farebox does.
func (d Day) Farebox() Outcome { return d.play(&following{of: d.Case}) }

// Fixed serves a day with a pool that is always filled up to one size.
func (d Day) Fixed(size int) Outcome { return d.play(fixed(size)) }

// Oracle serves a day with the knowledge of all that will be asked for. What it
// cannot serve from the pool, none could with so many mints at once.
func (d Day) Oracle() Outcome { return d.play(newOracle(d)) }

// Mints take between 90 and 360 ms, 150 at the mean.
var mintTimes = [...]time.Duration{
	90, 100, 100, 110, 110, 120, 120, 120, 130, 130, 140, 150, 160, 190, 270, 360,
}

const (
	mintTime    = 150 * time.Millisecond
	longestMint = 360 * time.Millisecond
)

// maxAge is FAREBOX_POOL_MAX_AGE.
const maxAge = 9 * time.Minute

// play serves demand by the rules of the dispenser: from the pool, else with
// the next token that comes, whoever had it made. A request that finds none
// begins a mint of its own, unless more are under way than wait.
func (d Day) play(by planner) Outcome {
	var (
		o        Outcome
		pool     batches
		done     [int(longestMint/tick) + 2]int
		underWay int
		waiting  int
		mints    int
	)
	begin := func(i, n int) {
		for range n {
			takes := mintTimes[mints%len(mintTimes)] * time.Millisecond / tick
			done[(i+int(takes))%len(done)]++
			mints++
		}
		underWay += n
	}
	for i, asked := range d.asked {
		now := &done[i%len(done)]
		came := *now
		*now = 0
		underWay -= came
		o.Minted += came
		served := min(came, waiting)
		waiting -= served
		pool.put(i, came-served)
		o.TooOld += pool.dropBefore(i - int(maxAge/tick))

		o.Asked += int(asked)
		taken := pool.take(int(asked))
		o.FromPool += taken
		waiting += int(asked) - taken
		// Their own first: a caller waits for it.
		begin(i, min(max(waiting-underWay, 0), d.Concurrency-underWay))
		free := d.Concurrency - underWay
		begin(i, min(by.plan(i, int(asked), pool.size, underWay-waiting, free), free))
	}
	o.Minted += underWay // what was begun comes, after the last tick
	o.Waiting = max(waiting-underWay, 0)
	o.Left = pool.size + max(underWay-waiting, 0)
	return o
}

// batches are tokens by the tick in which they came, the oldest first.
type batches struct {
	list []batch
	size int
}

type batch struct{ at, tokens int }

func (b *batches) put(at, tokens int) {
	if tokens > 0 {
		b.list = append(b.list, batch{at, tokens})
		b.size += tokens
	}
}

func (b *batches) take(tokens int) (taken int) {
	for taken < tokens && len(b.list) > 0 {
		first := &b.list[0]
		n := min(first.tokens, tokens-taken)
		first.tokens -= n
		taken += n
		if first.tokens == 0 {
			b.list = b.list[1:]
		}
	}
	b.size -= taken
	return taken
}

func (b *batches) dropBefore(at int) (dropped int) {
	for len(b.list) > 0 && b.list[0].at < at {
		dropped += b.list[0].tokens
		b.list = b.list[1:]
	}
	b.size -= dropped
	return dropped
}

// following follows demand: the dispenser's own meter and target, at its pace.
type following struct {
	of    Case
	meter poolplan.Meter
	next  int // the tick of the next look
}

func (f *following) plan(i int, asked, ready, coming, free int) int {
	now := time.Unix(0, 0).Add(time.Duration(i) * tick)
	if asked > 0 {
		f.meter.Note(now, asked)
		f.next = min(f.next, i+int(poolplan.Hurried/tick))
	}
	if i < f.next {
		return 0
	}
	target := poolplan.Target(f.meter.PerSecond(now), mintTime+poolplan.Hurried, f.of.Least, f.of.Most)
	// No type has more than its third of the mints in one look.
	begun := min(max(target-ready-coming, 0), free, max(f.of.Concurrency/3, 1))
	f.next = i + int(poolplan.Leisure/tick)
	if begun > 0 {
		f.next = i + int(poolplan.Hurried/tick)
	}
	return begun
}

// fixed is filled up to one size.
type fixed int

func (f fixed) plan(_ int, _, ready, coming, _ int) int { return max(int(f)-ready-coming, 0) }

// oracle begins each mint so that its token comes just in time, and earlier
// where there will be more to make than can be made at once.
type oracle struct {
	begins []int32
	owed   int // what could not begin yet
}

func newOracle(d Day) *oracle {
	begins := make([]int32, len(d.asked))
	lead := int(longestMint / tick)
	most := max(int32(int64(d.Concurrency)*int64(tick)/int64(mintTime)), 1)
	carried := int32(0)
	for i := len(d.asked) - 1; i >= 0; i-- {
		wanted := carried
		if i+lead < len(d.asked) {
			wanted += d.asked[i+lead]
		}
		begins[i] = min(wanted, most)
		carried = wanted - begins[i]
	}
	// Nobody could have begun before the day what is asked for at its start.
	for _, asked := range d.asked[:min(lead, len(d.asked))] {
		carried += asked
	}
	return &oracle{begins: begins, owed: int(carried)}
}

func (o *oracle) plan(i int, _, _, _, free int) int {
	o.owed += int(o.begins[i])
	begun := min(o.owed, free)
	o.owed -= begun
	return begun
}

// Cases are the days at 1, 100 and 10,000 requests a second. The first has the
// default settings; those of the others are what such a load needs.
func Cases() []Case {
	const day = 24 * time.Hour
	return []Case{
		{Name: "1 a second", PerSecond: 1, Length: day, Least: 1, Most: 256, Concurrency: 8, Seed: 1},
		{Name: "100 a second", PerSecond: 100, Length: day, Least: 1, Most: 4096, Concurrency: 640, Seed: 2},
		{Name: "10,000 a second", PerSecond: 10_000, Length: day, Least: 1, Most: 400_000, Concurrency: 64_000, Seed: 3},
	}
}
