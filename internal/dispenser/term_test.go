package dispenser

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

type nameOf struct{}

func TestAMintHasItsBudgetAndASecondMoreAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const budget = 20 * time.Second
		all := terms{budget: budget}
		for _, after := range []time.Duration{0, time.Second, time.Nanosecond, 400 * time.Millisecond, time.Hour} {
			time.Sleep(after)
			ctx := all.of(t.Context())
			deadline, bounded := ctx.Deadline()
			if rest := time.Until(deadline); !bounded || rest < budget || rest > budget+time.Second {
				t.Errorf("%v is left", rest)
			}
		}
		all.end()
	})
}

// Its end is passed on to what a call derives from it, and the caller's is not.
func TestAMintEndsWithItsBudgetAndNotWithItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := terms{budget: time.Second}
		caller, leave := context.WithCancel(context.WithValue(t.Context(), nameOf{}, "ada"))
		ctx := all.of(caller)
		other := all.of(context.WithValue(t.Context(), nameOf{}, "bob"))
		call, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		leave()
		if call.Err() != nil || call.Value(nameOf{}) != "ada" || other.Value(nameOf{}) != "bob" {
			t.Errorf("the caller has gone: %v, of %v and %v", call.Err(), call.Value(nameOf{}), other.Value(nameOf{}))
		}
		time.Sleep(2*time.Second + time.Nanosecond)
		synctest.Wait()
		if err := call.Err(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the budget is over: %v", err)
		}
	})
}

func TestWithTheDispenserItsMintsEnd(t *testing.T) {
	t.Parallel()
	all := terms{budget: time.Minute}
	all.end()
	ctx := all.of(t.Context())
	all.end()
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("error = %v", ctx.Err())
	}
}
