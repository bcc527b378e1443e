package policy_test

import (
	"testing"

	"farebox/internal/policy"
)

// BenchmarkDecide is what a request pays: an allow, a plan that does not match
// and one that does.
func BenchmarkDecide(b *testing.B) {
	caller := policy.Caller{
		Issuer: "https://issuer.example", Subject: "ada", Scopes: []string{"openid", "profile", "speech"},
		Claims: map[string]any{"plan": "pro", "level": int64(3), "groups": []any{"a", "b", "c"}},
	}
	for name, text := range map[string]string{
		"nothing": "tokens: {batch_scribe: {}}",
		"fields":  "tokens: {batch_scribe: {allow: '\"speech\" in scopes && claims.level == 3'}}\nplans:\n- {name: free, when: 'claims.plan == \"free\"'}\n- {name: pro, when: 'claims.plan == \"pro\"', per_user: 60/1m}\n",
		"has":     "tokens: {batch_scribe: {allow: 'has(claims.plan) && claims.plan == \"pro\"'}}",
		"exists":  "tokens: {batch_scribe: {allow: 'claims.groups.exists(g, g == \"c\")'}}",
		"strings": "tokens: {batch_scribe: {allow: 'claims.plan.lowerAscii().startsWith(\"pr\")'}}",
	} {
		b.Run(name, func(b *testing.B) {
			p, err := policy.Read([]byte(text), []string{"batch_scribe"})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.DecideToken(caller, "batch_scribe"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
