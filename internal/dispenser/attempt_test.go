package dispenser_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/limit"
	"farebox/internal/secret"
	vendorclient "farebox/vendor_client"
)

// attemptSuite is what holds of attempts, their claims and their charges with
// every Redis.
var attemptSuite = map[string]func(*testing.T, *house){
	"a token's life counts from before the vendor was called":   lifeFromBeforeTheCall,
	"a failure frees only its own claim":                        ownClaimAlone,
	"a claim that is gone and nobody's is kept all the same":    claimGone,
	"a claim outlives the longest mint":                         claimOutlives,
	"an attempt goes on for one more vendor call":               oneMoreCall,
	"closing waits for attempts that go on":                     closingWaits,
	"a command does not die with its caller":                    commandGoesOn,
	"issuers are told apart by keys and limits":                 issuersApart,
	"the global charge is given back too":                       globalGivenBack,
	"a charge of another day is not given back on this one":     otherDaysCharge,
	"a new day brings a new quota":                              newDay,
	"the charge in process is given back too":                   localGivenBack,
	"an answer under an old secret is replaced, not kept twice": oldSecretsAnswer,
}

func lifeFromBeforeTheCall(t *testing.T, h *house) {
	h.vendor.askedBefore = 2 * time.Minute
	d := h.open()
	before := time.Now()
	for _, key := range []string{"", "k", "k"} {
		g := must(t, d, request("ada", key))
		if life := g.ExpiresAt.Sub(before); life > 13*time.Minute+5*time.Second || life < 12*time.Minute {
			t.Errorf("source %s: life = %v of a token asked for 2 minutes ago", g.Source, life)
		}
	}
}

// loseClaim starts a first caller, whose claim is then lost, and returns how
// that caller ends.
func (h *house) loseClaim(d *dispenser.Dispenser) (ended chan error) {
	h.t.Helper()
	ended = make(chan error, 1)
	calls := h.vendor.count()
	go func() {
		_, err := d.Dispense(context.WithoutCancel(h.t.Context()), request("ada", "k"))
		ended <- err
	}()
	h.eventually("the vendor is called", func() bool { return h.vendor.count() == calls+1 })
	for _, key := range h.keys("r:") {
		h.redis.Del(context.Background(), key)
	}
	return ended
}

func ownClaimAlone(t *testing.T, h *house) {
	slow := make(chan struct{})
	h.vendor.gate, h.vendor.answer = slow, func(call int) (string, error) {
		if call == 1 {
			return "", &vendorclient.Error{Kind: vendorclient.KindKeyInvalid}
		}
		return fmt.Sprint("token ", call), nil
	}
	first := h.loseClaim(h.open())
	h.vendor.mu.Lock()
	h.vendor.gate = make(chan struct{})
	quick := h.vendor.gate
	h.vendor.mu.Unlock()
	var others sync.WaitGroup
	tokens := make([]string, 2)
	claim := func(i int) {
		d := h.open()
		others.Go(func() {
			g, err := d.Dispense(t.Context(), request("ada", "k"))
			if err != nil {
				t.Error(err)
			}
			tokens[i] = g.Token.Reveal()
		})
	}
	claim(0)
	h.eventually("the second claims", func() bool { return h.vendor.count() == 2 })
	close(slow)
	if err := <-first; err == nil {
		t.Error("the first has a token")
	}
	if keys := h.keys("r:"); len(keys) != 1 || !strings.HasPrefix(h.redis.Get(t.Context(), keys[0]).Val(), "p") {
		t.Errorf("the second's claim is gone: %v", keys)
	}
	claim(1)
	time.Sleep(50 * time.Millisecond)
	close(quick)
	others.Wait()
	if tokens[0] != tokens[1] || h.vendor.count() != 2 {
		t.Errorf("tokens %v after %d vendor calls", tokens, h.vendor.count())
	}
}

func claimGone(t *testing.T, h *house) {
	h.vendor.gate = make(chan struct{})
	d := h.open()
	first := h.loseClaim(d)
	close(h.vendor.gate)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if g := must(t, h.open(), request("ada", "k")); g.Source != dispenser.SourceReplay || h.vendor.count() != 1 {
		t.Errorf("source = %s after %d vendor calls", g.Source, h.vendor.count())
	}
}

func claimOutlives(t *testing.T, h *house) {
	h.vendor.gate = make(chan struct{})
	d := h.open()
	ended := make(chan struct{})
	go func() {
		must(t, d, request("ada", "k"))
		close(ended)
	}()
	h.eventually("the attempt is claimed", func() bool { return len(h.keys("r:")) == 1 })
	if life := h.redis.PTTL(t.Context(), h.keys("r:")[0]).Val(); life <= 15*time.Second || life > time.Minute {
		t.Errorf("a claim lives %v, a mint up to 15s", life)
	}
	close(h.vendor.gate)
	<-ended
}

func oneMoreCall(t *testing.T, h *house) {
	d := h.open(func(cfg *options) { cfg.RequestTimeout = 100 * time.Millisecond })
	h.vendor.gate = make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := d.Dispense(ctx, request("ada", "k")); !errors.Is(err, dispenser.ErrInProgress) {
		t.Errorf("error = %v", err)
	}
	time.Sleep(300 * time.Millisecond)
	close(h.vendor.gate)
	if g := must(t, d, request("ada", "k")); g.Source != dispenser.SourceReplay || h.vendor.count() != 1 {
		t.Errorf("source = %s after %d vendor calls", g.Source, h.vendor.count())
	}
}

func closingWaits(t *testing.T, h *house) {
	d := h.open()
	h.vendor.gate = make(chan struct{})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		h.eventually("the vendor is called", func() bool { return h.vendor.count() == 1 })
		leave()
	}()
	_, _ = d.Dispense(ctx, request("ada", "k"))
	closed := make(chan error, 1)
	go func() { closed <- d.Close(context.Background()) }()
	select {
	case <-closed:
		t.Error("closed while an attempt went on")
	case <-time.After(100 * time.Millisecond):
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := d.Close(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a time-out for closing: %v", err)
	}
	close(h.vendor.gate)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if g := must(t, h.open(), request("ada", "k")); g.Source != dispenser.SourceReplay {
		t.Errorf("the answer was not kept: source = %s", g.Source)
	}
}

func commandGoesOn(t *testing.T, h *house) {
	gone, leave := context.WithCancel(t.Context())
	leave()
	h.vendor.gate = make(chan struct{}) // else the token may be there in the same moment
	d := h.open()
	if _, err := d.Dispense(gone, request("ada", "")); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	if n := h.board.Report().Dependencies["redis"].State; n != "up" {
		t.Errorf("redis is %s since a caller has gone", n)
	}
	close(h.vendor.gate)
	if g := must(t, d, request("ada", "")); g.Limits[0].Remaining != 8 {
		t.Errorf("%d left: the first charge is not known", g.Limits[0].Remaining)
	}
}

func issuersApart(t *testing.T, h *house) {
	d := h.open()
	r := request("ada", "k")
	r.Limits.PerUser.Count = 1
	must(t, d, r)
	other := r
	other.Issuer, other.Fingerprint = "https://other.example", "another request"
	if g, err := d.Dispense(t.Context(), other); err != nil || g.Source != dispenser.SourceMint {
		t.Errorf("the same subject and key of another issuer: %v, %v", g.Source, err)
	}
}

func globalGivenBack(t *testing.T, h *house) {
	d := h.open()
	h.vendor.fails(&vendorclient.Error{Kind: vendorclient.KindKeyInvalid})
	r := request("ada", "")
	r.Limits = limit.Limits{Global: limit.Rate{Count: 2, Period: time.Hour}}
	for i := range 6 {
		var over *dispenser.LimitError
		if _, err := d.Dispense(t.Context(), r); errors.As(err, &over) {
			t.Fatalf("request %d: a charge for nothing was kept", i)
		}
	}
}

// state is the caller's only one, and what it says.
func (h *house) state() (key string, tat, day, used int64) {
	h.t.Helper()
	keys := h.keys("u:")
	if len(keys) != 1 {
		h.t.Fatalf("states: %v", keys)
	}
	if _, err := fmt.Sscan(h.redis.Get(context.Background(), keys[0]).Val(), &tat, &day, &used); err != nil {
		h.t.Fatal(err)
	}
	return keys[0], tat, day, used
}

func (h *house) setState(key string, tat, day, used int64) {
	h.redis.Set(context.Background(), key, fmt.Sprint(tat, " ", day, " ", used, " ", 6_000_000), time.Hour)
}

func otherDaysCharge(t *testing.T, h *house) {
	h.vendor.gate = make(chan struct{})
	h.vendor.answer = func(int) (string, error) { return "", &vendorclient.Error{Kind: vendorclient.KindKeyInvalid} }
	d := h.open()
	ended := make(chan struct{})
	go func() {
		_, _ = d.Dispense(context.WithoutCancel(t.Context()), request("ada", ""))
		close(ended)
	}()
	h.eventually("the vendor is called", func() bool { return h.vendor.count() == 1 })
	key, tat, day, _ := h.state()
	h.setState(key, tat, day+1, 5) // midnight has passed meanwhile
	close(h.vendor.gate)
	<-ended
	if _, _, _, used := h.state(); used != 5 {
		t.Errorf("%d of 5 are left of another day's count", used)
	}
}

func newDay(t *testing.T, h *house) {
	d := h.open()
	must(t, d, request("ada", ""))
	key, tat, day, _ := h.state()
	h.setState(key, tat, day-1, 200)
	if g := must(t, d, request("ada", "")); g.Limits[1].Remaining != 199 {
		t.Errorf("%d left on a new day", g.Limits[1].Remaining)
	}
}

func localGivenBack(t *testing.T, h *house) {
	h.vendor.fails(&vendorclient.Error{Kind: vendorclient.KindKeyInvalid})
	d := h.open(func(cfg *options) { cfg.RedisTimeout = 2 * time.Second })
	for range 15 {
		_, _ = d.Dispense(t.Context(), request("ada", ""))
	}
	h.vendor.works()
	// Redis goes: what is counted in process must not hold the failures.
	h.stopRedis()
	if g := must(t, d, request("ada", "")); g.Limits[0].Remaining != 9 {
		t.Errorf("%d left", g.Limits[0].Remaining)
	}
}

func oldSecretsAnswer(t *testing.T, h *house) {
	must(t, h.open(), request("ada", "k"))
	moved := func(cfg *options) {
		cfg.VendorHost = "other.example"
		cfg.Secrets = []secret.Text{secret.New(youngSecret), secret.New(oldSecret)}
	}
	second := must(t, h.open(moved), request("ada", "k"))
	if keys := h.keys("r:"); len(keys) != 1 {
		t.Errorf("%d answers under one key", len(keys))
	}
	if g := must(t, h.open(moved), request("ada", "k")); g.Token.Reveal() != second.Token.Reveal() {
		t.Error("the old answer came back")
	}
}
