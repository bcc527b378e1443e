package dispenser

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"farebox/internal/poolplan"
	"farebox/internal/shard"
	vendorclient "farebox/vendor_client"
)

// stock is the share of one type's pool that lies in one shard.
type stock struct {
	of          vendorclient.TokenType
	shard       *shard.Shard
	mood        *mood
	least, most int
	wake        chan struct{} // there may be something to do
	// ready is how many tokens lie there, as far as this replica knows.
	ready  atomic.Int64
	target atomic.Int64                // how many there are to be
	seen   atomic.Int64                // when Redis last told both, in Unix nanoseconds
	clock  atomic.Pointer[serverClock] // as it was last told
	unsure *refillRound                // the last round, where its answer was lost; its loop's own

	mu    sync.Mutex
	meter poolplan.Meter
}

// asked notes that a token was asked for and not refused.
func (s *stock) asked(now time.Time) {
	s.mu.Lock()
	s.meter.Note(now, 1)
	s.mu.Unlock()
	s.stir()
}

// stir has the stock looked after soon.
func (s *stock) stir() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// perSecond is this replica's demand.
func (s *stock) perSecond(now time.Time) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meter.PerSecond(now)
}

// asleep reports whether nobody has asked this replica for long and nothing is
// to be kept ready.
func (s *stock) asleep(now time.Time) bool {
	return s.least == 0 && s.unsure == nil && s.perSecond(now) == 0
}

// unsureOf is the last round, where it was of this pool and its answer was lost.
// One of another pool ends by itself.
func (s *stock) unsureOf(pool *vendorclient.Key) *refillRound {
	if s.unsure == nil || s.unsure.pool != pool {
		return nil
	}
	return s.unsure
}

// learn keeps what a round brought to light.
func (s *stock) learn(now time.Time, round refillRound, got reservation, err error) {
	switch {
	case err == nil:
		s.unsure = nil
		s.ready.Store(int64(got.ready))
		s.target.Store(int64(got.target))
		s.seen.Store(now.UnixNano())
		s.clock.Store(got.clock)
	default:
		// It has the name of the one before whose answer was lost, if there is
		// one: either may have left reservations.
		if round.unsure != nil {
			round.want = max(round.want, round.unsure.want)
		}
		round.unsure = nil
		s.unsure = &round
	}
}

// mood is how mints of one type go.
type mood struct {
	mu    sync.Mutex
	took  time.Duration // one mint, averaged
	pause time.Duration // after the last failure; 0 after a success
	rest  time.Time     // no mint for the pool before this
	trial bool          // a mint is to show whether it works again
}

const (
	// firstGuess is how long a mint takes as long as none has been seen.
	firstGuess = 300 * time.Millisecond
	// After a failure the vendor is left alone for longer and longer.
	firstPause, lastPause = time.Second, 30 * time.Second
)

func (m *mood) look(now time.Time) (took, rest time.Duration, failing bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.took, m.rest.Sub(now), m.pause > 0
}

// beginTrial reports whether the caller is the one to try.
func (m *mood) beginTrial() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	begun := !m.trial
	m.trial = true
	return begun
}

func (m *mood) endTrial() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trial = false
}

// worked notes that a caller got a token that was just made, and reports
// whether that is news.
func (m *mood) worked() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	news := m.pause > 0
	m.pause, m.rest, m.trial = 0, time.Time{}, false
	return news
}

// note keeps the time that mints take, and leaves a vendor that fails alone, for
// as long as it asks for but never long: callers may find it well again. It
// reports whether the vendor is well again.
func (m *mood) note(now time.Time, took time.Duration, err error) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trial = false
	if err == nil {
		m.took += (took - m.took) / 4
		news := m.pause > 0
		m.pause = 0
		return news
	}
	if now.Before(m.rest) {
		return false // another mint has failed in the same moment
	}
	m.pause = min(max(2*m.pause, firstPause), lastPause)
	pause := m.pause
	var vendorError *vendorclient.Error
	if errors.As(err, &vendorError) {
		pause = max(pause, min(vendorError.RetryAfter, lastPause))
	}
	m.rest = now.Add(jitter(pause))
	return false
}
