package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"farebox/internal/secret"
)

func TestTextIsRedactedWhereverItIsPrinted(t *testing.T) {
	t.Parallel()
	const value = "hunter2-very-secret"
	s := secret.New(value)
	type holder struct {
		Key  secret.Text
		Keys []secret.Text
		m    map[string]secret.Text
	}
	h := holder{Key: s, Keys: []secret.Text{s}, m: map[string]secret.Text{"k": s}}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", &s)
	}
	fmt.Fprintf(&out, "%v %+v %s\n", h, h, h)
	if err := json.NewEncoder(&out).Encode(h); err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "secret", s, "holder", h)
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "secret", s, "holder", h)

	if strings.Contains(out.String(), value) || strings.Contains(out.String(), fmt.Sprintf("%x", value)) {
		t.Errorf("the secret was printed:\n%s", out.String())
	}
	if !strings.Contains(out.String(), "[redacted]") {
		t.Errorf("nothing was redacted:\n%s", out.String())
	}
	if s.Reveal() != value {
		t.Errorf("Reveal() = %q, want the value", s.Reveal())
	}
}
