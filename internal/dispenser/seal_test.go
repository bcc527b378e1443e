package dispenser

import (
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"farebox/internal/limit"
	vendorclient "farebox/vendor_client"
)

// What lies in Redis was sealed by the version before, as a rule.
func TestWhatWasSealedBeforeOpens(t *testing.T) {
	t.Parallel()
	const (
		pooled = "AQAGW/7aJ8JAJlYpu/6fC+wFptfUZVJkypAJTjCeuL+lp2h2RDEKgRlfSWl4CYCMYN0DeWOzYHWuFpKU"
		answer = "AQAGW/7aJ8JAJlYpu/6fC+wFptfUZVJkyrGAyVzIZ+zd3A40RFgTynZVrt1ct1Q1pjtdCyAzFpZVfCixkos="
	)
	wantAt := time.UnixMicro(1_790_000_000_123_456)
	c := newClaimer(t, aSecret...)
	defer c.close()

	token, key, at, err := c.d.seal.openPooled(c.pool, vendorclient.RealtimeScribe, decoded(t, pooled))
	if err != nil || token.Reveal() != "a token" || key != c.pool[1] || !at.Equal(wantAt) {
		t.Errorf("a token of a pool: %q, %v, %v", token.Reveal(), at, err)
	}
	if _, _, _, err := c.d.seal.openPooled(c.pool[:1], vendorclient.RealtimeScribe, decoded(t, pooled)); !errors.Is(err, errUnsealable) {
		t.Errorf("without its key: %v", err)
	}

	a := c.attempt("user", "key", "fingerprint", limit.Limits{})
	text, at, err := c.d.seal.openAnswer(a, decoded(t, answer))
	if err != nil || text.Reveal() != "an answer" || !at.Equal(wantAt) {
		t.Errorf("an answer: %q, %v, %v", text.Reveal(), at, err)
	}
	if _, _, err := c.d.seal.openAnswer(c.attempt("another", "key", "fingerprint", limit.Limits{}), decoded(t, answer)); !errors.Is(err, errUnsealable) {
		t.Errorf("for another caller: %v", err)
	}
}

func decoded(t *testing.T, text string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
