package policy

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// bounded reads a policy whose evaluations have all the time of the world, so
// that on a busy machine too it is seen which of the other bounds holds.
func bounded(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := read([]byte(text), []string{"batch_scribe"}, bounds{cost: standardBounds.cost, time: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func refusal(t *testing.T, err error) *Refusal {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("%v is no refusal", err)
	}
	return r
}

func TestAnEvaluationIsStoppedAtItsCostAndSize(t *testing.T) {
	t.Parallel()
	claims := map[string]any{"s": strings.Repeat("a", 1<<10), "large": strings.Repeat("a", 16<<10), "re": strings.Repeat("(a{1000})", 50)}
	for name, tt := range map[string]struct{ expression, detail string }{
		"three nested loops over a claim":     {`claims.s.split("").all(a, claims.s.split("").all(b, claims.s.split("").all(c, a + b + c != "")))`, "cost limit"},
		"a loop whose result is an or away":   {`claims.s.split("").all(a, claims.s.split("").all(b, claims.s.split("").all(c, true))) || true`, "cost limit"},
		"a text that grows by its own length": {`claims.large.replace("", claims.large) != "" || true`, "too large"},
		"a text that is joined from itself":   {`claims.s.split("").map(x, claims.large).join() != "" || true`, "too large"},
		"a text that grows twice":             {`claims.s.replace("a", "aaaaaaaa").replace("a", claims.s) != ""`, "too large"},
		"a long text that is searched":        {`claims.large.split("").all(x, claims.large.indexOf("b") < 0)`, "cost limit"},
	} {
		p := bounded(t, "tokens: {batch_scribe: {allow: '"+tt.expression+"'}}")
		_, err := p.DecideToken(Caller{Claims: claims}, "batch_scribe")
		if r := refusal(t, err); r.Cause != Overrun || !strings.Contains(r.Detail.Error(), tt.detail) {
			t.Errorf("%s: %v: %v", name, r, r.Detail)
		}
	}
	// A regular expression out of a claim has a bound of its own.
	p := bounded(t, "tokens: {batch_scribe: {allow: 'sub.matches(claims.re)'}}")
	_, err := p.DecideToken(Caller{Claims: claims}, "batch_scribe")
	if r := refusal(t, err); !r.Broken() {
		t.Errorf("%v", r)
	}
	// What policies do in earnest is far from the bounds.
	groups := make([]any, 500)
	for i := range groups {
		groups[i] = "group"
	}
	p = bounded(t, "tokens: {batch_scribe: {allow: '!claims.groups.exists(g, g == \"admins\" || g.startsWith(\"x\"))'}}")
	if _, err := p.DecideToken(Caller{Claims: map[string]any{"groups": groups}}, "batch_scribe"); err != nil {
		t.Errorf("%v: %v", err, errors.Unwrap(err))
	}
}
