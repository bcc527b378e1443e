// Package lane has what comes while others of its kind are under way wait, and
// go together.
package lane

// Abreast is how many go at once, at most: while a server is at one, another is on
// its way.
const Abreast = 2

// Lane is who is under way and who waits. It is for one goroutine at a time. Its
// zero value is a free one.
type Lane[T any] struct {
	busy    int // places that are taken; none only where nobody waits
	waiting []T // in the order of their coming
}

// Enter reports whether there is a place to go at once, of so many. Who got one
// gives it up by Next.
func (l *Lane[T]) Enter(places int) bool {
	if l.busy >= places {
		return false
	}
	l.busy++
	return true
}

// Wait puts item at the end of those who wait, where there was no place.
func (l *Lane[T]) Wait(item T) { l.waiting = append(l.waiting, item) }

// Next returns who is to go next in a place, most at most; where nobody waits it
// gives the place up and returns nil.
func (l *Lane[T]) Next(most int) []T {
	batch := l.Take(most)
	if batch == nil {
		l.Leave()
	}
	return batch
}

// Leave gives a place up. Where others wait somebody else has to be under way.
func (l *Lane[T]) Leave() { l.busy-- }

// Busy is how many places are taken.
func (l *Lane[T]) Busy() int { return l.busy }

// Take returns who waits, most at most, to go with whoever has a place; nil for
// nobody.
func (l *Lane[T]) Take(most int) []T {
	n := min(len(l.waiting), most)
	if n == 0 {
		return nil
	}
	batch := l.waiting[:n:n]
	if l.waiting = l.waiting[n:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	return batch
}

// Dismiss returns all who wait, who wait no longer.
func (l *Lane[T]) Dismiss() []T {
	dismissed := l.waiting
	l.waiting = nil
	return dismissed
}

// Waiting is how many wait.
func (l *Lane[T]) Waiting() int { return len(l.waiting) }
