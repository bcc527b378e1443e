package vendorclient_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"farebox/internal/secret"
	vendorclient "farebox/vendor_client"
)

// ringBench is a ring with a clock that is moved, and what it told.
type ringBench struct {
	*vendorclient.Ring
	mu      sync.Mutex
	now     time.Time
	log     bytes.Buffer
	changes []vendorclient.KeyChange
}

func (r *ringBench) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *ringBench) advance(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

func texts(keys []string) (all []secret.Text) {
	for _, key := range keys {
		all = append(all, secret.New(key))
	}
	return all
}

// newRing is a ring of keys; b may be nil where nothing of it is looked at.
func newRing(t *testing.T, b *ringBench, keys ...string) *vendorclient.Ring {
	t.Helper()
	if b == nil {
		b = &ringBench{}
	}
	b.now = time.Unix(1_790_000_000, 0)
	var err error
	b.Ring, err = vendorclient.NewRing(vendorclient.RingConfig{
		Keys: texts(keys), Host: "vendor.example", Now: b.clock,
		Log:     slog.New(slog.NewTextHandler(&b.log, nil)),
		Changed: func(c vendorclient.KeyChange) { b.changes = append(b.changes, c) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Ring
}

// gatekeeper answers by key, and counts.
type gatekeeper struct {
	mu      sync.Mutex
	refuses map[string]http.HandlerFunc // by key, or key and path; all others get a token
	asked   []string                    // the keys, in order
}

func (g *gatekeeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("xi-api-key")
	g.mu.Lock()
	g.asked = append(g.asked, key)
	refuse := g.refuses[key]
	if refuse == nil {
		refuse = g.refuses[key+" "+r.URL.Path]
	}
	n := len(g.asked)
	g.mu.Unlock()
	if refuse == nil {
		refuse = answers(200, fmt.Sprintf(`{"token":"%s-%d","signed_url":"%s"}`, key, n, signed(r)))
	}
	refuse(w, r)
}

func (g *gatekeeper) set(key string, refuse http.HandlerFunc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refuses == nil {
		g.refuses = map[string]http.HandlerFunc{}
	}
	g.refuses[key] = refuse
}

// calls are the keys asked with since the last time.
func (g *gatekeeper) calls() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	asked := strings.Join(g.asked, " ")
	g.asked = nil
	return asked
}

func ringClient(t *testing.T, keys ...string) (*bench, *ringBench, *gatekeeper) {
	t.Helper()
	g, r := &gatekeeper{}, &ringBench{}
	b := start(t, g.ServeHTTP, func(c *vendorclient.Config) { c.Keys = newRing(t, r, keys...) })
	return b, r, g
}

var (
	noCredits   = answers(401, `{"detail":{"status":"quota_exceeded"}}`)
	badKey      = answers(401, `{"detail":{"status":"invalid_api_key"}}`)
	keysID      = answers(400, `{"detail":{"code":"invalid_api_key"}}`)
	noScope     = answers(401, `{"detail":{"status":"missing_permissions","message":"missing the permission speech_to_text to"}}`)
	noPlan      = answers(402, `{"detail":{"code":"paid_plan_required"}}`)
	badAddress  = answers(403, `{"detail":"not allowed"}`)
	serverError = answers(500, ``)
)

func TestARefusedKeyIsSetAsideByReasonAndTheNextServesTheSameRequest(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		refuse http.HandlerFunc
		kind   vendorclient.Kind
		alone  bool // for the token type alone
	}{
		"credits out":     {noCredits, vendorclient.KindCreditsExhausted, false},
		"revoked":         {badKey, vendorclient.KindKeyInvalid, false},
		"a key's id":      {keysID, vendorclient.KindKeyIDAsKey, false},
		"scope missing":   {noScope, vendorclient.KindScopeMissing, true},
		"plan too low":    {noPlan, vendorclient.KindPlanTooLow, true},
		"another address": {badAddress, vendorclient.KindAddressRefused, false},
	} {
		b, r, g := ringClient(t, "one", "two")
		g.set("one", tt.refuse)
		for range 3 {
			token, err := b.mint(t)
			if err != nil || token.Key.Value().Reveal() != "two" {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if calls := g.calls(); calls != "one two two two" {
			t.Errorf("%s: asked with %s", name, calls)
		}
		change := vendorclient.KeyChange{Position: 1, Kind: tt.kind}
		if tt.alone {
			change.Only = "realtime_scribe"
		}
		if !slices.Equal(r.changes, []vendorclient.KeyChange{change}) || strings.Count(r.log.String(), "level=WARN") != 1 || !strings.Contains(r.log.String(), string(tt.kind)) {
			t.Errorf("%s: told %+v\n%s", name, r.changes, r.log.String())
		}
		if good := r.Good(vendorclient.RealtimeScribe); len(good) != 1 || good[0].Value().Reveal() != "two" {
			t.Errorf("%s: %d keys are good for it", name, len(good))
		}
		if good := len(r.Good(vendorclient.BatchScribe)) == 2; good != tt.alone {
			t.Errorf("%s: good for another type: %t", name, good)
		}
		if r.Usable()[0] != tt.alone || (r.Trouble() == "") != tt.alone {
			t.Errorf("%s: usable %v, trouble %q", name, r.Usable(), r.Trouble())
		}
		first := r.Keys()[0].ID()
		if !r.Refused(first, vendorclient.RealtimeScribe) || r.Refused(first, vendorclient.BatchScribe) == tt.alone || r.Refused(first, "") == tt.alone ||
			r.Refused(r.Keys()[1].ID(), vendorclient.RealtimeScribe) || r.Refused("unknown", vendorclient.RealtimeScribe) {
			t.Errorf("%s: refused otherwise", name)
		}

		// It works again; the next call but one after the pause finds that out.
		g.set("one", nil)
		r.advance(700 * time.Millisecond)
		if token, err := b.mint(t); err != nil || token.Key.Value().Reveal() != "two" {
			t.Errorf("%s: tried before its pause was over: %v", name, err)
		}
		r.advance(time.Second)
		if token, err := b.mint(t); err != nil || token.Key.Value().Reveal() != "one" {
			t.Errorf("%s: not tried again: %v", name, err)
		}
		change.Kind = ""
		if len(r.changes) != 2 || r.changes[1] != change || len(r.Good(vendorclient.RealtimeScribe)) != 2 || !r.Usable()[0] || r.Trouble() != "" {
			t.Errorf("%s: not usable again: %+v", name, r.changes)
		}
		if strings.Contains(r.log.String(), `"one"`) || strings.Contains(r.log.String(), "=one") {
			t.Errorf("%s: the key is in the log: %s", name, r.log.String())
		}
	}
}

func TestPausesGrowUpToABoundAndAreNotTheSameForAll(t *testing.T) {
	t.Parallel()
	b, r, g := ringClient(t, "one", "two")
	g.set("one", badKey)
	mustMint(t, b)
	pause := time.Second
	for range 12 {
		r.advance(pause*3/4 - time.Millisecond)
		g.calls()
		mustMint(t, b)
		if calls := g.calls(); calls != "two" {
			t.Fatalf("after a pause of %v: tried too soon: %s", pause, calls)
		}
		r.advance(pause/2 + time.Millisecond)
		mustMint(t, b)
		if calls := g.calls(); calls != "one two" {
			t.Fatalf("after a pause of %v: not tried again: %s", pause, calls)
		}
		pause = min(2*pause, 2*time.Minute)
	}
	if len(r.changes) != 1 || strings.Count(r.log.String(), "level=WARN") != 1 {
		t.Errorf("told again and again: %+v", r.changes)
	}
	g.set("one", noCredits)
	r.advance(3 * time.Minute)
	mustMint(t, b)
	if len(r.changes) != 2 || r.changes[1].Kind != vendorclient.KindCreditsExhausted {
		t.Errorf("another reason is not told: %+v", r.changes)
	}
}

func mustMint(t *testing.T, b *bench) vendorclient.Token {
	t.Helper()
	token, err := b.mint(t)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestOneCallAtATimeTriesAKeyAgain(t *testing.T) {
	t.Parallel()
	b, r, g := ringClient(t, "one", "two")
	g.set("one", badKey)
	mustMint(t, b)
	release := make(chan struct{})
	g.set("one", func(w http.ResponseWriter, r *http.Request) {
		<-release
		badKey(w, r)
	})
	r.advance(time.Minute)
	g.calls()
	var trials sync.WaitGroup
	trials.Go(func() { mustMint(t, b) })
	for deadline := time.Now().Add(10 * time.Second); g.waiting() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody tries")
		}
	}
	for range 5 {
		if token := mustMint(t, b); token.Key.Value().Reveal() != "two" {
			t.Error("a second trial")
		}
	}
	close(release)
	trials.Wait()
	if calls := g.calls(); strings.Count(calls, "one") != 1 || strings.Count(calls, "two") != 6 {
		t.Errorf("asked with %s", calls)
	}
}

func (g *gatekeeper) waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.asked)
}

func TestWithAllKeysAsideNobodyIsAskedUntilOneIsDue(t *testing.T) {
	t.Parallel()
	b, r, g := ringClient(t, "one", "two")
	g.set("one", noCredits)
	g.set("two", badKey)
	_, err := b.mint(t)
	if err == nil || err.Kind != vendorclient.KindKeyInvalid || err.Status != 401 || err.RetryAfter <= 0 || err.MayHaveMinted {
		t.Fatalf("error = %v, retry after %v", err, err.RetryAfter)
	}
	for range 20 {
		_, err = b.mint(t)
		if err == nil || err.Kind != vendorclient.KindCreditsExhausted || err.Status != 0 || err.RetryAfter <= 0 || err.RetryAfter > 2*time.Second || err.MayHaveMinted {
			t.Fatalf("error = %v, retry after %v", err, err.RetryAfter)
		}
	}
	if calls := g.calls(); calls != "one two" {
		t.Errorf("asked with %s", calls)
	}
	if r.Trouble() != "key 1: credits_exhausted" || len(r.Good(vendorclient.RealtimeScribe)) != 0 {
		t.Errorf("trouble %q", r.Trouble())
	}
	g.set("two", nil)
	r.advance(10 * time.Second)
	if token := mustMint(t, b); token.Key.Value().Reveal() != "two" {
		t.Error("the second key is not back")
	}
	if calls := g.calls(); calls != "one two" || r.Trouble() != "key 1: credits_exhausted" {
		t.Errorf("asked with %s, trouble %q", calls, r.Trouble())
	}
}

func TestWhatIsNoRefusalSetsNoKeyAside(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"too many at once": answers(429, `{"detail":{"code":"concurrent_limit_exceeded"}}`), "a rate limit": answers(429, ``),
		"busy": answers(429, `{"detail":{"status":"system_busy"}}`), "a server error": serverError, "a time-out": answers(408, ``),
		"no token": answers(200, `{}`), "not understood": answers(422, ``), "a redirect": answers(302, ``), "unknown": answers(404, ``),
	} {
		b, r, g := ringClient(t, "one", "two")
		g.set("one", answer)
		if _, err := b.mint(t); err == nil {
			t.Errorf("%s: no error", name)
		}
		if calls := g.calls(); strings.Contains(calls, "two") || len(r.changes) != 0 || len(r.Good(vendorclient.RealtimeScribe)) != 2 {
			t.Errorf("%s: asked with %s, told %+v", name, calls, r.changes)
		}
	}
}

func TestATrialThatSaysNothingOfTheKeyIsMadeAgainAfterTheSamePause(t *testing.T) {
	t.Parallel()
	b, r, g := ringClient(t, "one", "two")
	g.set("one", badKey)
	mustMint(t, b)
	g.set("one", serverError)
	g.calls()
	for range 4 {
		r.advance(1251 * time.Millisecond)
		if token := mustMint(t, b); token.Key.Value().Reveal() != "two" {
			t.Error("not served by the other key")
		}
		if calls := g.calls(); calls != "one two" {
			t.Errorf("asked with %s", calls)
		}
	}
	if len(b.slept) != 0 {
		t.Errorf("the caller waited: %v", b.slept)
	}
}

func TestAgentsCallsUseTheRing(t *testing.T) {
	t.Parallel()
	b, r, g := ringClient(t, "one", "two")
	g.set("one", noScope)
	made, err := b.SignedURL(t.Context(), "a")
	if err != nil || made.Key.Value().Reveal() != "two" || r.changes[0].Only != "signed_url" {
		t.Fatalf("%v, %+v", err, r.changes)
	}
	g.set("one", nil)
	if token := mustMint(t, b); token.Key.Value().Reveal() != "one" {
		t.Error("the scope of one operation was held against another")
	}
	// A 403 may be about the agent: the next key is tried, and none set aside.
	b, r, g = ringClient(t, "one", "two")
	g.set("one", badAddress)
	if _, err := b.SignedURL(t.Context(), "a"); err != nil || len(r.changes) != 0 {
		t.Fatalf("%v, %+v", err, r.changes)
	}
	g.set("two", badAddress)
	var e *vendorclient.Error
	if _, err := b.SignedURL(t.Context(), "a"); !errors.As(err, &e) || e.Kind != vendorclient.KindAddressRefused || e.RetryAfter != 0 || len(r.changes) != 0 {
		t.Fatalf("%v, %+v", err, r.changes)
	}
	if calls := g.calls(); calls != "one two one two" {
		t.Errorf("asked with %s", calls)
	}
	g.set("one", answers(403, `{"detail":"not from 203.0.113.7"}`))
	if _, err := b.SignedURL(t.Context(), "a"); err == nil || r.Usable()[0] {
		t.Errorf("an address that is named: %v, usable %v", err, r.Usable())
	}
}

func TestTheRingIsReplacedWithoutAFailedCall(t *testing.T) {
	t.Parallel()
	b, r, g := ringClient(t, "one", "two")
	g.set("one", badKey)
	mustMint(t, b)
	second := r.Keys()[1]
	if err := r.Replace(texts([]string{"three", "two", "one"})); err != nil {
		t.Fatal(err)
	}
	if r.Keys()[1] != second || !slices.Equal(r.Usable(), []bool{true, true, false}) {
		t.Errorf("the keys that stay have lost their state: %v", r.Usable())
	}
	if token := mustMint(t, b); token.Key.Value().Reveal() != "three" {
		t.Error("the new key is not used")
	}
	// A call under way with a key that is taken out.
	release, begun := make(chan struct{}), make(chan struct{})
	g.set("three", func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-release
		answers(200, `{"token":"late"}`)(w, r)
	})
	var late sync.WaitGroup
	late.Go(func() {
		if token, err := b.mint(t); err != nil || token.Value.Reveal() != "late" {
			t.Errorf("the call under way failed: %v", err)
		}
	})
	<-begun
	if err := r.Replace(texts([]string{"four"})); err != nil {
		t.Fatal(err)
	}
	close(release)
	late.Wait()
	if token := mustMint(t, b); token.Key.Value().Reveal() != "four" || len(r.changes) != 1 {
		t.Errorf("told %+v", r.changes)
	}
	// One that is refused meanwhile is served by a key of the new ring, and nothing
	// is told of a key that is gone.
	release, begun = make(chan struct{}), make(chan struct{})
	g.set("four", func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-release
		badKey(w, r)
	})
	late.Go(func() {
		if token, err := b.mint(t); err != nil || token.Key.Value().Reveal() != "five" {
			t.Errorf("the call under way was not served by the new key: %v", err)
		}
	})
	<-begun
	if err := r.Replace(texts([]string{"five"})); err != nil {
		t.Fatal(err)
	}
	close(release)
	late.Wait()
	if len(r.changes) != 1 || !r.Usable()[0] {
		t.Errorf("told %+v", r.changes)
	}
	for name, keys := range map[string][]string{"none": nil, "one twice": {"five", "x", "five"}, "line breaks": {"canary\r\nx: y"}, "an empty one": {""}} {
		if err := r.Replace(texts(keys)); err == nil || strings.Contains(err.Error(), "canary") || len(r.Keys()) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnderLoadARefusedKeyFailsNobody(t *testing.T) {
	t.Parallel()
	b, r, g := ringClient(t, "one", "two")
	var load sync.WaitGroup
	half := make(chan struct{})
	for worker := range 8 {
		load.Go(func() {
			for i := range 50 {
				if worker == 0 && i == 25 {
					g.set("one", badKey)
					close(half)
				}
				if _, err := b.mint(t); err != nil {
					t.Errorf("a call failed: %v", err)
				}
			}
		})
	}
	<-half
	load.Wait()
	if r.Usable()[0] || len(r.changes) != 1 {
		t.Errorf("told %+v", r.changes)
	}
}

func TestUnderLoadAnotherRingFailsNobody(t *testing.T) {
	t.Parallel()
	b, r, g := ringClient(t, "one", "two")
	var load sync.WaitGroup
	for range 6 {
		load.Go(func() {
			for range 50 {
				if _, err := b.mint(t); err != nil {
					t.Errorf("a call failed: %v", err)
				}
			}
		})
	}
	g.set("one", badKey)
	for _, keys := range [][]string{{"three", "one"}, {"one", "four"}, {"five"}} {
		if err := r.Replace(texts(keys)); err != nil {
			t.Error(err)
		}
		mustMint(t, b)
	}
	load.Wait()
	if token := mustMint(t, b); token.Key.Value().Reveal() != "five" {
		t.Error("the last ring is not used")
	}
}
