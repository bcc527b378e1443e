package dispenser

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"

	vendorclient "farebox/vendor_client"
)

// desk is where callers wait for tokens that the vendor is making. They are
// served in the order in which they came, whichever call brings the token, so
// that nobody waits for a call of their own while another's is done. A token
// that nobody waits for is a spare one.
type desk struct {
	// mint has the vendor make one token that it never gave before, within a
	// time of its own. ctx says for whom it is begun, and its end is of no matter.
	mint func(ctx context.Context, t vendorclient.TokenType) (vendorclient.Token, error)
	// spare takes a token that was made for a caller who has gone.
	spare func(token vendorclient.Token)

	mu    sync.Mutex
	lines map[vendorclient.TokenType]*line
	crew  crew // makes the calls that callers begin
}

// line is what is under way for one type: calls are at least as many as the
// waiting, or the next failure is the first waiting's.
type line struct {
	waiting list.List // of chan minted, in the order of their coming
	calls   int
}

// minted is how a wait ends.
type minted struct {
	token vendorclient.Token
	err   error
}

func newDesk(mint func(context.Context, vendorclient.TokenType) (vendorclient.Token, error), spare func(vendorclient.Token)) *desk {
	d := &desk{mint: mint, spare: spare, lines: map[vendorclient.TokenType]*line{}}
	for _, t := range vendorclient.TokenTypes() {
		d.lines[t] = &line{}
	}
	return d
}

// wait returns a token that was just made, or why none was; ctx's own error
// where it ended first, and then the token that comes is spare.
func (d *desk) wait(ctx context.Context, t vendorclient.TokenType) (vendorclient.Token, error) {
	mine := make(chan minted, 1)
	d.mu.Lock()
	l := d.lines[t]
	place := l.waiting.PushBack(mine)
	if l.calls < l.waiting.Len() {
		l.calls++
		d.crew.run(func() {
			if token, isSpare, _ := d.fetch(ctx, t); isSpare {
				d.spare(token)
			}
		})
	}
	d.mu.Unlock()
	select {
	case m := <-mine:
		return m.token, m.err
	case <-ctx.Done():
	}
	d.mu.Lock()
	l.waiting.Remove(place)
	d.mu.Unlock()
	// It may have come in the same moment.
	select {
	case m := <-mine:
		return m.token, m.err
	default:
		return vendorclient.Token{}, ctx.Err()
	}
}

// stock has the vendor make a token for the pool, and returns it where it is
// spare: somebody may have been waiting for it. An error is the call's own.
func (d *desk) stock(t vendorclient.TokenType) (token vendorclient.Token, isSpare bool, err error) {
	d.mu.Lock()
	d.lines[t].calls++
	d.mu.Unlock()
	return d.fetch(context.Background(), t)
}

// fetch makes one call, which is counted already, and hands what comes of it to
// the first who waits.
func (d *desk) fetch(ctx context.Context, t vendorclient.TokenType) (token vendorclient.Token, isSpare bool, err error) {
	m := d.call(ctx, t)
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lines[t]
	l.calls--
	if l.refused(m) {
		return vendorclient.Token{}, false, m.err
	}
	first := l.waiting.Front()
	if first == nil || m.err != nil && l.calls >= l.waiting.Len() {
		return m.token, m.err == nil, m.err
	}
	l.waiting.Remove(first)
	first.Value.(chan minted) <- m
	return vendorclient.Token{}, false, m.err
}

// refused tells those to whom an error belongs that never reached the vendor,
// and reports whether m is one: with a breaker open nobody waits for anything,
// and in a full queue the last to come has no place.
func (l *line) refused(m minted) bool {
	var vendorError *vendorclient.Error
	if !errors.As(m.err, &vendorError) {
		return false
	}
	switch vendorError.Kind {
	case vendorclient.KindBreakerOpen:
		for l.waiting.Len() > 0 {
			l.waiting.Remove(l.waiting.Front()).(chan minted) <- m
		}
		return true
	case vendorclient.KindQueueFull:
		if l.calls < l.waiting.Len() {
			l.waiting.Remove(l.waiting.Back()).(chan minted) <- m
		}
		return true
	}
	return false
}

// call is one call; no request's own recovery stands above its goroutine.
func (d *desk) call(ctx context.Context, t vendorclient.TokenType) (m minted) {
	defer func() {
		if r := recover(); r != nil {
			m.err = fmt.Errorf("dispenser: a mint panicked with a %T", r)
		}
	}()
	m.token, m.err = d.mint(ctx, t)
	return m
}
