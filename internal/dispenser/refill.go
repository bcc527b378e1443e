package dispenser

import (
	"context"
	"errors"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"farebox/internal/poolplan"
	"farebox/internal/shard"
	vendorclient "farebox/vendor_client"
)

const (
	hurried, leisure = poolplan.Hurried, poolplan.Leisure
	// crowded is how long to wait for a slot that others have.
	crowded = 200 * time.Millisecond
	// unknowing is how long to wait for Redis to say what it is.
	unknowing = 500 * time.Millisecond
)

// refiller keeps the pool at its target: enough of each type for the demand of
// all replicas while a mint takes place. Slots are reserved in Redis, so that
// N replicas mint no more than one would.
type refiller struct {
	d       *Dispenser
	replica string
	// slots bound the mints for the pool under way, of all types together.
	slots chan struct{}
	mints sync.WaitGroup

	moods  map[vendorclient.TokenType]*mood
	mu     sync.Mutex
	stocks map[vendorclient.TokenType][]*stock // by shard, as these become known
	away   map[int]string                      // shards without a pool, and why
	fenced map[int]bool                        // whether a shard's server says who it is, of those that were asked
}

func newRefiller(d *Dispenser) *refiller {
	r := &refiller{
		d: d, replica: randomID(), slots: make(chan struct{}, d.cfg.MintConcurrency),
		moods:  map[vendorclient.TokenType]*mood{},
		stocks: map[vendorclient.TokenType][]*stock{}, away: map[int]string{}, fenced: map[int]bool{},
	}
	for _, t := range vendorclient.TokenTypes() {
		r.moods[t] = &mood{took: firstGuess}
	}
	return r
}

// stocksOf are a type's, one a shard.
func (r *refiller) stocksOf(t vendorclient.TokenType, shards []*shard.Shard) []*stock {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.stocks[t]
	for i := len(all); i < len(shards); i++ {
		all = append(all, &stock{
			of: t, shard: shards[i], mood: r.moods[t], wake: make(chan struct{}, 1),
			least: shard.Share(r.d.cfg.Pool.Min, i, len(shards)), most: shard.Share(r.d.cfg.Pool.Max, i, len(shards)),
		})
	}
	r.stocks[t] = all
	return all
}

// neediest is the stock of a type that is asked for most, and may hold a token.
func (r *refiller) neediest(t vendorclient.TokenType, shards []*shard.Shard) *stock {
	now := r.d.cfg.Now()
	all := r.stocksOf(t, shards)
	most := all[0] // which has the greatest share
	for _, s := range all[1:] {
		if s.most > 0 && s.perSecond(now) > most.perSecond(now) {
			most = s
		}
	}
	return most
}

// run looks after all stocks until ctx ends, and then waits for the mints that
// are under way.
func (r *refiller) run(ctx context.Context) {
	var all sync.WaitGroup
	if shards := r.awaitShards(ctx); shards != nil {
		for t := range r.moods {
			for _, s := range r.stocksOf(t, shards) {
				all.Go(func() { r.lookAfter(ctx, s) })
			}
		}
	}
	all.Wait()
	r.mints.Wait()
}

// awaitShards waits until it is known what Redis is; nil where ctx ends before.
func (r *refiller) awaitShards(ctx context.Context) []*shard.Shard {
	for ctx.Err() == nil {
		shards, err := r.d.cfg.Shards.All(ctx)
		if err == nil {
			return shards
		}
		r.d.cfg.PoolState.Down(redisIsAway)
		sleep(ctx, jitter(unknowing))
	}
	return nil
}

func (r *refiller) lookAfter(ctx context.Context, s *stock) {
	for ctx.Err() == nil {
		if s.asleep(r.d.cfg.Now()) {
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
			}
		}
		pause := r.round(ctx, s)
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
func (r *refiller) round(ctx context.Context, s *stock) time.Duration {
	now := r.d.cfg.Now()
	took, rest, failing := s.mood.look(now)
	want := max(cap(r.slots)/len(r.moods), 1) // so that no type takes all
	trial := false
	switch {
	case rest > 0:
		want = 0
	case failing: // one is enough to see whether it works again
		want = 0
		if trial = s.mood.beginTrial(); trial {
			want = 1
		}
	}
	slots := r.takeSlots(want)
	pool := r.pool(s.of)
	this := refillRound{
		pool: pool, id: randomID(), want: slots, demand: s.perSecond(now), lead: took + hurried,
		least: s.least, most: s.most, unsure: s.unsureOf(pool),
	}
	if this.unsure != nil {
		this.id = this.unsure.id
	}
	got, err := r.d.store.reserve(ctx, s.shard, s.of, r.replica, this)
	s.learn(r.d.cfg.Now(), this, got, err)
	r.d.noteDropped(s.of, got.dropped)
	for range slots - len(got.slots) {
		<-r.slots
	}
	if trial && len(got.slots) == 0 {
		s.mood.endTrial()
	}
	r.report(s.shard, got.clock != nil, err)
	for _, reserved := range got.slots {
		r.mints.Go(func() {
			defer func() { <-r.slots }()
			r.mint(ctx, s, reserved)
		})
	}
	switch {
	case err != nil:
		return jitter(leisure)
	case rest > 0:
		return rest
	case failing:
		return jitter(leisure)
	case slots == 0:
		return jitter(crowded)
	case len(got.slots) == slots: // more may be missing
		return hurried
	}
	return jitter(leisure)
}

// pool is which one is to be filled: that of the first key that is good. Where
// none is, that of the first key, so that it is found out when one is again.
func (r *refiller) pool(t vendorclient.TokenType) *vendorclient.Key {
	return append(slices.Clip(r.d.cfg.Keys.Good(t)), r.d.cfg.Keys.Keys()[0])[0]
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
func (r *refiller) mint(ctx context.Context, s *stock, reserved *slot) {
	began := r.d.cfg.Now()
	token, spare, err := r.d.desk.stock(s.of)
	took := r.d.cfg.Now().Sub(began)
	ctx = context.WithoutCancel(ctx) // what was made is kept, though the process ends
	kept := spare && r.d.keepSpare(ctx, token, s, reserved)
	if spare && !kept {
		err = errNotKept
	}
	if s.mood.note(r.d.cfg.Now(), took, err) {
		r.stirAll(s.of)
	}
	if !kept {
		if err := r.d.store.free(ctx, s.shard, s.of, reserved); err != nil {
			r.d.cfg.Log.DebugContext(ctx, "a reservation of the pool was not ended; it expires", "error", err)
		}
	}
	s.stir() // there may be more to do, now that a slot is free
}

// asked notes that a request for a token was granted, out of the pool or not.
func (r *refiller) asked(ctx context.Context, a *attempt, decision decision) {
	if r.d.cfg.Pool.Max == 0 || a.Bespoke != nil {
		return
	}
	shards, err := r.d.cfg.Shards.All(ctx)
	if err != nil {
		return
	}
	s := r.stocksOf(a.Type, shards)[shard.At(shards, a.spread).Index]
	if decision.pooled {
		s.ready.Add(-1)
	} else {
		s.ready.Store(0)
	}
	s.asked(r.d.cfg.Now())
}

// stirAll has all stocks of a type looked after soon.
func (r *refiller) stirAll(t vendorclient.TokenType) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.stocks[t] {
		s.stir()
	}
}

// errNotKept is a token that did not come into the pool: to go on at once would
// mint for nothing, again and again.
var errNotKept = errors.New("the token did not come into the pool")

const redisIsAway = "redis is away"

// report says whether each shard's server can be told from an older life of
// itself. Where it cannot, there is no pool.
func (r *refiller) report(sh *shard.Shard, fenced bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.fenced[sh.Index] = fenced
	}
	switch {
	case err != nil:
		r.away[sh.Index] = redisIsAway
	case !fenced:
		r.away[sh.Index] = "redis does not say who it is"
	default:
		delete(r.away, sh.Index)
	}
	for _, why := range r.away {
		r.d.cfg.PoolState.Down(why)
		return
	}
	r.d.cfg.PoolState.Up()
}

// jitter is about d, and not the same for all.
func jitter(d time.Duration) time.Duration { return d*3/4 + mathrand.N(d/2) }
