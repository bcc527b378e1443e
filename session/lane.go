package session

import (
	"context"
	"fmt"
)

// lane bounds how many signatures are checked at once, since each costs time of
// a processor, and how many may wait for that.
type lane struct{ checking, waiting chan struct{} }

// waitersPerProcessor bounds a flood of signatures: at some 100 µs each, the
// last in the queue waits for a few hundredths of a second.
const waitersPerProcessor = 256

func newLane(processors int) lane {
	return lane{
		checking: make(chan struct{}, processors),
		waiting:  make(chan struct{}, processors*(1+waitersPerProcessor)),
	}
}

// enter waits for a place, which leave gives back. It is ErrOverloaded where
// too many wait, or ctx ends.
func (l lane) enter(ctx context.Context) (leave func(), err error) {
	select {
	case l.waiting <- struct{}{}:
	default:
		return nil, ErrOverloaded
	}
	select {
	case l.checking <- struct{}{}:
		return func() { <-l.checking; <-l.waiting }, nil
	case <-ctx.Done():
		<-l.waiting
		return nil, fmt.Errorf("%w: %w", ErrOverloaded, ctx.Err())
	}
}
