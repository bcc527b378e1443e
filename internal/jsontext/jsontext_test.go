package jsontext_test

import (
	"encoding/json"
	"testing"

	"farebox/internal/jsontext"
)

func FuzzAppendString(f *testing.F) {
	for _, text := range []string{"", "plain", `"quoted" \ <b>&amp;</b>`, "\x00\n\x1f\x7f", "Grüße, 世界 \u2028", "\xff broken"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want, got string
		marshalled, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(marshalled, &want); err != nil {
			t.Fatal(err)
		}
		const before = "before "
		written := jsontext.AppendString([]byte(before), text)
		if err := json.Unmarshal(written[len(before):], &got); err != nil {
			t.Fatalf("%q: %v", written, err)
		}
		if got != want || string(written[:len(before)]) != before {
			t.Errorf("%q is read as %q", written, got)
		}
	})
}
