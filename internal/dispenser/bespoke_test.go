package dispenser_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/health"
	"farebox/internal/limit"
	"farebox/internal/secret"
	vendorclient "farebox/vendor_client"
)

// bespokeSuite is what holds of credentials for one caller with every Redis.
var bespokeSuite = map[string]func(*testing.T, *house){
	"what is bespoke is no token of the pool":                   bespokePastPool,
	"what is bespoke is kept whole for the same key":            bespokeReplayed,
	"one bespoke credential is made for a crowd with one key":   bespokeCrowd,
	"limits of what is bespoke are those of its name":           bespokeLimits,
	"a bespoke charge is given back where nothing was made":     bespokeGivenBack,
	"the vendor's repeats of what is bespoke are thrown away":   bespokeRepeats,
	"a bespoke attempt goes on without its caller":              bespokeGoesOn,
	"what is bespoke and comes with too little life is no good": bespokeTooLate,
	"without Redis what is bespoke is made under limits":        bespokeWithoutRedis,
}

// bespoke is request's, for agent.
func (h *house) bespoke(subject, key, agent string) dispenser.Request {
	r := request(subject, key)
	r.Type, r.Fingerprint = "", "GET /v1/convai/conversation/token?agent_id="+agent
	r.Bespoke = &dispenser.Bespoke{
		Name: "agent:" + agent, Lifetime: 14 * time.Minute,
		Mint: func(ctx context.Context) (vendorclient.Credential, error) {
			token, err := h.vendor.Mint(ctx, "")
			if err != nil {
				return vendorclient.Credential{}, err
			}
			value := token.Value.Reveal()
			return vendorclient.Credential{Value: secret.New(value), ConversationID: "conv of " + value, RequestedAt: token.RequestedAt}, nil
		},
	}
	return r
}

func bespokePastPool(t *testing.T, h *house) {
	d := h.filled(2)
	// As if there were a pool of what is of no type.
	for _, key := range h.keys("p:") {
		if none, is := strings.CutSuffix(key, string(vendorclient.RealtimeScribe)); is {
			h.redis.Copy(t.Context(), key, none, 0, false)
		}
	}
	pooled, minted := h.pooledOfAllTypes(), h.vendor.count()
	for i := range 3 {
		g := must(t, d, h.bespoke("ada", []string{"", "k"}[i%2], "a"))
		if g.Source != dispenser.SourceMint || g.Type != "" || g.ConversationID != "conv of "+g.Token.Reveal() {
			t.Errorf("grant = %+v", g)
		}
	}
	if made := h.vendor.count() - minted; made != 3 {
		t.Errorf("%d calls for 3 answers", made)
	}
	if n := h.pooledOfAllTypes(); n != pooled || n != 2*len(vendorclient.TokenTypes())+2 {
		t.Errorf("of %d tokens in the pool %d are left", pooled, n)
	}
	if g := must(t, d, request("ada", "")); g.Source != dispenser.SourcePool {
		t.Errorf("a token's source = %s", g.Source)
	}
}

func bespokeReplayed(t *testing.T, h *house) {
	first := must(t, h.open(), h.bespoke("ada", "k", "a"))
	for _, key := range h.keys("r:") {
		if kept := h.redis.Get(t.Context(), key).Val(); strings.Contains(kept, first.Token.Reveal()) || strings.Contains(kept, "conv of") {
			t.Errorf("it is kept in the clear: %q", kept)
		}
	}
	d := h.open()
	again := must(t, d, h.bespoke("ada", "k", "a"))
	if again.Source != dispenser.SourceReplay || again.Token.Reveal() != first.Token.Reveal() || again.ConversationID != first.ConversationID ||
		again.ExpiresAt.Sub(first.ExpiresAt).Abs() > time.Second {
		t.Errorf("%+v, then %+v", first, again)
	}
	for name, r := range map[string]dispenser.Request{"another agent": h.bespoke("ada", "k", "b"), "a token": request("ada", "k")} {
		if _, err := d.Dispense(t.Context(), r); !errors.Is(err, dispenser.ErrKeyReused) {
			t.Errorf("%s under the same key: %v", name, err)
		}
	}
	if other := must(t, d, h.bespoke("bob", "k", "a")); other.Token.Reveal() == first.Token.Reveal() {
		t.Error("another caller saw the answer")
	}
	if h.vendor.count() != 2 {
		t.Errorf("%d vendor calls", h.vendor.count())
	}
}

func bespokeCrowd(t *testing.T, h *house) {
	replicas := []*dispenser.Dispenser{h.open(), h.open()}
	h.vendor.gate = make(chan struct{})
	tokens := make([]string, 20)
	var all sync.WaitGroup
	for i := range tokens {
		all.Go(func() {
			g, err := replicas[i%2].Dispense(t.Context(), h.bespoke("ada", "k", "a"))
			if err != nil {
				t.Error(err)
			}
			tokens[i] = g.Token.Reveal() + g.ConversationID
		})
	}
	h.eventually("the vendor is called", func() bool { return h.vendor.count() > 0 })
	close(h.vendor.gate)
	all.Wait()
	for i := range tokens {
		if tokens[i] != tokens[0] || tokens[i] == "" {
			t.Errorf("request %d has %q", i, tokens[i])
		}
	}
	if h.vendor.count() != 1 {
		t.Errorf("%d vendor calls", h.vendor.count())
	}
}

func bespokeLimits(t *testing.T, h *house) {
	replicas := []*dispenser.Dispenser{h.open(), h.open()}
	ask := func(replica int, r dispenser.Request) error {
		r.Limits.PerUser = limit.Rate{Count: 2, Period: time.Hour}
		_, err := replicas[replica].Dispense(t.Context(), r)
		return err
	}
	for i := range 2 {
		if err := ask(i, h.bespoke("ada", "", "a")); err != nil {
			t.Fatal(err)
		}
	}
	var over *dispenser.LimitError
	if err := ask(0, h.bespoke("ada", "", "a")); !errors.As(err, &over) || over.Limit != limit.PerUser {
		t.Errorf("the third of 2: %v", err)
	}
	for name, r := range map[string]dispenser.Request{
		"another agent": h.bespoke("ada", "", "b"), "another caller": h.bespoke("bob", "", "a"), "a token": request("ada", ""),
	} {
		if err := ask(1, r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h.vendor.count() != 5 {
		t.Errorf("%d vendor calls", h.vendor.count())
	}
}

func bespokeGivenBack(t *testing.T, h *house) {
	d := h.open()
	for mayHaveMinted, want := range map[bool]int{false: 9, true: 8} {
		agent := fmt.Sprint("agent ", mayHaveMinted)
		h.vendor.fails(&vendorclient.Error{Kind: vendorclient.KindScopeMissing, MayHaveMinted: mayHaveMinted})
		var vendorError *vendorclient.Error
		if _, err := d.Dispense(t.Context(), h.bespoke("ada", "k", agent)); !errors.As(err, &vendorError) {
			t.Fatal(err)
		}
		if state := h.board.Report().Dependencies["vendor"].State; state != health.StateDown {
			t.Errorf("the vendor refuses and is %s", state)
		}
		h.vendor.works()
		if g := must(t, d, h.bespoke("ada", "", agent)); g.Limits[0].Remaining != want {
			t.Errorf("%d left where a call that failed may have made something: %v", g.Limits[0].Remaining, mayHaveMinted)
		}
		if state := h.board.Report().Dependencies["vendor"].State; state != health.StateUp {
			t.Errorf("the vendor works and is %s", state)
		}
	}
}

func bespokeRepeats(t *testing.T, h *house) {
	h.vendor.answer = func(call int) (string, error) { return fmt.Sprint("token ", max(call, 2)), nil }
	first := must(t, h.open(), h.bespoke("ada", "", "a"))
	second := must(t, h.open(), h.bespoke("bob", "", "a"))
	if first.Token.Reveal() != "token 2" || second.Token.Reveal() != "token 3" || h.vendor.count() != 3 {
		t.Errorf("%q and %q after %d calls", first.Token.Reveal(), second.Token.Reveal(), h.vendor.count())
	}
	h.vendor.mu.Lock()
	h.vendor.answer = func(int) (string, error) { return "token 3", nil }
	h.vendor.mu.Unlock()
	if _, err := h.open().Dispense(t.Context(), h.bespoke("carol", "", "a")); !errors.Is(err, dispenser.ErrRepeatedToken) {
		t.Errorf("error = %v", err)
	}
}

func bespokeGoesOn(t *testing.T, h *house) {
	d := h.open()
	h.vendor.gate = make(chan struct{})
	ctx, hangUp := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := d.Dispense(ctx, h.bespoke("ada", "k", "a"))
		ended <- err
	}()
	h.eventually("the vendor is called", func() bool { return h.vendor.count() == 1 })
	hangUp()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	close(h.vendor.gate)
	if g := must(t, d, h.bespoke("ada", "k", "a")); g.Source != dispenser.SourceReplay || h.vendor.count() != 1 {
		t.Errorf("source = %s after %d calls", g.Source, h.vendor.count())
	}
}

func bespokeTooLate(t *testing.T, h *house) {
	h.vendor.askedBefore = 10 * time.Minute
	var vendorError *vendorclient.Error
	if _, err := h.open().Dispense(t.Context(), h.bespoke("ada", "", "a")); !errors.As(err, &vendorError) || vendorError.Kind != vendorclient.KindTimeout {
		t.Errorf("error = %v", err)
	}
	h.vendor.askedBefore = 8 * time.Minute
	g := must(t, h.open(), h.bespoke("ada", "", "a"))
	if life := time.Until(g.ExpiresAt); life > 6*time.Minute || life < 5*time.Minute {
		t.Errorf("life = %v", life)
	}
}

func bespokeWithoutRedis(t *testing.T, h *house) {
	d, strict := h.open(), h.open(func(o *options) { o.RequireRevocations = true })
	must(t, d, h.bespoke("ada", "", "a"))
	h.stopRedis()
	for i, key := range []string{"", "k"} {
		g := must(t, d, h.bespoke("ada", key, "a"))
		if g.Source != dispenser.SourceMint || g.Limits[0].Remaining != 8-i || g.ConversationID == "" {
			t.Errorf("%+v", g)
		}
	}
	r := h.bespoke("ada", "", "a")
	r.Limits.PerUserDaily = 3
	var over *dispenser.LimitError
	if _, err := d.Dispense(t.Context(), r); !errors.As(err, &over) || over.Limit != limit.PerUserDaily {
		t.Errorf("error = %v", err)
	}
	h.vendor.mu.Lock()
	h.vendor.answer = func(int) (string, error) { return "a repeated token", nil }
	h.vendor.mu.Unlock()
	must(t, d, h.bespoke("bob", "", "a"))
	if _, err := d.Dispense(t.Context(), h.bespoke("carol", "", "a")); !errors.Is(err, dispenser.ErrRepeatedToken) {
		t.Errorf("error = %v", err)
	}
	if _, err := strict.Dispense(t.Context(), h.bespoke("ada", "", "a")); !errors.Is(err, dispenser.ErrRevocationsUnknown) {
		t.Errorf("error = %v", err)
	}
}
