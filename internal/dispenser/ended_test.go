package dispenser_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/revocation"
	"farebox/internal/secret"
)

func endedSessions(t *testing.T, h *house) {
	now := time.Now().Truncate(time.Second)
	session := dispenser.Request{SessionID: "sid", TokenID: "jti", IssuedAt: now}
	from := func(subject string, s dispenser.Request) dispenser.Request {
		r := request(subject, "")
		r.SessionID, r.TokenID, r.IssuedAt = s.SessionID, s.TokenID, s.IssuedAt
		return r
	}
	issued := func(after time.Duration) dispenser.Request {
		s := session
		s.IssuedAt = now.Add(after)
		return s
	}
	for name, c := range map[string]struct {
		ending revocation.Ending
		asks   dispenser.Request
		ended  bool
	}{
		"its subject":                              {revocation.Ending{Subject: "1"}, from("1", session), true},
		"its session":                              {revocation.Ending{SessionID: "sid"}, from("2", session), true},
		"this JWT":                                 {revocation.Ending{TokenID: "jti"}, from("3", session), true},
		"issued before":                            {revocation.Ending{Subject: "4"}, from("4", issued(-time.Hour)), true},
		"it does not say when it was issued":       {revocation.Ending{Subject: "5"}, from("5", dispenser.Request{}), true},
		"issued after":                             {revocation.Ending{Subject: "6"}, from("6", issued(time.Second)), false},
		"another subject":                          {revocation.Ending{Subject: "x"}, from("7", session), false},
		"another session":                          {revocation.Ending{SessionID: "x"}, from("8", session), false},
		"another JWT":                              {revocation.Ending{TokenID: "x"}, from("9", session), false},
		"a session of another issuer":              {revocation.Ending{Issuer: "https://other.example", SessionID: "sid"}, from("10", session), false},
		"a subject of the session's name":          {revocation.Ending{Subject: "sid"}, from("11", session), false},
		"ended twice, the first time the later":    {revocation.Ending{Subject: "12", At: now.Add(time.Hour)}, from("12", issued(time.Minute)), true},
		"a session without an id, and one is over": {revocation.Ending{SessionID: "sid"}, from("13", dispenser.Request{IssuedAt: now}), false},
	} {
		t.Run(name, func(t *testing.T) {
			h := *h
			h.t = t
			own := func(o *options) { o.Prefix = h.prefix + " ended " + c.asks.Subject }
			other := h.revokes(own)
			d := h.open(own)
			calls := h.vendor.count()
			for _, at := range []time.Time{c.ending.At, now} {
				if at.IsZero() {
					continue
				}
				e := c.ending
				e.At = at
				if e.Issuer == "" {
					e.Issuer = c.asks.Issuer
				}
				if err := other.End(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
			_, err := d.Dispense(t.Context(), c.asks)
			if errors.Is(err, dispenser.ErrSessionEnded) != c.ended || err != nil && !c.ended {
				t.Errorf("Dispense: %v", err)
			}
			if got := h.vendor.count() - calls; c.ended && got != 0 {
				t.Errorf("%d mints for a session that was ended", got)
			}
		})
	}
}

// An ended session gets no answer again, though it is kept.
func endedBeforeReplay(t *testing.T, h *house) {
	d := h.open()
	r := request("ada", "k")
	r.IssuedAt = time.Now().Add(-time.Minute)
	must(t, d, r)
	if err := h.revokes().End(t.Context(), revocation.Ending{Issuer: r.Issuer, Subject: "ada", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Dispense(t.Context(), r); !errors.Is(err, dispenser.ErrSessionEnded) {
		t.Errorf("Dispense: %v", err)
	}
	r.IssuedAt = time.Now().Add(time.Second)
	if g := must(t, d, r); g.Source != dispenser.SourceReplay {
		t.Errorf("a session that began after it: %s", g.Source)
	}
}

func endedThroughRotation(t *testing.T, h *house) {
	if err := h.revokes().End(t.Context(), revocation.Ending{Issuer: "https://issuer.example", Subject: "ada", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	after := h.open(func(cfg *options) {
		cfg.Secrets = []secret.Text{secret.New(youngSecret), secret.New(oldSecret)}
	})
	if _, err := after.Dispense(t.Context(), request("ada", "")); !errors.Is(err, dispenser.ErrSessionEnded) {
		t.Errorf("Dispense: %v", err)
	}
}

// revokes returns the list of a replica that serves nobody.
func (h *house) revokes(amend ...func(*options)) *revocation.List {
	h.t.Helper()
	h.open(amend...)
	return h.lists[len(h.lists)-1]
}

func endedWithoutRedis(t *testing.T, h *house) {
	d := h.open()
	own := h.lists[len(h.lists)-1]
	h.stopRedis()
	if own.End(t.Context(), revocation.Ending{Issuer: "https://issuer.example", Subject: "ada", At: time.Now()}) == nil {
		t.Error("without Redis it is said to be done")
	}
	if _, err := d.Dispense(t.Context(), request("ada", "")); !errors.Is(err, dispenser.ErrSessionEnded) {
		t.Errorf("Dispense: %v", err)
	}
	must(t, d, request("bob", ""))
	strict := h.open(func(o *options) { o.RequireRevocations = true })
	h.stopRedis()
	for _, key := range []string{"", "k"} {
		if _, err := strict.Dispense(t.Context(), request("bob", key)); !errors.Is(err, dispenser.ErrRevocationsUnknown) {
			t.Errorf("Dispense: %v", err)
		}
	}
}

// A session that was ended gets nothing by joining another's attempt, nor does
// one that is ended while its token is made.
func endedJoins(t *testing.T, h *house) {
	d := h.open()
	own, other := h.lists[len(h.lists)-1], h.revokes()
	h.vendor.gate = make(chan struct{})
	old, young := request("ada", "k"), request("ada", "k")
	old.IssuedAt, young.IssuedAt = time.Now().Add(-time.Minute), time.Now().Add(time.Minute)
	answers := make(chan error, 2)
	go func() {
		_, err := d.Dispense(t.Context(), young)
		answers <- err
	}()
	h.eventually("the vendor is called", func() bool { return h.vendor.count() == 1 })
	if err := other.End(t.Context(), revocation.Ending{Issuer: old.Issuer, Subject: "ada", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Dispense(t.Context(), old); !errors.Is(err, dispenser.ErrSessionEnded) {
		t.Errorf("who joins: %v", err)
	}
	bob := request("bob", "")
	bob.IssuedAt = time.Now().Add(-time.Minute)
	late := make(chan error, 1)
	go func() {
		_, err := d.Dispense(t.Context(), bob)
		late <- err
	}()
	h.eventually("the vendor is called for bob", func() bool { return h.vendor.count() == 2 })
	if err := own.End(t.Context(), revocation.Ending{Issuer: bob.Issuer, Subject: "bob", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	close(h.vendor.gate)
	if err := <-answers; err != nil {
		t.Errorf("who began it: %v", err)
	}
	if err := <-late; !errors.Is(err, dispenser.ErrSessionEnded) {
		t.Errorf("who was ended meanwhile: %v", err)
	}
}

// What was never sent to Redis needs no end there.
func nothingLingers(t *testing.T, h *house) {
	strict := h.open(func(o *options) { o.RequireRevocations = true })
	h.stopRedis()
	for range 10 {
		_, _ = strict.Dispense(t.Context(), request("ada", ""))
	}
	before := runtime.NumGoroutine()
	for i := range 5000 {
		if _, err := strict.Dispense(t.Context(), request("ada", fmt.Sprint("key ", i))); !errors.Is(err, dispenser.ErrRevocationsUnknown) {
			t.Fatal(err)
		}
	}
	// Other tests run beside this one; the breaker lets one call a second pass.
	if more := runtime.NumGoroutine() - before; more > 2500 {
		t.Errorf("%d goroutines more, of 5000 refused requests", more)
	}
}

var endedSuite = map[string]func(*testing.T, *house){
	"a session that was ended gets nothing":         endedSessions,
	"a session that was ended gets no answer again": endedBeforeReplay,
	"a session is ended through a rotation":         endedThroughRotation,
	"a session that was ended joins nobody":         endedJoins,
	"a refused request leaves nothing behind":       nothingLingers,
	"without Redis it goes by what it knows":        endedWithoutRedis,
}
