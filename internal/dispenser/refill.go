package dispenser

import (
	"context"
	"errors"
	"math"
	mathrand "math/rand/v2"
	"sync"
	"time"

	vendorclient "farebox/vendor_client"
)

const (
	// margin is how much more than the demand of one mint's time is kept ready.
	margin = 3
	// demandMemory is over what time demand is averaged.
	demandMemory = 5 * time.Second
	// firstGuess is how long a mint takes as long as none has been seen.
	firstGuess = 300 * time.Millisecond

	// A type is looked after at once when tokens were taken, but not more often
	// than hurried, and otherwise at leisure.
	hurried = 20 * time.Millisecond
	leisure = 3 * time.Second
	// crowded is how long to wait for a slot that other types have.
	crowded = 200 * time.Millisecond
	// After a failure it is left alone for longer and longer.
	firstPause, lastPause = time.Second, 30 * time.Second
)

// refiller keeps the pool at its target: enough of each type for the demand of
// all replicas while a mint takes place. Slots are reserved in Redis, so that
// N replicas mint no more than one would.
type refiller struct {
	d       *Dispenser
	replica string
	// slots bound the mints for the pool under way, of all types together.
	slots chan struct{}
	types map[vendorclient.TokenType]*stock
	mints sync.WaitGroup
}

// stock is what is known of one type.
type stock struct {
	wake chan struct{} // there may be something to do

	mu     sync.Mutex
	demand float64 // tokens in demandMemory
	asOf   time.Time
	took   time.Duration // one mint, averaged
	unsure *refillRound  // the last round, where its answer was lost; its loop's own
	pause  time.Duration // after the last failure; 0 after a success
	rest   time.Time     // no mint for the pool before this
}

func newRefiller(d *Dispenser) *refiller {
	r := &refiller{d: d, replica: randomID(), slots: make(chan struct{}, d.cfg.MintConcurrency), types: map[vendorclient.TokenType]*stock{}}
	for _, t := range vendorclient.TokenTypes() {
		r.types[t] = &stock{wake: make(chan struct{}, 1), took: firstGuess, asOf: d.cfg.Now()}
	}
	return r
}

// taken notes that a token of this type was asked for and not refused.
func (r *refiller) taken(t vendorclient.TokenType) {
	s := r.types[t]
	s.mu.Lock()
	s.decay(r.d.cfg.Now())
	s.demand++
	s.mu.Unlock()
	s.stir()
}

// stir has the type looked after soon.
func (s *stock) stir() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *stock) decay(now time.Time) {
	if gone := now.Sub(s.asOf); gone > 0 {
		s.demand *= math.Exp(-gone.Seconds() / demandMemory.Seconds())
		s.asOf = now
	}
}

// run looks after all types until ctx ends, and then waits for the mints that
// are under way.
func (r *refiller) run(ctx context.Context) {
	var all sync.WaitGroup
	for t := range r.types {
		all.Go(func() { r.lookAfter(ctx, t) })
	}
	all.Wait()
	r.mints.Wait()
}

func (r *refiller) lookAfter(ctx context.Context, t vendorclient.TokenType) {
	s := r.types[t]
	for ctx.Err() == nil {
		pause := r.round(ctx, t, s)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.wake:
			sleep(ctx, hurried)
		}
		timer.Stop()
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// round reserves what is missing, starts to mint it and returns when to look
// again.
func (r *refiller) round(ctx context.Context, t vendorclient.TokenType, s *stock) time.Duration {
	now := r.d.cfg.Now()
	s.mu.Lock()
	s.decay(now)
	demand, took, rest, failing := s.demand/demandMemory.Seconds(), s.took, s.rest.Sub(now), s.pause > 0
	s.mu.Unlock()
	const least = 0.001 // below, there is none
	if demand < least {
		demand = 0
	}
	want := max(cap(r.slots)/len(r.types), 1) // so that no type takes all
	switch {
	case rest > 0:
		want = 0
	case failing: // one is enough to see whether it works again
		want = 1
	}
	slots := r.takeSlots(want)
	this := refillRound{id: randomID(), want: slots, demand: demand, ready: margin * took, unsure: s.unsure}
	got, err := r.d.store.reserve(ctx, t, r.replica, this)
	switch {
	case err == nil:
		s.unsure = nil
	case s.unsure == nil:
		this.unsure = nil
		s.unsure = &this
	}
	for range slots - len(got.ids) {
		<-r.slots
	}
	if err != nil {
		r.d.cfg.PoolState.Down("redis is away")
		return jitter(leisure)
	}
	r.d.fenced(got.fenced)
	for _, id := range got.ids {
		r.mints.Go(func() {
			defer func() { <-r.slots }()
			r.mint(ctx, t, s, id)
		})
	}
	switch {
	case rest > 0:
		return rest
	case slots == 0:
		return jitter(crowded)
	case len(got.ids) == slots: // more may be missing
		return hurried
	}
	return jitter(leisure)
}

// takeSlots takes up to so many slots that are free.
func (r *refiller) takeSlots(want int) (taken int) {
	for ; taken < want; taken++ {
		select {
		case r.slots <- struct{}{}:
		default:
			return taken
		}
	}
	return taken
}

// mint makes one token for the pool, unless a caller takes it before.
func (r *refiller) mint(ctx context.Context, t vendorclient.TokenType, s *stock, reserved string) {
	began := r.d.cfg.Now()
	token, spare, err := r.d.desk.stock(t)
	took := r.d.cfg.Now().Sub(began)
	ctx = context.WithoutCancel(ctx) // what was made is kept, though the process ends
	if spare && !r.d.keepSpare(ctx, token, reserved) {
		err = errNotKept
	}
	s.note(r.d.cfg.Now(), took, err)
	if !spare {
		if err := r.d.store.free(ctx, t, reserved); err != nil {
			r.d.cfg.Log.DebugContext(ctx, "a reservation of the pool was not ended; it expires", "error", err)
		}
	}
	s.stir() // there may be more to do, now that a slot is free
}

// errNotKept is a token that did not come into the pool: to go on at once would
// mint for nothing, again and again.
var errNotKept = errors.New("the token did not come into the pool")

// worked notes that a caller got a token that was just made.
func (s *stock) worked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pause, s.rest = 0, time.Time{}
}

// note keeps the time that mints take, and leaves a vendor that fails alone, for
// as long as it asks for but never long: callers may find it well again.
func (s *stock) note(now time.Time, took time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.took += (took - s.took) / 4
		s.pause = 0
		return
	}
	if now.Before(s.rest) {
		return // another mint has failed in the same moment
	}
	s.pause = min(max(2*s.pause, firstPause), lastPause)
	pause := s.pause
	var vendorError *vendorclient.Error
	if errors.As(err, &vendorError) {
		pause = max(pause, min(vendorError.RetryAfter, lastPause))
	}
	s.rest = now.Add(jitter(pause))
}

// jitter is about d, and not the same for all.
func jitter(d time.Duration) time.Duration { return d*3/4 + mathrand.N(d/2) }

// fenced says whether Redis can be told from an older life of itself. Where it
// cannot, there is no pool.
func (d *Dispenser) fenced(is bool) {
	if is {
		d.cfg.PoolState.Up()
		return
	}
	d.cfg.PoolState.Down("redis does not say who it is")
}
