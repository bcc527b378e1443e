//go:build !race

package dispenser

import (
	"context"
	"fmt"
	"testing"
	"time"

	"farebox/internal/limit"
	"farebox/internal/secret"
	vendorclient "farebox/vendor_client"
)

// fromThePool hands out one token that lay ready, without an idempotency key.
func fromThePool(t testing.TB) func() {
	server := &instant{}
	d := newOver(t, server, "", time.Now, aSecret, "key")
	t.Cleanup(func() { _ = d.Close(context.Background()) })
	now := time.Now()
	sealed, err := d.seal.sealPooled(vendorclient.Token{
		Value: secret.New("sutkn_0123456789abcdef0123456789abcdef"), Type: vendorclient.RealtimeScribe, Key: d.cfg.Keys.Keys()[0],
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	us := now.UnixMicro()
	server.answer = []any{
		us,
		fmt.Sprint("granted ", us, " 20000 1 6000000  1 ", sealed),
	}
	request := Request{
		Memo:   &Memo{},
		Issuer: "https://issuer.example", Subject: "user", SessionID: "session", IssuedAt: now, Type: vendorclient.RealtimeScribe,
		Limits:      limit.Limits{PerUser: limit.Rate{Count: 10, Period: time.Minute}, PerUserDaily: 200, Global: limit.Rate{Count: 50, Period: time.Second}},
		Fingerprint: "POST /v1/single-use-token/realtime_scribe?",
	}
	return func() {
		grant, err := d.Dispense(context.Background(), request)
		if err != nil || grant.Source != SourcePool {
			t.Fatal(grant.Source, err)
		}
	}
}

func BenchmarkDispenseFromThePool(b *testing.B) {
	dispense := fromThePool(b)
	b.ReportAllocs()
	for b.Loop() {
		dispense()
	}
}

// It bounds what a request costs beside Redis, on every machine alike: whoever
// needs more has to say so here.
func TestDispensingFromThePoolKeepsItsBudget(t *testing.T) {
	const most = 25
	dispense := fromThePool(t)
	dispense()
	if got := testing.AllocsPerRun(200, dispense); got > most {
		t.Errorf("%v allocations, and %d are allowed", got, most)
	}
}
