package health_test

import (
	"log/slog"
	"testing"
	"time"

	"farebox/internal/health"
)

func TestBoard(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_790_000_000, 0)
	board := health.NewBoard(func() time.Time { return now }, slog.New(slog.DiscardHandler))
	redis, keys := board.Lamp("redis", false), board.Lamp("session_keys", true)
	status := func(want health.Status) {
		t.Helper()
		if got := board.Report().Status; got != want {
			t.Errorf("status = %q, want %q", got, want)
		}
	}
	status(health.NotReady) // no session keys yet
	keys.Up()
	status(health.Ready)
	redis.Down("timeout")
	status(health.Degraded)

	since := board.Report().Dependencies["redis"].Since
	now = now.Add(time.Minute)
	redis.Down("unreachable")
	if d := board.Report().Dependencies["redis"]; !d.Since.Equal(since) || d.Reason != "unreachable" {
		t.Errorf("a state that stays changed to %+v", d)
	}
	redis.Up()
	if d := board.Report().Dependencies["redis"]; !d.Since.Equal(now) || d.Reason != "" {
		t.Errorf("after its return: %+v", d)
	}
	status(health.Ready)
	keys.Down("never loaded")
	status(health.NotReady)
	keys.Up()
	board.Drain()
	status(health.NotReady)
}
