package shard

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// scripted answers calls as the test says.
type scripted struct{ calls chan func() error }

func (s *scripted) Process(context.Context, redis.Cmder) error { return (<-s.calls)() }
func (*scripted) Clustered(context.Context) (bool, error)      { return false, nil }

type lamp struct {
	mu sync.Mutex
	up bool
}

func (l *lamp) set(up bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up = up
}
func (l *lamp) Up()         { l.set(true) }
func (l *lamp) Down(string) { l.set(false) }
func (l *lamp) isUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

// An answer to a call from before the breaker opened does not say that all is
// well: others are still turned away.
func TestALateAnswerDoesNotHideAnOpenBreaker(t *testing.T) {
	t.Parallel()
	server, state := &scripted{calls: make(chan func() error)}, &lamp{}
	s, err := New(Config{Redis: server, Prefix: "test", State: state, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	late, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = s.Do(context.Background(), all[0], "ping")
	}()
	server.calls <- func() error { <-late; return nil }
	for range 3 {
		go func() { server.calls <- func() error { return errors.New("it is gone") } }()
		if _, err := s.Do(t.Context(), all[0], "ping"); !errors.Is(err, ErrAway) {
			t.Fatal(err)
		}
	}
	if _, err := s.Do(t.Context(), all[0], "ping"); !errors.Is(err, ErrAway) {
		t.Fatalf("the breaker is not open: %v", err)
	}
	close(late)
	<-ended
	if state.isUp() || !all[0].Down() {
		t.Error("Redis is said to be up while calls are turned away")
	}
	// It closes by itself.
	for deadline := time.Now().Add(20 * time.Second); !state.isUp(); time.Sleep(10 * time.Millisecond) {
		go func() {
			select {
			case server.calls <- func() error { return nil }:
			case <-t.Context().Done():
			}
		}()
		_, _ = s.Do(t.Context(), all[0], "ping")
		if time.Now().After(deadline) {
			t.Fatal("it never closes")
		}
	}
}
