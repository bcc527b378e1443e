package telemetry_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"farebox/internal/secret"
	"farebox/internal/telemetry"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
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

// Whatever stands in an entry, its line is JSON, one line, and says just that.
func TestAnAuditLineHoldsWhatItWasGiven(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", `"`, `\`, "a\nb", "\x00", "\x7f", "ä", "</script>", "\u2028"}))
		e := telemetry.Entry{
			Event: text.Draw(t, "event"), RequestID: text.Draw(t, "request"), Type: text.Draw(t, "type"), Key: text.Draw(t, "key"),
			Agent: text.Draw(t, "agent"), Outcome: text.Draw(t, "outcome"), Source: text.Draw(t, "source"),
			SubjectHash: text.Draw(t, "sub"), SessionHash: text.Draw(t, "sid"), TokenIDHash: text.Draw(t, "jti"), Client: text.Draw(t, "client"),
		}
		token, tokenHash := text.Draw(t, "token")+strings.Repeat("x", rapid.SampledFrom([]int{0, 40, 5000}).Draw(t, "more")), ""
		if token != "" {
			e.Token, tokenHash = secret.New(token), fmt.Sprintf("%x", sha256.Sum256([]byte(token)))
		}
		var out bytes.Buffer
		telemetry.NewAudit(&out).Record(context.Background(), e)
		if line, rest, _ := strings.Cut(out.String(), "\n"); rest != "" || line == "" {
			t.Fatalf("not one line: %q", out.String())
		}
		var got map[string]any
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if at, err := time.Parse(time.RFC3339Nano, got["time"].(string)); err != nil || time.Since(at) > time.Hour {
			t.Errorf("its time is %v: %v", got["time"], err)
		}
		delete(got, "time")
		want := map[string]any{"event": e.Event, "audit": true}
		for name, value := range map[string]string{
			"request_id": e.RequestID, "type": e.Type, "agent": e.Agent, "key": e.Key, "outcome": e.Outcome, "source": e.Source,
			"sub_hash": e.SubjectHash, "sid_hash": e.SessionHash, "jti_hash": e.TokenIDHash, "token_sha256": tokenHash, "client": e.Client,
		} {
			if value != "" {
				want[name] = value
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
