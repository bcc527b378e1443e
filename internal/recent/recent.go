// Package recent remembers, in bounded memory, what may be forgotten once it was
// not asked for in a while.
package recent

import (
	"sync"
	"time"
)

// Map keeps entries in two generations. One that is put or got is young; when
// the young generation is full or its time is over it becomes the old one, and
// what was left in that is forgotten at once. So nothing is kept beside the
// entries of who was used when, and the garbage collector passes them by where
// neither K nor V has pointers. It has no goroutine and is safe for concurrent
// use.
type Map[K comparable, V any] struct {
	half  int // what a generation may weigh
	life  time.Duration
	now   func() time.Time
	weigh func(V) int

	mu         sync.Mutex
	young, old map[K]V // no key is in both
	weight     int     // of the young
	began      time.Time
}

// New returns a Map of most entries at most. What was put or got is kept for at
// least life after that, and for less than twice as long; it is forgotten sooner
// only where at least most/2 others were put or got since.
func New[K comparable, V any](most int, life time.Duration, now func() time.Time) *Map[K, V] {
	return NewWeighed[K](most, life, now, func(V) int { return 1 })
}

// NewWeighed is New where weigh says how much of most a value takes. One that
// takes more than half of it is not kept.
func NewWeighed[K comparable, V any](most int, life time.Duration, now func() time.Time, weigh func(V) int) *Map[K, V] {
	return &Map[K, V]{half: most / 2, life: life, now: now, weigh: weigh, young: map[K]V{}, old: map[K]V{}}
}

// Get returns what was put under key, and whether that is known still.
func (m *Map[K, V]) Get(key K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.age()
	value, known := m.young[key]
	if known {
		return value, true
	}
	if value, known = m.old[key]; known {
		delete(m.old, key)
		m.insert(key, value)
	}
	return value, known
}

// Put has key stand for value, and reports whether it was known before.
func (m *Map[K, V]) Put(key K, value V) (known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.age()
	before, known := m.young[key]
	if known {
		weight := m.weight + m.weigh(value) - m.weigh(before)
		if weight <= m.half {
			m.young[key], m.weight = value, weight
			return true
		}
		delete(m.young, key)
		m.weight -= m.weigh(before)
	} else if _, known = m.old[key]; known {
		delete(m.old, key)
	}
	m.insert(key, value)
	return known
}

// insert makes room for key, which is in neither generation.
func (m *Map[K, V]) insert(key K, value V) {
	weight := m.weigh(value)
	if weight > m.half {
		return
	}
	if m.weight+weight > m.half {
		m.turn()
		m.began = m.now()
	}
	m.young[key] = value
	m.weight += weight
}

// age forgets what its time is over for.
func (m *Map[K, V]) age() {
	switch lived := m.now().Sub(m.began); {
	case lived >= 2*m.life:
		// It was idle: it is to keep no room either.
		m.young, m.old, m.weight = map[K]V{}, map[K]V{}, 0
		m.began = m.now()
	case lived >= m.life:
		m.turn()
		// Not now: what is old was young until then, and no longer.
		m.began = m.began.Add(m.life)
	}
}

// turn makes the young generation the old one. The room of the one before is
// used again, so that a full Map makes no garbage.
func (m *Map[K, V]) turn() {
	m.young, m.old, m.weight = m.old, m.young, 0
	clear(m.young)
}
