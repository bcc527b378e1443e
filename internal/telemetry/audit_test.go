package telemetry_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"farebox/internal/secret"
	"farebox/internal/telemetry"

	"github.com/google/go-cmp/cmp"
)

func TestAuditWritesOneJSONLineWithTheTokensHashAlone(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	telemetry.NewAudit(&out).Record(t.Context(), telemetry.Entry{
		Event: telemetry.EventDispensed, RequestID: "r1", Type: "realtime_scribe", Outcome: "ok", Source: "mint",
		SubjectHash: "s", SessionHash: "", Token: secret.New("abc"), Client: "192.0.2.1",
	})
	if strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("not one line: %q", out.String())
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["time"] == "" {
		t.Error("no time")
	}
	delete(got, "time")
	want := map[string]any{
		"event": "token_dispensed", "audit": true, "request_id": "r1", "type": "realtime_scribe",
		"outcome": "ok", "source": "mint", "sub_hash": "s", "client": "192.0.2.1",
		"token_sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
