package planning_test

import (
	"testing"
	"time"

	"farebox/bench/planning"

	"pgregory.net/rapid"
)

// Every strategy keeps the books of a day.
func TestEveryTokenIsAccountedFor(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := planning.Case{
			PerSecond:   float64(rapid.IntRange(1, 400).Draw(t, "a second")) / 4,
			Length:      time.Duration(rapid.IntRange(1, 8).Draw(t, "length in minutes")) * time.Minute,
			Least:       rapid.IntRange(0, 3).Draw(t, "least"),
			Most:        rapid.IntRange(3, 600).Draw(t, "most"),
			Concurrency: rapid.IntRange(1, 300).Draw(t, "mints at once"),
			Seed:        rapid.Uint64().Draw(t, "seed"),
		}
		day := c.Day()
		for name, o := range map[string]planning.Outcome{
			"farebox": day.Farebox(), "a fixed pool": day.Fixed(c.Most), "the oracle": day.Oracle(),
		} {
			if o.Minted+o.Waiting != o.Asked+o.TooOld+o.Left {
				t.Errorf("%s: %+v", name, o)
			}
			if o.FromPool > o.Asked || o.FromPool < 0 {
				t.Errorf("%s served %d of %d from the pool", name, o.FromPool, o.Asked)
			}
		}
	})
}

// A quarter of the middle day stands for it: three of its bursts' length each
// as long as in the whole.
func TestDemandIsFollowed(t *testing.T) {
	t.Parallel()
	c := planning.Cases()[1]
	c.Length = 6 * time.Hour
	day := c.Day()
	followed, oracle, usual := day.Farebox(), day.Oracle(), day.Fixed(256)
	if followed.Share() < planning.LeastShare || followed.MintsPerToken() > planning.MostMints {
		t.Errorf("%.4f from the pool, %.4f mints a token", followed.Share(), followed.MintsPerToken())
	}
	if oracle.Share() < followed.Share() {
		t.Errorf("the oracle, with %.5f, knows less than farebox, with %.5f", oracle.Share(), followed.Share())
	}
	if usual.Share() >= followed.Share() {
		t.Errorf("a fixed pool of 256 serves %.4f, following demand %.4f", usual.Share(), followed.Share())
	}
}

// Hours without a request make no tokens beyond the least.
func TestSilenceIsCheap(t *testing.T) {
	t.Parallel()
	c := planning.Case{Length: 3 * time.Hour, Least: 1, Most: 256, Concurrency: 8}
	o := c.Day().Farebox()
	if most := int(c.Length/(9*time.Minute)) + 1; o.Minted > most {
		t.Errorf("%d tokens made for nobody, not %d", o.Minted, most)
	}
}
