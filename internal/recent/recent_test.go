package recent

import (
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// clock is moved by hand.
type clock struct{ at time.Time }

func newClock() *clock { return &clock{time.Unix(1_790_000_000, 0)} }

func (c *clock) now() time.Time { return c.at }

func (c *clock) move(d time.Duration) { c.at = c.at.Add(d) }

func known(m *Map[int, int], key int) bool {
	_, ok := m.Get(key)
	return ok
}

func TestWhatIsPutIsGotUntilItsLifeIsOverTwice(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := New[int, string](10, time.Minute, c.now)
	if value, ok := m.Get(1); ok || value != "" {
		t.Fatalf("an empty one knows %q", value)
	}
	if m.Put(1, "one") || !m.Put(1, "uno") {
		t.Error("whether it was known before is told wrongly")
	}
	if value, ok := m.Get(1); !ok || value != "uno" {
		t.Errorf("%q, %v", value, ok)
	}
	c.move(2 * time.Minute)
	if value, ok := m.Get(1); ok {
		t.Errorf("%q is known after twice its life", value)
	}
}

func TestWhoeverComesBackWithinALifeIsKnownForGood(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := New[int, int](10, time.Minute, c.now)
	m.Put(1, 1)
	for turn := range 100 {
		c.move(time.Minute)
		if !known(m, 1) {
			t.Fatalf("forgotten after %d lives", turn+1)
		}
	}
}

func TestWhoeverIsAskedForAgainOutlivesThoseWhoAreNot(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := New[int, int](10, time.Minute, c.now)
	m.Put(0, 0)
	for other := 1; other <= 1000; other++ {
		m.Put(other, other)
		if other%4 == 0 && !known(m, 0) {
			t.Fatalf("forgotten after %d others", other)
		}
	}
	if known(m, 990) {
		t.Error("one of ten others ago is known")
	}
}

func TestAValueThatWeighsMorePushesOutMore(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := NewWeighed[int](10, time.Minute, c.now, func(weight int) int { return weight })
	all := func(keys ...int) (all []int) {
		for _, key := range keys {
			if value, ok := m.Get(key); ok {
				all = append(all, value)
			}
		}
		return all
	}
	m.Put(1, 2)
	m.Put(2, 3)
	m.Put(3, 5)
	if got := all(3); len(got) != 1 {
		t.Errorf("what just fits is gone")
	}
	m.Put(4, 1)
	if got := all(1, 2); len(got) != 0 {
		t.Errorf("11 and more fit into 10: %v", got)
	}
	m.Put(4, 6)
	if got := all(4); len(got) != 0 {
		t.Errorf("more than half is kept: %v", got)
	}
	if got := all(3); len(got) != 1 {
		t.Error("what was not kept pushed something out")
	}
	m.Put(5, 5)
	m.Put(3, 6)
	if got := all(3); len(got) != 0 {
		t.Errorf("what cannot be kept still stands for %v", got)
	}
}

func TestItIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	m := New[int, int](64, time.Nanosecond, time.Now)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 2000 {
				m.Put(i%100, i%100)
				if value, ok := m.Get(i % 100); ok && value != i%100 {
					t.Errorf("%d stands for %d", i%100, value)
				}
			}
		})
	}
	all.Wait()
}

// use is when a key was put or got last, and what it stood for.
type use struct {
	at    time.Time
	value int
}

func TestWhatIsKnownAndForHowLongIsAsPromised(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const life = 10 * time.Second
		c := newClock()
		most := rapid.IntRange(2, 12).Draw(t, "most")
		m := New[int, int](most, life, c.now)
		last := map[int]use{} // as of what is known
		others := map[int]map[int]bool{}
		used := func(key, value int) {
			last[key], others[key] = use{c.at, value}, map[int]bool{}
			for other := range others {
				if other != key {
					others[other][key] = true
				}
			}
		}
		// judge says whether key's being known, or not, is right.
		judge := func(key int, known bool) {
			before, there := last[key]
			age := c.at.Sub(before.at)
			switch {
			case known && !there:
				t.Fatalf("%d is known out of nothing", key)
			case known && age >= 2*life:
				t.Fatalf("%d is known after %s", key, age)
			case !known && there && age < life && len(others[key]) < most/2:
				t.Fatalf("%d is forgotten after %s and %d others of %d", key, age, len(others[key]), most)
			}
		}
		key := rapid.IntRange(0, 15)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k, value := key.Draw(t, "key"), rapid.Int().Draw(t, "value")
				judge(k, m.Put(k, value))
				used(k, value)
			},
			"get": func(t *rapid.T) {
				k := key.Draw(t, "key")
				value, known := m.Get(k)
				judge(k, known)
				switch {
				case known && value != last[k].value:
					t.Fatalf("%d stands for %d, not %d", k, value, last[k].value)
				case known:
					used(k, value)
				default:
					delete(last, k)
				}
			},
			"wait": func(t *rapid.T) { c.move(time.Duration(rapid.IntRange(0, 25).Draw(t, "seconds")) * time.Second) },
			"": func(t *rapid.T) {
				if n := len(m.young) + len(m.old); n > most {
					t.Fatalf("%d entries, and %d are allowed", n, most)
				}
			},
		})
	})
}
