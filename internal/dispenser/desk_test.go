package dispenser

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"farebox/internal/secret"
	vendorclient "farebox/vendor_client"
)

// press is a vendor whose calls end one by one, when the test lets them.
type press struct {
	calls chan chan minted
	spare chan vendorclient.Token
	desk  *desk
}

func newPress() *press {
	p := &press{calls: make(chan chan minted, 100), spare: make(chan vendorclient.Token, 100)}
	p.desk = newDesk(func(context.Context, vendorclient.TokenType) (vendorclient.Token, error) {
		end := make(chan minted)
		p.calls <- end
		m := <-end
		return m.token, m.err
	}, func(token vendorclient.Token) { p.spare <- token })
	return p
}

func paper(name string) minted { return minted{token: vendorclient.Token{Value: secret.New(name)}} }

// inLine waits until so many callers wait.
func (p *press) inLine(t *testing.T, want int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		p.desk.mu.Lock()
		waiting := p.desk.lines[vendorclient.BatchScribe].waiting.Len()
		p.desk.mu.Unlock()
		if waiting == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d wait, want %d", waiting, want)
		}
	}
}

// queue starts a caller, who is then the last of so many in line.
func (p *press) queue(t *testing.T, ctx context.Context, place int, ended *sync.WaitGroup, then func(vendorclient.Token, error)) {
	t.Helper()
	ended.Go(func() { then(p.desk.wait(ctx, vendorclient.BatchScribe)) })
	p.inLine(t, place)
}

func TestWaitingCallersAreServedInTheOrderOfTheirComing(t *testing.T) {
	t.Parallel()
	p := newPress()
	var ended sync.WaitGroup
	var mu sync.Mutex
	got := map[int]string{}
	for i := range 5 {
		p.queue(t, t.Context(), i+1, &ended, func(token vendorclient.Token, err error) {
			mu.Lock()
			defer mu.Unlock()
			got[i] = token.Value.Reveal()
		})
	}
	var calls []chan minted
	for range 5 {
		calls = append(calls, <-p.calls)
	}
	// The calls end in another order than they began in.
	for i, call := range []int{3, 0, 4, 2, 1} {
		calls[call] <- paper(fmt.Sprint("token ", i))
		p.inLine(t, 4-i)
	}
	ended.Wait()
	for i := range 5 {
		if got[i] != fmt.Sprint("token ", i) {
			t.Errorf("caller %d got %q", i, got[i])
		}
	}
}

func TestACallForThePoolServesWhoWaits(t *testing.T) {
	t.Parallel()
	p := newPress()
	var ended sync.WaitGroup
	stocked := make(chan bool, 1)
	ended.Go(func() {
		_, isSpare, err := p.desk.stock(vendorclient.BatchScribe)
		if err != nil {
			t.Error(err)
		}
		stocked <- isSpare
	})
	call := <-p.calls
	p.queue(t, t.Context(), 1, &ended, func(token vendorclient.Token, err error) {
		if err != nil || token.Value.Reveal() != "one" {
			t.Errorf("%s, %v", token.Value.Reveal(), err)
		}
	})
	if len(p.calls) != 0 {
		t.Error("a call under way was not enough for the one who waits")
	}
	call <- paper("one")
	if <-stocked {
		t.Error("a token was given to a caller and to the pool")
	}
	ended.Wait()
}

func TestATokenForWhoHasGoneIsSpare(t *testing.T) {
	t.Parallel()
	p := newPress()
	var ended sync.WaitGroup
	ctx, leave := context.WithCancel(t.Context())
	p.queue(t, ctx, 1, &ended, func(_ vendorclient.Token, err error) {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	call := <-p.calls
	leave()
	ended.Wait()
	call <- paper("left")
	if spare := <-p.spare; spare.Value.Reveal() != "left" {
		t.Errorf("spare is %q", spare.Value.Reveal())
	}
	// Who comes next has a call of their own.
	p.queue(t, t.Context(), 1, &ended, func(token vendorclient.Token, err error) {
		if err != nil || token.Value.Reveal() != "next" {
			t.Errorf("%s, %v", token.Value.Reveal(), err)
		}
	})
	(<-p.calls) <- paper("next")
	ended.Wait()
}

func TestAFailureIsTheFirstWaitersUnlessAnotherCallIsUnderWayForThem(t *testing.T) {
	t.Parallel()
	p := newPress()
	failure := errors.New("the vendor is away")
	var ended sync.WaitGroup
	// A call for the pool and one of its own: one failure is nobody's.
	ended.Go(func() {
		if _, _, err := p.desk.stock(vendorclient.BatchScribe); !errors.Is(err, failure) {
			t.Errorf("the pool's call: %v", err)
		}
	})
	first := <-p.calls
	for i := range 2 {
		p.queue(t, t.Context(), i+1, &ended, func(token vendorclient.Token, err error) {
			if i == 0 && token.Value.Reveal() != "one" || i == 1 && !errors.Is(err, failure) {
				t.Errorf("caller %d: %q, %v", i, token.Value.Reveal(), err)
			}
		})
	}
	second := <-p.calls
	second <- paper("one")
	p.inLine(t, 1)
	first <- minted{err: failure}
	ended.Wait()
	if len(p.calls) != 0 || p.desk.lines[vendorclient.BatchScribe].calls != 0 {
		t.Error("calls are left over")
	}
}

func TestWhatNeverReachedTheVendorHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	p := newPress()
	var ended sync.WaitGroup
	kinds := make([]vendorclient.Kind, 3)
	fails := func(i int) func(vendorclient.Token, error) {
		return func(_ vendorclient.Token, err error) {
			var e *vendorclient.Error
			if errors.As(err, &e) {
				kinds[i] = e.Kind
			}
		}
	}
	p.queue(t, t.Context(), 1, &ended, fails(0))
	first := <-p.calls // which hangs
	p.queue(t, t.Context(), 2, &ended, fails(1))
	(<-p.calls) <- minted{err: &vendorclient.Error{Kind: vendorclient.KindQueueFull}}
	p.inLine(t, 1)
	p.queue(t, t.Context(), 2, &ended, fails(2))
	(<-p.calls) <- minted{err: &vendorclient.Error{Kind: vendorclient.KindBreakerOpen}}
	ended.Wait()
	first <- paper("late")
	if spare := <-p.spare; spare.Value.Reveal() != "late" {
		t.Errorf("spare is %q", spare.Value.Reveal())
	}
	want := []vendorclient.Kind{vendorclient.KindBreakerOpen, vendorclient.KindQueueFull, vendorclient.KindBreakerOpen}
	if !slices.Equal(kinds, want) {
		t.Errorf("the callers got %v, want %v", kinds, want)
	}
}
