package dispenser

import (
	"context"
	"testing"
	"time"

	"farebox/internal/secret"
	vendorclient "farebox/vendor_client"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// instant is a Redis that grants every request the same token out of the pool,
// and costs nothing.
type instant struct{ answer []any }

func (*instant) Clustered(context.Context) (bool, error) { return false, nil }

func (i *instant) Process(_ context.Context, cmd redis.Cmder) error {
	cmd.(*redis.Cmd).SetVal(i.answer)
	return nil
}

// Whatever was asked for before under a Memo, a request has the keys that it
// would have without.
func TestAMemoChangesNothing(t *testing.T) {
	t.Parallel()
	secrets := []secret.Text{secret.New("one secret of more than 32 bytes, for tests"), secret.New("another one, which has more than 32 bytes")}
	d := newOver(t, &instant{}, "", time.Now, secrets, "key")
	request := Request{Issuer: "https://issuer.example", Subject: "ada", SessionID: "session", TokenID: "jti", IssuedAt: time.Now()}
	memo := &Memo{}
	others := newOver(t, &instant{}, "", time.Now, secrets, "key")
	agent := &Bespoke{Name: "agent:1"}
	for _, step := range []struct {
		of      vendorclient.TokenType
		bespoke *Bespoke
		key     string
	}{
		{of: vendorclient.RealtimeScribe}, {of: vendorclient.RealtimeScribe}, {of: vendorclient.BatchScribe}, {bespoke: agent},
		{of: vendorclient.RealtimeScribe, key: "k"}, {of: vendorclient.BatchScribe, key: "k"}, {of: vendorclient.RealtimeScribe},
	} {
		request.Type, request.Bespoke, request.IdempotencyKey = step.of, step.bespoke, step.key
		for _, in := range []*Dispenser{d, others} { // whose shards are not the same
			all, err := in.cfg.Shards.All(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var own [2][]string
			var here [2]digest
			var args [2][]any
			for i, with := range []*Memo{nil, memo} {
				request.Memo = with
				a := d.newAttempt(request)
				a.claim = step.key // which is random
				own[i], args[i] = d.store.kindOf(a, all[0], 1, nil).own(a)
				here[i] = a.localKey(a.name())
			}
			if here[0] != here[1] || here[0] != digestOf(d.cfg.Hasher.Sum("caller", request.Issuer, "ada"), request.name()) {
				t.Errorf("%s is counted here elsewhere", request.name())
			}
			if diff := cmp.Diff(own[0], own[1]); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(args[0], args[1]); diff != "" {
				t.Error(diff)
			}
		}
	}
}
