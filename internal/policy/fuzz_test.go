package policy_test

import (
	"errors"
	"strings"
	"testing"

	"farebox/internal/policy"
)

// FuzzRead holds that any file is a policy that decides, or faults that lie in
// the file. Its corpus is under testdata/fuzz.
func FuzzRead(f *testing.F) {
	f.Add([]byte(example))
	caller := policy.Caller{Subject: "ada", Scopes: []string{"speech"}, Claims: map[string]any{"plan": "pro", "n": int64(1), "list": []any{"a"}}}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policy.Read(data, types)
		if err == nil {
			for _, name := range types {
				_, _ = p.DecideToken(caller, name)
			}
			_, _ = p.DecideAgent(caller, "agent_123")
			return
		}
		var faults policy.Faults
		if !errors.As(err, &faults) || len(faults) == 0 || p != nil {
			t.Fatalf("policy %v, error %v", p, err)
		}
		lines := strings.Count(string(data), "\n") + 2
		for _, fault := range faults {
			if fault.Line > lines || (fault.Line > 0) != (fault.Column > 0) || fault.Mend == "" || strings.ContainsAny(fault.String(), "\n\r\x00") {
				t.Errorf("fault %+v in %d lines", fault, lines)
			}
		}
	})
}
