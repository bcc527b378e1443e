package policy

import (
	"errors"
	"testing"
	"time"
)

func TestAnEvaluationIsStoppedAtItsTime(t *testing.T) {
	t.Parallel()
	text := []byte("tokens: {batch_scribe: {allow: 'claims.list.all(x, x == 1)'}}")
	list := make([]any, 1000)
	for i := range list {
		list[i] = int64(1)
	}
	for _, tt := range []struct {
		time time.Duration
		want bool
	}{{time.Hour, true}, {-1, false}} { // of a negative time nothing is left
		p, err := read(text, []string{"batch_scribe"}, bounds{cost: 1 << 40, time: tt.time})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.DecideToken(Caller{Claims: map[string]any{"list": list}}, "batch_scribe")
		var r *Refusal
		if errors.As(err, &r); (err == nil) != tt.want || !tt.want && (r == nil || r.Cause != Overrun) {
			t.Errorf("in %v: %v", tt.time, err)
		}
	}
}
