// Package poolplan says how many tokens are to be ready: enough for what will
// be asked for until a token whose making begins now can be had, and no more,
// since what is not asked for in time is thrown away.
package poolplan

import (
	"math"
	"time"
)

// Meter measures how many tokens a second are asked for, over some seconds, and
// sees within a part of a second that it has become many more. Its zero value
// has seen nothing. It is not safe for concurrent use.
type Meter struct {
	steady, sudden float64 // tokens in steadyMemory and in suddenMemory
	asOf           time.Time
}

const (
	steadyMemory = 5 * time.Second
	suddenMemory = 500 * time.Millisecond
	// certain is how many standard deviations what has come suddenly must be
	// beyond chance: one request is no demand of two a second.
	certain = 2
	// noDemand is below what there is none, in tokens a second.
	noDemand = 0.001
)

// Note notes that so many tokens were asked for.
func (m *Meter) Note(now time.Time, tokens int) {
	m.decay(now)
	m.steady += float64(tokens)
	m.sudden += float64(tokens)
}

// PerSecond is the demand, in tokens a second.
func (m *Meter) PerSecond(now time.Time) float64 {
	m.decay(now)
	demand := max(
		m.steady/steadyMemory.Seconds(),
		(m.sudden-certain*math.Sqrt(m.sudden))/suddenMemory.Seconds(),
	)
	if demand < noDemand {
		return 0
	}
	return demand
}

func (m *Meter) decay(now time.Time) {
	gone := now.Sub(m.asOf)
	if gone <= 0 {
		return
	}
	m.steady *= math.Exp(-gone.Seconds() / steadyMemory.Seconds())
	m.sudden *= math.Exp(-gone.Seconds() / suddenMemory.Seconds())
	m.asOf = now
}

// A pool is looked after at once when tokens were taken, but not more often
// than Hurried, and otherwise at Leisure.
const (
	Hurried = 20 * time.Millisecond
	Leisure = 3 * time.Second
)

const (
	// Margin is how much more than the demand of one mint's time is kept ready,
	// since demand may grow meanwhile.
	Margin = 3
	// Spread is how many standard deviations of that demand are kept beside it,
	// since requests come by chance: with few, it is the greater part.
	Spread = 4
)

// Target is how many tokens are to be ready or under way: for a demand in
// tokens a second, where a token can be had so long after it was found
// missing, and between the least and the most.
func Target(perSecond float64, lead time.Duration, least, most int) int {
	meanwhile := perSecond * lead.Seconds()
	wanted := math.Ceil(Margin*meanwhile + Spread*math.Sqrt(meanwhile))
	return min(max(int(min(wanted, math.MaxInt32)), least), most)
}
