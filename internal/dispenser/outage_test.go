package dispenser_test

import (
	"errors"
	"testing"

	"farebox/internal/dispenser"
	"farebox/internal/health"
	"farebox/internal/limit"
	vendorclient "farebox/vendor_client"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

func TestWithoutRedisTokensAreMintedDirectlyUnderLimitsChargedAlongside(t *testing.T) {
	t.Parallel()
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	h := newHouse(t, "redis://"+server.Addr(), client, server.Close)
	d := h.open()
	for range 6 {
		must(t, d, request("ada", ""))
	}
	server.Close()
	for i := range 4 {
		g := must(t, d, request("ada", []string{"", "k"}[i%2]))
		if g.Source != dispenser.SourceMint || g.Limits[0].Remaining != 3-i {
			t.Errorf("request %d: source %s, %+v", i, g.Source, g.Limits[0])
		}
	}
	var over *dispenser.LimitError
	if _, err := d.Dispense(t.Context(), request("ada", "")); !errors.As(err, &over) || over.Limit != limit.PerUser {
		t.Errorf("losing Redis was a fresh burst: %v", err)
	}
	if state := h.board.Report(); state.Status != health.Degraded || state.Dependencies["redis"].State != health.StateDown {
		t.Errorf("state = %+v", state)
	}
	h.vendor.fails(&vendorclient.Error{Kind: vendorclient.KindKeyInvalid})
	for range 15 {
		var vendorError *vendorclient.Error
		if _, err := d.Dispense(t.Context(), request("bob", "")); !errors.As(err, &vendorError) {
			t.Fatalf("a charge for nothing was kept: %v", err)
		}
	}
	h.vendor.works()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	go d.Run(t.Context())
	h.eventually("redis is up again", func() bool { return h.board.Report().Dependencies["redis"].State == health.StateUp })
	first := must(t, d, request("carol", "k"))
	if again := must(t, d, request("carol", "k")); again.Token.Reveal() != first.Token.Reveal() {
		t.Error("replay does not work after Redis came back")
	}
}

func TestNewRefusesWhatDoesNotFitTogether(t *testing.T) {
	t.Parallel()
	if _, err := dispenser.New(dispenser.Config{}); err == nil {
		t.Error("an empty Config was taken")
	}
}
