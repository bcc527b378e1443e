package dispenser_test

import (
	"errors"
	"testing"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/secret"
)

func endedSessions(t *testing.T, h *house) {
	now := time.Now().Truncate(time.Second)
	session := dispenser.Session{ID: "sid", TokenID: "jti", IssuedAt: now}
	from := func(subject string, s dispenser.Session) dispenser.Request {
		r := request(subject, "")
		r.Session = s
		return r
	}
	issued := func(after time.Duration) dispenser.Session {
		s := session
		s.IssuedAt = now.Add(after)
		return s
	}
	for name, c := range map[string]struct {
		ending dispenser.Ending
		asks   dispenser.Request
		ended  bool
	}{
		"its subject":                              {dispenser.Ending{Subject: "1"}, from("1", session), true},
		"its session":                              {dispenser.Ending{SessionID: "sid"}, from("2", session), true},
		"this JWT":                                 {dispenser.Ending{TokenID: "jti"}, from("3", session), true},
		"issued before":                            {dispenser.Ending{Subject: "4"}, from("4", issued(-time.Hour)), true},
		"it does not say when it was issued":       {dispenser.Ending{Subject: "5"}, from("5", dispenser.Session{}), true},
		"issued after":                             {dispenser.Ending{Subject: "6"}, from("6", issued(time.Second)), false},
		"another subject":                          {dispenser.Ending{Subject: "x"}, from("7", session), false},
		"another session":                          {dispenser.Ending{SessionID: "x"}, from("8", session), false},
		"another JWT":                              {dispenser.Ending{TokenID: "x"}, from("9", session), false},
		"a session of another issuer":              {dispenser.Ending{Issuer: "https://other.example", SessionID: "sid"}, from("10", session), false},
		"a subject of the session's name":          {dispenser.Ending{Subject: "sid"}, from("11", session), false},
		"ended twice, the first time the later":    {dispenser.Ending{Subject: "12", At: now.Add(time.Hour)}, from("12", issued(time.Minute)), true},
		"a session without an id, and one is over": {dispenser.Ending{SessionID: "sid"}, from("13", dispenser.Session{IssuedAt: now}), false},
	} {
		t.Run(name, func(t *testing.T) {
			h := *h
			h.t = t
			d := h.open(func(cfg *dispenser.Config) { cfg.Prefix = "ended" + c.asks.Subject })
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
				if err := d.End(t.Context(), e); err != nil {
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
	r.Session = dispenser.Session{IssuedAt: time.Now().Add(-time.Minute)}
	must(t, d, r)
	if err := d.End(t.Context(), dispenser.Ending{Issuer: r.Issuer, Subject: "ada", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Dispense(t.Context(), r); !errors.Is(err, dispenser.ErrSessionEnded) {
		t.Errorf("Dispense: %v", err)
	}
	r.Session.IssuedAt = time.Now().Add(time.Second)
	if g := must(t, d, r); g.Source != dispenser.SourceReplay {
		t.Errorf("a session that began after it: %s", g.Source)
	}
}

func endedThroughRotation(t *testing.T, h *house) {
	before := h.open()
	if err := before.End(t.Context(), dispenser.Ending{Issuer: "https://issuer.example", Subject: "ada", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	after := h.open(func(cfg *dispenser.Config) {
		cfg.Secrets = []secret.Text{secret.New(youngSecret), secret.New(oldSecret)}
	})
	if _, err := after.Dispense(t.Context(), request("ada", "")); !errors.Is(err, dispenser.ErrSessionEnded) {
		t.Errorf("Dispense: %v", err)
	}
}

func endingOfNothing(t *testing.T, h *house) {
	d := h.open()
	for _, e := range []dispenser.Ending{
		{}, {Issuer: "i", At: time.Now()}, {Issuer: "i", Subject: "s"}, {Subject: "s", At: time.Now()},
		{Issuer: "i", Subject: "s", SessionID: "s", At: time.Now()},
	} {
		if d.End(t.Context(), e) == nil {
			t.Errorf("%+v was taken", e)
		}
	}
	h.stopRedis()
	if d.End(t.Context(), dispenser.Ending{Issuer: "i", Subject: "s", At: time.Now()}) == nil {
		t.Error("without Redis it is said to be done")
	}
}

var endedSuite = map[string]func(*testing.T, *house){
	"a session that was ended gets nothing":             endedSessions,
	"a session that was ended gets no answer again":     endedBeforeReplay,
	"a session is ended through a rotation":             endedThroughRotation,
	"an ending of nothing, or without Redis, is not so": endingOfNothing,
}
