package dispenser_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/health"
	"farebox/internal/identity"
	"farebox/internal/limit"
	"farebox/internal/redisconn"
	"farebox/internal/revocation"
	"farebox/internal/secret"
	"farebox/internal/shard"
	vendorclient "farebox/vendor_client"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// house is what several dispensers of one test share.
type house struct {
	t      *testing.T
	url    string                // of what the dispensers use
	prefix string                // of all their keys
	redis  redis.UniversalClient // to look at it from beside
	vendor *fakeVendor
	board  *health.Board
	ring   *fakeRing
	owner  string // "" where Redis itself says who it is
	// stopRedis ends the server.
	stopRedis func()
	conns     []*redisconn.Conn // of the dispensers
	lists     []*revocation.List
}

const (
	oldSecret   = "an old secret of more than 32 bytes, for tests"
	youngSecret = "a young secret of more than 32 bytes, for tests"
)

// options are a dispenser's, and its connection's.
type options struct {
	dispenser.Config
	Redis        shard.Redis
	RedisTimeout time.Duration
	Prefix       string
}

// connect opens what a dispenser talks to Redis with.
func connect(t *testing.T, url string) *redisconn.Conn {
	t.Helper()
	conn, err := redisconn.Open(redisconn.Config{URL: secret.New(url)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// open returns a further dispenser, as another replica has one.
func (h *house) open(amend ...func(*options)) *dispenser.Dispenser {
	h.t.Helper()
	conn := connect(h.t, h.url)
	h.conns = append(h.conns, conn)
	o := options{
		RedisTimeout: 10 * time.Second, // these machines may be busy; what a slow Redis means is tested apart
		Redis:        conn, Prefix: h.prefix,
		Config: dispenser.Config{
			Vendor: h.vendor, VendorHost: "vendor.example", Keys: h.ring,
			Secrets:       []secret.Text{secret.New(oldSecret)},
			TokenLifetime: 15 * time.Minute, ReplayWindow: time.Minute,
			RequestTimeout: 10 * time.Second, MintTimeout: 5 * time.Second,
			VendorState:     h.board.Lamp("vendor", false),
			MintConcurrency: 8, PoolState: h.board.Lamp("pool", false),
			Now: time.Now, Log: slog.New(slog.DiscardHandler),
		},
	}
	for _, f := range amend {
		f(&o)
	}
	var err error
	if o.Hasher, err = identity.NewHasher(o.Secrets); err != nil {
		h.t.Fatal(err)
	}
	if o.Shards, err = shard.New(shard.Config{
		Redis: o.Redis, Prefix: o.Prefix, Timeout: o.RedisTimeout, State: h.board.Lamp("redis", false), Log: o.Log,
	}); err != nil {
		h.t.Fatal(err)
	}
	if o.Revocations, err = revocation.New(revocation.Config{
		Shards: o.Shards, Hasher: o.Hasher, Lifetime: 24 * time.Hour, FixedOwner: h.owner, Now: o.Now, Log: o.Log,
	}); err != nil {
		h.t.Fatal(err)
	}
	h.lists = append(h.lists, o.Revocations)
	d, err := dispenser.New(o.Config)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if err := d.Close(context.Background()); err != nil {
			h.t.Error(err)
		}
	})
	return d
}

func request(subject, key string) dispenser.Request {
	return dispenser.Request{
		Issuer: "https://issuer.example", Subject: subject, Type: vendorclient.RealtimeScribe,
		Limits: limit.Limits{
			PerUser: limit.Rate{Count: 10, Period: time.Minute}, PerUserDaily: 200,
			Global: limit.Rate{Count: 5000, Period: time.Second},
		},
		IdempotencyKey: key, Fingerprint: "POST /v1/single-use-token/realtime_scribe?",
	}
}

func must(t *testing.T, d *dispenser.Dispenser, r dispenser.Request) dispenser.Grant {
	t.Helper()
	g, err := d.Dispense(t.Context(), r)
	if err != nil {
		t.Fatalf("Dispense: %v", err)
	}
	return g
}

func TestDispenserWithAnEmbeddedRedis(t *testing.T) {
	t.Parallel()
	suite(t, embeddedOwner, nil, func(t *testing.T) *house {
		server := miniredis.NewMiniRedis()
		server.ClockTTL(true)
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Close)
		client := redis.NewClient(&redis.Options{Addr: server.Addr()})
		t.Cleanup(func() { _ = client.Close() })
		return newHouse(t, "redis://"+server.Addr(), client, server.Close)
	})
}

func newHouse(t *testing.T, url string, client redis.UniversalClient, stop func()) *house {
	keys := &fakeRing{Ring: newRing(t, "vendor.example", "an-API-key")}
	return &house{
		t: t, url: url, prefix: "test", redis: client, stopRedis: stop, ring: keys, vendor: &fakeVendor{ring: keys},
		board: health.NewBoard(time.Now, slog.New(slog.DiscardHandler)),
	}
}

// suite is what holds with every Redis, but for some of it.
func suite(t *testing.T, owner string, but map[string]string, connect func(*testing.T) *house) {
	tests := map[string]func(*testing.T, *house){
		"without a key every request has its own token":          everyRequestItsOwn,
		"a key gives the same answer to the same caller":         sameKeySameAnswer,
		"a key stands for one path and query":                    keyReused,
		"callers never share by key":                             callersNeverShare,
		"a hundred at once on two replicas cost one vendor call": hundredAtOnce,
		"those who wait on a failed mint share the failure":      failureIsShared,
		"a caller who hangs up finds the token on the next try":  hangUpAndComeBack,
		"an attempt longer than the time-out is in progress":     inProgress,
		"an attempt whose claim was taken over follows":          claimTakenOver,
		"limits hold across replicas, and a replay costs none":   limitsHold,
		"the day's quota ends":                                   quotaEnds,
		"a limit that was loosened is loose at once":             loosened,
		"two rates in turn let no more pass than the looser":     twoRates,
		"the global limit is everybody's":                        globalLimit,
		"a charge for nothing is given back once":                givenBack,
		"a token that the vendor gives twice is thrown away":     repeatedToken,
		"redis holds neither tokens nor names":                   nothingInTheClear,
		"a secret is rotated without a gap":                      secretRotation,
		"an answer of another host is not used":                  otherHost,
		"an answer that is of no use is replaced once":           replacedOnce,
		"a token is not given twice through a rotation":          repeatedThroughRotation,
		"a charge for a repeated token is kept":                  chargedForRepeat,
		"a token that took too long is not handed out":           mintedTooLate,
	}
	maps.Copy(tests, poolSuite)
	maps.Copy(tests, attemptSuite)
	maps.Copy(tests, endedSuite)
	maps.Copy(tests, bespokeSuite)
	maps.Copy(tests, ringSuite)
	maps.Copy(tests, discardSuite)
	for name := range but {
		if tests[name] == nil {
			t.Errorf("there is no test %q", name)
		}
		delete(tests, name)
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := connect(t)
			h.owner = owner
			test(t, h)
		})
	}
}

func everyRequestItsOwn(t *testing.T, h *house) {
	d := h.open()
	seen := map[string]bool{}
	for range 5 {
		g := must(t, d, request("ada", ""))
		if seen[g.Token.Reveal()] || g.Source != dispenser.SourceMint {
			t.Errorf("token twice, or source = %s", g.Source)
		}
		seen[g.Token.Reveal()] = true
		if life := time.Until(g.ExpiresAt); life > 15*time.Minute || life < 14*time.Minute {
			t.Errorf("life = %v", life)
		}
	}
	if h.vendor.count() != 5 {
		t.Errorf("%d vendor calls for 5 tokens", h.vendor.count())
	}
}

func sameKeySameAnswer(t *testing.T, h *house) {
	a, b := h.open(), h.open()
	first := must(t, a, request("ada", "k"))
	for _, d := range []*dispenser.Dispenser{a, b} {
		again := must(t, d, request("ada", "k"))
		if again.Token.Reveal() != first.Token.Reveal() || again.Source != dispenser.SourceReplay {
			t.Errorf("the same key gave another answer, source %s", again.Source)
		}
		if drift := again.ExpiresAt.Sub(first.ExpiresAt).Abs(); drift > time.Second {
			t.Errorf("its expiry moved by %v", drift)
		}
	}
	if other := must(t, a, request("ada", "k2")); other.Token.Reveal() == first.Token.Reveal() {
		t.Error("another key gave the same token")
	}
	if h.vendor.count() != 2 {
		t.Errorf("%d vendor calls for 2 keys", h.vendor.count())
	}
	for _, key := range h.keys("r:") {
		if life := h.redis.PTTL(t.Context(), key).Val(); life <= 0 || life > time.Minute {
			t.Errorf("an answer is kept for %v", life)
		}
	}
}

func keyReused(t *testing.T, h *house) {
	d := h.open()
	must(t, d, request("ada", "k"))
	other := request("ada", "k")
	other.Fingerprint += "x=1"
	if _, err := d.Dispense(t.Context(), other); !errors.Is(err, dispenser.ErrKeyReused) {
		t.Errorf("error = %v, want ErrKeyReused", err)
	}
	if h.vendor.count() != 1 {
		t.Errorf("%d vendor calls", h.vendor.count())
	}
}

func callersNeverShare(t *testing.T, h *house) {
	d := h.open()
	requests := []dispenser.Request{request("ada", "k"), request("bob", "k"), request("ad", "ak"), request("", "adak")}
	otherIssuer := request("ada", "k")
	otherIssuer.Issuer = "https://other.example"
	joined := request("a", "k")
	joined.Issuer += "ad"
	seen := map[string]int{}
	for i, r := range append(requests, otherIssuer, joined) {
		token := must(t, d, r).Token.Reveal()
		if other, twice := seen[token]; twice {
			t.Errorf("callers %d and %d share a token", i, other)
		}
		seen[token] = i
	}
}

func hundredAtOnce(t *testing.T, h *house) {
	replicas := []*dispenser.Dispenser{h.open(), h.open()}
	h.vendor.gate = make(chan struct{})
	var group sync.WaitGroup
	tokens := make([]string, 100)
	sources := make([]dispenser.Source, len(tokens))
	for i := range tokens {
		group.Go(func() {
			g, err := replicas[i%2].Dispense(t.Context(), request("ada", "k"))
			if err != nil {
				t.Errorf("request %d: %v", i, err)
				return
			}
			tokens[i], sources[i] = g.Token.Reveal(), g.Source
		})
	}
	h.eventually("the vendor is called", func() bool { return h.vendor.count() > 0 })
	close(h.vendor.gate)
	group.Wait()
	minted := 0
	for i := range tokens {
		if tokens[i] != tokens[0] {
			t.Errorf("request %d has another token", i)
		}
		if sources[i] == dispenser.SourceMint {
			minted++
		}
	}
	if h.vendor.count() != 1 || minted != 1 {
		t.Errorf("%d vendor calls, %d answers not replayed", h.vendor.count(), minted)
	}
}

func failureIsShared(t *testing.T, h *house) {
	replicas := []*dispenser.Dispenser{h.open(), h.open()}
	h.vendor.gate = make(chan struct{})
	h.vendor.fails(&vendorclient.Error{Kind: vendorclient.KindServerError, Status: 500, RetryAfter: 7 * time.Second, MayHaveMinted: true})
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			_, err := replicas[i%2].Dispense(t.Context(), request("ada", "k"))
			var vendorError *vendorclient.Error
			if !errors.As(err, &vendorError) || vendorError.Kind != vendorclient.KindServerError || vendorError.RetryAfter != 7*time.Second {
				t.Errorf("error = %v", err)
			}
		})
	}
	h.eventually("the vendor is called", func() bool { return h.vendor.count() > 0 })
	h.eventually("all wait", func() bool { return len(h.keys("r:")) == 1 })
	// Each polls at least once in this time, so each waits on the claim.
	time.Sleep(300 * time.Millisecond)
	close(h.vendor.gate)
	group.Wait()
	if h.vendor.count() != 1 {
		t.Errorf("%d vendor calls for one failure", h.vendor.count())
	}
	h.vendor.works()
	if g := must(t, replicas[0], request("ada", "k")); g.Source != dispenser.SourceMint {
		t.Errorf("after a failure: source = %s; failures are not to be kept", g.Source)
	}
}

func hangUpAndComeBack(t *testing.T, h *house) {
	d := h.open()
	h.vendor.gate = make(chan struct{})
	ctx, hangUp := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := d.Dispense(ctx, request("ada", "k"))
		ended <- err
	}()
	h.eventually("the vendor is called", func() bool { return h.vendor.count() == 1 })
	hangUp()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("error = %v, want context.Canceled", err)
	}
	close(h.vendor.gate)
	if g := must(t, d, request("ada", "k")); g.Source != dispenser.SourceReplay {
		t.Errorf("source = %s, want replay", g.Source)
	}
	if h.vendor.count() != 1 {
		t.Errorf("%d vendor calls", h.vendor.count())
	}
}

func inProgress(t *testing.T, h *house) {
	d := h.open()
	h.vendor.gate = make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := d.Dispense(ctx, request("ada", "k")); !errors.Is(err, dispenser.ErrInProgress) {
		t.Errorf("the first: %v, want ErrInProgress", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := d.Dispense(ctx, request("ada", "k")); !errors.Is(err, dispenser.ErrInProgress) {
		t.Errorf("the second: %v, want ErrInProgress", err)
	}
	close(h.vendor.gate)
	if g := must(t, d, request("ada", "k")); g.Source != dispenser.SourceReplay || h.vendor.count() != 1 {
		t.Errorf("source = %s after %d vendor calls", g.Source, h.vendor.count())
	}
}

func claimTakenOver(t *testing.T, h *house) {
	a, b := h.open(), h.open()
	h.vendor.gate = make(chan struct{})
	first := make(chan dispenser.Grant, 1)
	go func() {
		g, err := a.Dispense(t.Context(), request("ada", "k"))
		if err != nil {
			t.Error(err)
		}
		first <- g
	}()
	h.eventually("the first claims", func() bool { return h.vendor.count() == 1 })
	// As if the claim had expired, or Redis had lost it.
	for _, key := range h.keys("r:") {
		h.redis.Del(t.Context(), key)
	}
	slow := h.vendor.gate
	h.vendor.mu.Lock()
	h.vendor.gate = nil
	h.vendor.mu.Unlock()
	second := must(t, b, request("ada", "k"))
	close(slow)
	if g := <-first; g.Token.Reveal() != second.Token.Reveal() || g.Source != dispenser.SourceReplay {
		t.Errorf("one key gave two tokens; source of the slow one: %s", g.Source)
	}
}

func limitsHold(t *testing.T, h *house) {
	replicas := []*dispenser.Dispenser{h.open(), h.open()}
	must(t, replicas[0], request("ada", "k"))
	for i := range 9 {
		g := must(t, replicas[i%2], request("ada", ""))
		if got := g.Limits[0]; got.Name != limit.PerUser || got.Remaining != 8-i || got.Quota != 10 {
			t.Errorf("request %d: %+v", i, got)
		}
	}
	for range 5 {
		if g := must(t, replicas[1], request("ada", "k")); g.Source != dispenser.SourceReplay {
			t.Error("a replay was charged")
		}
	}
	_, err := replicas[1].Dispense(t.Context(), request("ada", ""))
	var over *dispenser.LimitError
	if !errors.As(err, &over) || over.Limit != limit.PerUser || over.RetryAfter <= 0 || over.RetryAfter > 6*time.Second {
		t.Fatalf("the eleventh: %v, %+v", err, over)
	}
	if len(over.States) != 2 || over.States[0].Remaining != 0 || over.States[1].Remaining != 190 {
		t.Errorf("states = %+v", over.States)
	}
	if _, err := replicas[0].Dispense(t.Context(), request("ada", "new")); !errors.As(err, &over) {
		t.Errorf("with a new key: %v", err)
	}
	must(t, replicas[0], request("bob", ""))
	if h.vendor.count() != 11 {
		t.Errorf("%d vendor calls for 11 tokens", h.vendor.count())
	}
}

func quotaEnds(t *testing.T, h *house) {
	d := h.open()
	r := request("ada", "")
	r.Limits.PerUser, r.Limits.PerUserDaily = limit.Rate{}, 3
	for range 3 {
		must(t, d, r)
	}
	_, err := d.Dispense(t.Context(), r)
	var over *dispenser.LimitError
	if !errors.As(err, &over) || over.Limit != limit.PerUserDaily {
		t.Fatalf("the fourth: %v", err)
	}
	if _, rest := limit.Day(time.Now()); (over.RetryAfter - rest).Abs() > 5*time.Second {
		t.Errorf("retry after %v, the day ends in %v", over.RetryAfter, rest)
	}
}

func loosened(t *testing.T, h *house) {
	d := h.open()
	r := request("ada", "")
	r.Limits = limit.Limits{PerUser: limit.Rate{Count: 1, Period: 24 * time.Hour}, Global: limit.Rate{Count: 1, Period: 24 * time.Hour}}
	must(t, d, r)
	var over *dispenser.LimitError
	if _, err := d.Dispense(t.Context(), r); !errors.As(err, &over) || over.Limit != limit.PerUser {
		t.Errorf("the second: %v", err)
	}
	r.Limits = limit.Limits{PerUser: limit.Rate{Count: 3, Period: 12 * time.Hour}, Global: limit.Rate{Count: 24, Period: 24 * time.Hour}}
	for i := range 2 {
		if g := must(t, d, r); g.Limits[0].Remaining != 1-i {
			t.Errorf("left after it was loosened: %+v", g.Limits)
		}
	}
	if _, err := d.Dispense(t.Context(), r); !errors.As(err, &over) || over.Limit != limit.PerUser {
		t.Errorf("the fourth: %v", err)
	}
}

// A caller with sessions of two plans, or two replicas of which one has not read
// the new policy yet, get no more than the looser of both.
func twoRates(t *testing.T, h *house) {
	slow, fast := limit.Rate{Count: 10, Period: time.Minute}, limit.Rate{Count: 5, Period: time.Second}
	for name, limits := range map[string][]limit.Limits{
		"per user": {{PerUser: slow}, {PerUser: fast}},
		"global":   {{Global: slow}, {Global: fast}},
	} {
		d := h.open(func(o *options) { o.Prefix = h.prefix + " " + name })
		passed, began := 0, time.Now()
		for i := range 100 {
			r := request("ada", "")
			r.Limits = limits[i%2]
			if _, err := d.Dispense(t.Context(), r); err == nil {
				passed++
			}
		}
		if most := 10 + 5*int(time.Since(began)/time.Second+1); passed > most {
			t.Errorf("%s: %d passed, of %d at most", name, passed, most)
		}
	}
}

func globalLimit(t *testing.T, h *house) {
	d := h.open()
	for i := range 4 {
		r := request(fmt.Sprint("user", i), "")
		r.Limits.Global = limit.Rate{Count: 3, Period: time.Hour}
		_, err := d.Dispense(t.Context(), r)
		var over *dispenser.LimitError
		switch {
		case i < 3 && err != nil:
			t.Errorf("user %d: %v", i, err)
		case i == 3 && (!errors.As(err, &over) || over.Limit != limit.Global || over.RetryAfter <= 0 || over.RetryAfter > 20*time.Minute):
			t.Errorf("user %d: %v, %+v, want the global limit", i, err, over)
		}
	}
}

func givenBack(t *testing.T, h *house) {
	d := h.open()
	r := request("ada", "")
	r.Limits.PerUser = limit.Rate{Count: 2, Period: time.Hour}
	h.vendor.fails(&vendorclient.Error{Kind: vendorclient.KindKeyInvalid})
	for i := range 6 {
		r.IdempotencyKey = []string{"", "k"}[i%2]
		var vendorError *vendorclient.Error
		if _, err := d.Dispense(t.Context(), r); !errors.As(err, &vendorError) {
			t.Fatalf("a charge for nothing was kept: request %d: %v", i, err)
		}
	}
	h.vendor.works()
	if g := must(t, d, r); g.Limits[0].Remaining != 1 || g.Limits[1].Remaining != 199 {
		t.Errorf("left after one of two: %+v", g.Limits)
	}
	// What may have made a token is not given back.
	h.vendor.fails(&vendorclient.Error{Kind: vendorclient.KindTimeout, MayHaveMinted: true})
	r.IdempotencyKey = ""
	_, _ = d.Dispense(t.Context(), r)
	h.vendor.works()
	var over *dispenser.LimitError
	if _, err := d.Dispense(t.Context(), r); !errors.As(err, &over) {
		t.Errorf("a charge that may have made a token was given back: %v", err)
	}
}

func repeatedToken(t *testing.T, h *house) {
	a, b := h.open(), h.open()
	h.vendor.answer = func(call int) (string, error) { return []string{"one", "one", "two", "two", "three"}[call-1], nil }
	got := []string{
		must(t, a, request("ada", "")).Token.Reveal(),
		must(t, b, request("bob", "")).Token.Reveal(),
		must(t, a, request("ada", "")).Token.Reveal(),
	}
	if want := "one two three"; strings.Join(got, " ") != want {
		t.Errorf("handed out %v, want %s", got, want)
	}
	h.vendor.mu.Lock()
	h.vendor.answer = func(int) (string, error) { return "three", nil }
	h.vendor.mu.Unlock()
	if g, err := b.Dispense(t.Context(), request("bob", "")); !errors.Is(err, dispenser.ErrRepeatedToken) {
		t.Errorf("a token handed out twice: %v, %v", g.Source, err)
	}
}

func nothingInTheClear(t *testing.T, h *house) {
	d := h.open()
	r := request("ada@example.com", "my-attempt")
	r.Limits.Global = limit.Rate{Count: 100, Period: time.Hour} // what it leaves outlives the look at it
	token := must(t, d, r).Token.Reveal()
	h.vendor.fails(&vendorclient.Error{Kind: vendorclient.KindKeyInvalid})
	r.IdempotencyKey = "my-other-attempt"
	_, _ = d.Dispense(t.Context(), r)
	all := h.dump()
	if len(all) < 4 {
		t.Errorf("only %d entries looked at", len(all))
	}
	for key, value := range all {
		for _, word := range []string{token, r.Subject, r.Issuer, "my-attempt", "my-other", oldSecret} {
			if strings.Contains(key, word) || strings.Contains(value, word) {
				t.Errorf("%s holds %q in the clear", key, word)
			}
		}
		if !strings.HasPrefix(key, "{test:") {
			t.Errorf("key %s is without the prefix", key)
		}
		// Short-lived ones may be gone by now; -1 is a key without an end.
		if h.redis.PTTL(t.Context(), key).Val() == -1 {
			t.Errorf("key %s never expires", key)
		}
	}
}

func secretRotation(t *testing.T, h *house) {
	with := func(secrets ...string) func(*options) {
		return func(cfg *options) {
			cfg.Secrets = nil
			for _, s := range secrets {
				cfg.Secrets = append(cfg.Secrets, secret.New(s))
			}
		}
	}
	before, during, after := h.open(), h.open(with(oldSecret, youngSecret)), h.open(with(youngSecret, oldSecret))
	first := must(t, before, request("ada", "k"))
	if g := must(t, after, request("ada", "k")); g.Token.Reveal() != first.Token.Reveal() {
		t.Error("rotation lost an answer kept for replay")
	}
	second := must(t, after, request("ada", "k2"))
	if g := must(t, during, request("ada", "k2")); g.Token.Reveal() != second.Token.Reveal() {
		t.Error("a replica with the young secret second does not find what the others write")
	}
	for range 8 {
		must(t, during, request("ada", ""))
	}
	var over *dispenser.LimitError
	if _, err := after.Dispense(t.Context(), request("ada", "")); !errors.As(err, &over) {
		t.Errorf("rotation reset a limit: %v", err)
	}
}

func otherHost(t *testing.T, h *house) {
	a := h.open()
	b := h.open(func(cfg *options) { cfg.VendorHost = "other.example" })
	first := must(t, a, request("ada", "k"))
	if g := must(t, b, request("ada", "k")); g.Token.Reveal() == first.Token.Reveal() || g.Source != dispenser.SourceMint {
		t.Error("a token of one host was given for another")
	}
}

func repeatedThroughRotation(t *testing.T, h *house) {
	h.vendor.answer = func(int) (string, error) { return "the same", nil }
	must(t, h.open(), request("ada", ""))
	after := h.open(func(cfg *options) {
		cfg.Secrets = []secret.Text{secret.New(youngSecret), secret.New(oldSecret)}
	})
	if g, err := after.Dispense(t.Context(), request("bob", "")); !errors.Is(err, dispenser.ErrRepeatedToken) {
		t.Errorf("after the rotation: %s, %v", g.Source, err)
	}
}

func chargedForRepeat(t *testing.T, h *house) {
	d := h.open()
	h.vendor.answer = func(call int) (string, error) {
		if call < 3 {
			return "the same", nil
		}
		return "", &vendorclient.Error{Kind: vendorclient.KindKeyInvalid}
	}
	must(t, d, request("ada", ""))
	if _, err := d.Dispense(t.Context(), request("ada", "")); err == nil {
		t.Fatal("a token")
	}
	h.vendor.works()
	if g := must(t, d, request("ada", "")); g.Limits[0].Remaining != 7 {
		t.Errorf("%d left of 10: the charge for a repeated token was given back", g.Limits[0].Remaining)
	}
}

func mintedTooLate(t *testing.T, h *house) {
	d := h.open(func(cfg *options) {
		cfg.TokenLifetime = dispenser.MinimumLife + cfg.ReplayWindow + 10*time.Millisecond
	})
	h.vendor.delay = 20 * time.Millisecond
	for _, key := range []string{"", "k"} {
		var vendorError *vendorclient.Error
		if _, err := d.Dispense(t.Context(), request("ada", key)); !errors.As(err, &vendorError) || !vendorError.MayHaveMinted {
			t.Errorf("key %q: %v", key, err)
		}
	}
}

func replacedOnce(t *testing.T, h *house) {
	const replicas = 4
	first := h.open()
	var moved []*dispenser.Dispenser
	for range replicas {
		moved = append(moved, h.open(func(cfg *options) { cfg.VendorHost = "other.example" }))
	}
	for round := range 5 {
		key := fmt.Sprint("k", round)
		must(t, first, request("ada", key))
		before := h.vendor.count()
		tokens := make([]string, replicas)
		var group sync.WaitGroup
		for i, d := range moved {
			group.Go(func() {
				g, err := d.Dispense(t.Context(), request("ada", key))
				if err != nil {
					t.Error(err)
					return
				}
				tokens[i] = g.Token.Reveal()
			})
		}
		group.Wait()
		for _, token := range tokens {
			if token != tokens[0] {
				t.Errorf("round %d: one key gave several tokens", round)
			}
		}
		if n := h.vendor.count() - before; n != 1 {
			t.Errorf("round %d: %d vendor calls", round, n)
		}
	}
}

// keys lists the keys in Redis with a kind's prefix.
func (h *house) keys(kind string) []string {
	h.t.Helper()
	return h.scan("{" + h.prefix + ":*}:" + kind + "*")
}

func (h *house) scan(pattern string) (keys []string) {
	h.t.Helper()
	var mu sync.Mutex
	look := func(ctx context.Context, client *redis.Client) error {
		found, err := client.Keys(ctx, pattern).Result()
		mu.Lock()
		defer mu.Unlock()
		keys = append(keys, found...)
		return err
	}
	var err error
	switch client := h.redis.(type) {
	case *redis.ClusterClient:
		err = client.ForEachMaster(context.Background(), look)
	case *redis.Client:
		err = look(context.Background(), client)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return keys
}

// dump is all that Redis holds.
func (h *house) dump() map[string]string {
	h.t.Helper()
	all := map[string]string{}
	for _, key := range h.scan("*") {
		all[key] = h.redis.Get(context.Background(), key).Val() + strings.Join(h.redis.SMembers(context.Background(), key).Val(), " ")
	}
	return all
}

// eventually waits for something that other goroutines bring about.
func (h *house) eventually(what string, met func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !met(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("never: %s", what)
		}
	}
}
