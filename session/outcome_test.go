package session_test

import (
	"slices"
	"testing"
	"time"

	"farebox/session"
)

type outcomes []string

func (o *outcomes) Verified(outcome string) { *o = append(*o, outcome) }

func TestEveryVerificationHasItsOutcome(t *testing.T) {
	t.Parallel()
	c := newCounted("TEST-OUTCOME")
	var got outcomes
	clock := now
	v := verifier(t, c, func(cfg *session.Config) {
		cfg.Observer = &got
		cfg.Now = func() time.Time { return clock }
	})
	raw := c.sign(t, nil)
	for range 2 {
		if _, err := v.Verify(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = v.Verify(t.Context(), "junk")
	_, _ = v.VerifySuspect(t.Context(), "junk")
	clock = clock.Add(2 * time.Hour)
	_, _ = v.Verify(t.Context(), raw)
	if want := []string{"ok", "remembered", "invalid", "invalid", "expired"}; !slices.Equal(got, want) {
		t.Errorf("outcomes = %v, want %v", got, want)
	}
	for _, outcome := range got {
		if !slices.Contains(session.Outcomes(), outcome) {
			t.Errorf("%s is not among the outcomes", outcome)
		}
	}
}
