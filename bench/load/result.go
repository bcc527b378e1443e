package load

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// OK is how many were answered with 200.
func (r *Result) OK() (n int) {
	for _, s := range r.Samples {
		if s.Status == 200 {
			n++
		}
	}
	return n
}

// PerSecond is how many answers of 200 came in a second.
func (r *Result) PerSecond() float64 { return float64(r.OK()) / r.Elapsed.Seconds() }

// Check is an error unless every answer was 200 with a token of its own.
func (r *Result) Check() error {
	statuses := map[int]int{}
	for _, s := range r.Samples {
		statuses[s.Status]++
	}
	switch {
	case len(r.Samples) == 0:
		return fmt.Errorf("nothing was sent")
	case len(statuses) != 1 || statuses[200] == 0:
		return fmt.Errorf("answers by status %v, 0 for none; the first was %w", statuses, r.Err)
	case r.Repeated > 0:
		return fmt.Errorf("%d tokens were handed out twice", r.Repeated)
	}
	return nil
}

// Between are the samples that were to be sent in [from, to).
func (r *Result) Between(from, to time.Duration) *Result {
	part := &Result{Elapsed: to - from}
	for _, s := range r.Samples {
		if s.Sent >= from && s.Sent < to {
			part.Samples = append(part.Samples, s)
		}
	}
	return part
}

// Where are the samples that meet a condition.
func (r *Result) Where(met func(Sample) bool) *Result {
	part := &Result{Elapsed: r.Elapsed}
	for _, s := range r.Samples {
		if met(s) {
			part.Samples = append(part.Samples, s)
		}
	}
	return part
}

// Percentile is the least time within which the share p, in per cent, of all
// samples ended: one that was measured, nothing in between. 0 where there are none.
func (r *Result) Percentile(p float64) time.Duration {
	if len(r.Samples) == 0 {
		return 0
	}
	took := make([]time.Duration, len(r.Samples))
	for i, s := range r.Samples {
		took[i] = s.Took
	}
	slices.Sort(took)
	const noise = 1e-9 // of floating point
	rank := int(math.Ceil(p*float64(len(took))/100 - noise))
	return took[min(max(rank, 1), len(took))-1]
}
