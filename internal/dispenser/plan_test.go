package dispenser

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"farebox/internal/poolplan"
	"farebox/internal/shard"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

// What the script reserves for all replicas together is what the planner says,
// which the simulated days are played with.
func TestTheScriptReservesWhatThePlannerSays(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	script := strings.Join([]string{shard.OwnerSource, poolSource, reserveSource}, "\n")
	rapid.Check(t, func(t *rapid.T) {
		server.FlushAll()
		least := rapid.IntRange(0, 20).Draw(t, "least")
		most := rapid.IntRange(least, 500).Draw(t, "most")
		lead := time.Duration(rapid.IntRange(1, 5000).Draw(t, "lead in ms")) * time.Millisecond
		// Replicas tell their demand one after the other; the last has all to make.
		var demand float64
		for i := range rapid.IntRange(1, 4).Draw(t, "replicas") {
			own := float64(rapid.IntRange(0, 400_000).Draw(t, "demand in thousandths")) / 1000
			demand += own
			err := client.Eval(t.Context(), script, []string{"{p}:p", "{p}:m", "{p}:d"},
				strings.Repeat("o", shard.OwnerSize), 540_000_000, "replica "+strconv.Itoa(i), own,
				lead.Seconds(), least, most, 1000, 1_000_000, "round "+strconv.Itoa(i)+":", "", 0,
				poolplan.Margin, poolplan.Spread).Err()
			if err != nil {
				t.Fatal(err)
			}
			got, err := client.ZCard(t.Context(), "{p}:m").Result()
			if err != nil {
				t.Fatal(err)
			}
			// The script adds up in another order, so the last digit may differ.
			low, high := poolplan.Target(demand*(1-1e-12), lead, least, most), poolplan.Target(demand*(1+1e-12), lead, least, most)
			if int(got) < low || int(got) > high {
				t.Fatalf("%d under way, where the planner says %d for %v a second", got, low, demand)
			}
		}
	})
}
