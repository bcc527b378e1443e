//go:build !race

package telemetry_test

import (
	"io"
	"strings"
	"testing"

	"farebox/internal/secret"
	"farebox/internal/telemetry"
)

// dispensed records one token that was handed out.
func dispensed(t testing.TB, token string) func() {
	audit := telemetry.NewAudit(io.Discard)
	entry := telemetry.Entry{
		Event: telemetry.EventDispensed, RequestID: "0123456789abcdef0123456789abcdef", Type: "realtime_scribe", Outcome: "ok", Source: "pool",
		SubjectHash: "0123456789abcdef", SessionHash: "0123456789abcdef", TokenIDHash: "0123456789abcdef",
		Token: secret.New(token), Client: "192.0.2.1",
	}
	return func() { audit.Record(t.Context(), entry) }
}

func BenchmarkAuditLine(b *testing.B) {
	record := dispensed(b, "sutkn_0123456789abcdef0123456789abcdef")
	b.ReportAllocs()
	for b.Loop() {
		record()
	}
}

// There is one a request, and it holds the others up.
func TestAnAuditLineAllocatesNothing(t *testing.T) {
	for name, token := range map[string]string{
		"a token":      "sutkn_0123456789abcdef0123456789abcdef",
		"a signed URL": "wss://vendor.example/v1/convai/conversation?conversation_signature=" + strings.Repeat("x", 900),
	} {
		if got := testing.AllocsPerRun(200, dispensed(t, token)); got > 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}
