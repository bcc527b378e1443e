package vendorclient

import (
	"cmp"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"
)

// aside is why a key is not used for something, and when it is tried again.
type aside struct {
	kind   Kind
	pause  time.Duration
	again  time.Time
	trying bool // a call under way is to show whether it works again
}

const (
	// The first pause is short, since a refusal may be a slip of the vendor's.
	firstAside, lastAside = time.Second, 2 * time.Minute
	// trialEnds is about how long to wait for the end of a trial under way.
	trialEnds = time.Second
)

// hold keeps the key aside for about pause.
func (a *aside) hold(now time.Time) {
	a.again, a.trying = now.Add(a.pause*3/4+rand.N(a.pause/2)), false
}

// asidesOf are those that keep a key from being used for p.
func (k *Key) asidesOf(p purpose) []*aside {
	var all []*aside
	for _, of := range []purpose{everything, p} {
		if a := k.asides[of]; a != nil {
			all = append(all, a)
		}
	}
	return all
}

// turn is one use of a key.
type turn struct {
	key   *Key
	trial []*aside // what a success ends; nil where the key is good
}

// next is the key to make a call of o with, none of tried: one whose time to be
// tried again has come, wherever it stands, so that it is found well again
// though others serve; else the first that is good. Without one it says why the
// first key is not used, and when a key will be.
func (r *Ring) next(o order, tried []*Key) (turn, *Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.cfg.Now()
	due := func(a *aside) bool { return !a.trying && !now.Before(a.again) }
	var good *Key
	for _, k := range r.keys {
		asides := k.asidesOf(o.purpose)
		switch {
		case slices.Contains(tried, k):
		case len(asides) == 0 && good == nil:
			good = k
		case len(asides) > 0 && !slices.ContainsFunc(asides, func(a *aside) bool { return !due(a) }):
			for _, a := range asides {
				a.trying = true
			}
			return turn{k, asides}, nil
		}
	}
	if good != nil {
		return turn{key: good}, nil
	}
	return turn{}, r.refused(o, now)
}

// refused is a call that is not made, since no key is good for it.
func (r *Ring) refused(o order, now time.Time) *Error {
	e := &Error{Operation: o.operation, RetryAfter: 2 * lastAside}
	for _, k := range r.keys {
		asides := k.asidesOf(o.purpose)
		if len(asides) == 0 {
			e.RetryAfter = 0 // it was refused for this call alone
			return e
		}
		wait := trialEnds
		for _, a := range asides {
			e.Kind = cmp.Or(e.Kind, a.kind)
			wait = max(wait, a.again.Sub(now))
		}
		e.RetryAfter = min(e.RetryAfter, wait)
	}
	return e
}

// note keeps how a call of o ended. Only a success in a trial ends what it was
// to try; only a refusal makes the pause longer, since all else says nothing of
// the key.
func (r *Ring) note(t turn, o order, err *Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.cfg.Now()
	of, refused := everything, false
	if err != nil {
		of, refused = o.refusedFor(err)
	}
	for _, a := range t.trial {
		if refused {
			a.pause = min(2*a.pause, lastAside)
		}
		a.hold(now)
	}
	switch {
	case err == nil && t.trial != nil:
		for _, each := range []purpose{everything, o.purpose} {
			if slices.Contains(t.trial, t.key.asides[each]) {
				delete(t.key.asides, each)
				r.tell(t.key, each, nil)
			}
		}
	case refused:
		r.setAside(t, of, err, now)
	}
}

// setAside sets a key aside, where it is not already. Of calls that were under
// way together the first to be refused does.
func (r *Ring) setAside(t turn, of purpose, err *Error, now time.Time) {
	a := t.key.asides[of]
	switch {
	case a == nil:
		a = &aside{pause: firstAside}
		a.hold(now)
		t.key.asides[of] = a
	case a.kind == err.Kind || !slices.Contains(t.trial, a):
		return
	}
	a.kind = err.Kind
	r.tell(t.key, of, err)
}

// tell says that a key is set aside, or that it is usable again.
func (r *Ring) tell(k *Key, of purpose, err *Error) {
	position := slices.Index(r.keys, k) + 1
	if position == 0 {
		return // it was taken out of the ring meanwhile
	}
	r.refresh()
	change := KeyChange{Position: position, Only: string(of)}
	about := []any{slog.Int("key", position), slog.Int("of", len(r.keys))}
	if of != everything {
		about = append(about, slog.String("only_for", string(of)))
	}
	if err == nil {
		r.cfg.Log.Info("an API key is usable again", about...)
	} else {
		change.Kind = err.Kind
		r.cfg.Log.Warn("the vendor refuses an API key: it is set aside", append(about, slog.String("error", err.Error()), slog.String("mend", mends[err.Kind]))...)
	}
	r.cfg.Changed(change)
}

// refusedFor is what a key is set aside for after an error of o; false for
// nothing.
func (o order) refusedFor(e *Error) (purpose, bool) {
	switch e.Kind {
	case KindKeyInvalid, KindKeyIDAsKey, KindCreditsExhausted:
		return everything, true
	case KindScopeMissing, KindPlanTooLow:
		return o.purpose, true
	case KindAddressRefused:
		// A 403 to a call about an agent may be about the agent.
		return everything, o.operation == operationMint || e.Address != ""
	default:
		return everything, false
	}
}
