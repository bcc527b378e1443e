//go:build real

package dispenser_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/limit"
	"farebox/internal/testredis"
	vendorclient "farebox/vendor_client"
)

// What is minted is handed out, however many replicas there are and however
// demand goes: beyond 1.05 tokens for each that was handed out there is no more
// than the pool held at its fullest.
func TestMintsFollowWhatIsHandedOut(t *testing.T) {
	t.Parallel()
	const tick = 10 * time.Millisecond
	demands := map[string][]int{ // requests at each tick, repeated
		"steady":   {1},
		"bursty":   append([]int{25}, make([]int, 24)...),
		"stopping": {2},
	}
	for name, demand := range demands {
		for _, replicas := range []int{1, 4} {
			t.Run(fmt.Sprintf("%s demand on %d", name, replicas), func(t *testing.T) {
				t.Parallel()
				h := realHouse(t, testredis.Start(t))
				h.vendor.delay = 60 * time.Millisecond
				var all []*dispenser.Dispenser
				for range replicas {
					all = append(all, h.open(h.withPool(1, 256)))
					h.run(all[len(all)-1])
				}
				var handedOut, failed atomic.Int64
				var callers sync.WaitGroup
				fullest := 0
				ticks := 400
				if name == "stopping" {
					ticks = 150
				}
				every := time.NewTicker(tick)
				defer every.Stop()
				for i := range ticks {
					<-every.C
					for j := range demand[i%len(demand)] {
						callers.Go(func() {
							r := request(fmt.Sprint("caller ", i, " ", j), "")
							r.Limits = limit.Limits{}
							if _, err := all[(i+j)%replicas].Dispense(t.Context(), r); err != nil {
								failed.Add(1)
								return
							}
							handedOut.Add(1)
						})
					}
					if i%5 == 0 {
						fullest = max(fullest, h.pooled())
					}
				}
				callers.Wait()
				others := len(vendorclient.TokenTypes()) - 1 // keep one ready each
				h.eventually("nothing is under way", func() bool { return len(h.keys("m:")) == 0 })
				fullest = max(fullest, h.pooled())
				if failed.Load() > 0 || handedOut.Load() < 100 {
					t.Fatalf("%d handed out, %d failed", handedOut.Load(), failed.Load())
				}
				minted := int64(h.vendor.count() - others)
				if most := handedOut.Load()*105/100 + int64(fullest); minted > most {
					t.Errorf("%d minted for %d handed out, %d ready at most", minted, handedOut.Load(), fullest)
				}
			})
		}
	}
}
