package handlers

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"farebox/internal/telemetry"
)

func lookedAt(p *patience) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made != nil
}

func TestPatienceEndsAsTheContextThatStandsBehindItWould(t *testing.T) {
	t.Parallel()
	long := time.Now().Add(time.Hour)
	hungUp, hangUp := context.WithCancel(t.Context())
	hangUp()
	for name, c := range map[string]struct {
		p    *patience
		want error
	}{
		"somebody waits":             {&patience{parent: t.Context(), until: long}, nil},
		"the time is over":           {&patience{parent: t.Context(), until: time.Now()}, context.DeadlineExceeded},
		"the time will soon be over": {&patience{parent: t.Context(), until: time.Now().Add(time.Millisecond)}, context.DeadlineExceeded},
		"the caller has hung up":     {&patience{parent: hungUp, until: long}, context.Canceled},
	} {
		if c.want != nil {
			<-c.p.Done()
		}
		if got := c.p.Err(); !errors.Is(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
		if at, ok := c.p.Deadline(); !ok || !at.Equal(c.p.until) {
			t.Errorf("%s: until %s, %v", name, at, ok)
		}
		c.p.end()
		if c.p.Err() == nil {
			t.Errorf("%s: it goes on after its end", name)
		}
	}
}

func TestPatienceEndsWhatWasBegunUnderIt(t *testing.T) {
	t.Parallel()
	p := &patience{parent: t.Context(), until: time.Now().Add(time.Hour)}
	below, cancel := context.WithTimeout(p, time.Minute)
	defer cancel()
	p.end()
	<-below.Done()
	late := &patience{parent: t.Context(), until: time.Now().Add(time.Hour)}
	late.end()
	if lookedAt(late) {
		t.Error("its end alone has made what nobody looks at")
	}
	<-late.Done() // looked at for the first time after its end
}

func TestWhatIsBegunApartFromPatienceGoesOnAndNamesTheRequest(t *testing.T) {
	t.Parallel()
	p := &patience{parent: t.Context(), requestID: "request-7", until: time.Now().Add(time.Hour)}
	apart := context.WithoutCancel(p)
	if apart.Done() != nil || lookedAt(p) {
		t.Error("whoever does not wait has made what waits")
	}
	p.end()
	var lines bytes.Buffer
	telemetry.NewLogger(&lines, slog.LevelInfo, false).InfoContext(apart, "a line")
	if !strings.Contains(lines.String(), `"request_id":"request-7"`) {
		t.Error(lines.String())
	}
}
