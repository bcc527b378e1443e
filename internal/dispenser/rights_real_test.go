//go:build real

package dispenser_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/health"
	"farebox/internal/revocation"
	"farebox/internal/testredis"
	vendorclient "farebox/vendor_client"
)

// The rights that the documentation names are enough for everything.
func TestTheRightsInTheDocumentationAreEnough(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ACL SETUSER farebox .*$`).FindString(string(text))
	if line == "" {
		t.Fatal("the documentation names none")
	}
	server := testredis.Start(t)
	h := realHouse(t, server)
	var words []any
	for _, word := range strings.Fields(line) {
		words = append(words, word)
	}
	if err := h.redis.Do(t.Context(), words...).Err(); err != nil {
		t.Fatal(err)
	}
	h.url = strings.Replace(server.URL, "unix://", "unix://farebox:password@", 1)
	inFarebox := func(o *options) { o.Prefix = "farebox" }
	h.prefix = "farebox"
	d := h.open(h.withPool(2, 10), inFarebox)
	list := h.lists[0]
	h.run(d)
	h.eventually("the pool is filled", func() bool { return h.pooledOfAllTypes() == 2*len(vendorclient.TokenTypes()) })
	for range 5 {
		must(t, d, request("ada", "k"))
		must(t, d, request("ada", ""))
	}
	h.eventually("the demand is told", func() bool { return len(h.keys("d:")) > 0 })
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go list.Run(ctx)
	h.vendor.fails(&vendorclient.Error{Kind: vendorclient.KindKeyInvalid})
	for range 12 {
		_, _ = d.Dispense(t.Context(), request("bob", "k"))
	}
	h.vendor.works()
	if err := list.End(t.Context(), revocation.Ending{Issuer: "https://issuer.example", Subject: "ada", At: time.Now()}); err != nil {
		t.Error(err)
	}
	if state := h.board.Report(); state.Dependencies["redis"].State != health.StateUp || state.Dependencies["pool"].State != health.StateUp {
		t.Errorf("state = %+v", state)
	}
	other := h.open(inFarebox)
	if _, err := other.Dispense(t.Context(), request("ada", "")); err != dispenser.ErrSessionEnded {
		t.Errorf("Dispense: %v", err)
	}
	if denied := h.redis.Do(t.Context(), "acl", "log").Val().([]any); len(denied) != 0 {
		t.Errorf("Redis denied something: %v", denied)
	}
}
