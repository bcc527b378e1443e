package vendorclient_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	vendorclient "farebox/vendor_client"
)

const apiKey = "canary-api-key-0123456789"

// bench is a client and the server that it calls, with the waits that it made.
type bench struct {
	*vendorclient.Client
	server *httptest.Server
	calls  atomic.Int32
	conns  atomic.Int32
	mu     sync.Mutex
	slept  []time.Duration
	log    bytes.Buffer
}

func start(t *testing.T, handle http.HandlerFunc, amend ...func(*vendorclient.Config)) *bench {
	t.Helper()
	b := &bench{}
	b.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.calls.Add(1)
		handle(w, r)
	}))
	b.server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			b.conns.Add(1)
		}
	}
	b.server.Start()
	t.Cleanup(b.server.Close)
	base, err := url.Parse(b.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg := vendorclient.Config{
		BaseURL: base, Keys: newRing(t, nil, apiKey), Timeout: 5 * time.Second, Concurrency: 8, UserAgent: "test",
		Now: time.Now, Log: slog.New(slog.NewTextHandler(&lockedLog{b: b}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Sleep: func(ctx context.Context, d time.Duration) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.slept = append(b.slept, d)
			return ctx.Err()
		},
	}
	for _, f := range amend {
		f(&cfg)
	}
	if b.Client, err = vendorclient.New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Client.Close)
	return b
}

type lockedLog struct{ b *bench }

func (l *lockedLog) Write(p []byte) (int, error) {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	return l.b.log.Write(p)
}

func (b *bench) mint(t *testing.T) (vendorclient.Token, *vendorclient.Error) {
	t.Helper()
	token, err := b.Mint(t.Context(), vendorclient.RealtimeScribe)
	if err == nil {
		return token, nil
	}
	var e *vendorclient.Error
	if !errors.As(err, &e) {
		t.Fatalf("error = %v, want an *Error", err)
	}
	return token, e
}

func answers(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestMintAsksAsTheVendorWantsToBeAsked(t *testing.T) {
	t.Parallel()
	for _, tokenType := range vendorclient.TokenTypes() {
		var got *http.Request
		b := start(t, func(w http.ResponseWriter, r *http.Request) {
			got = r
			answers(200, `{"token":"sutkn_1"}`)(w, r)
		})
		before := time.Now()
		token, err := b.Mint(t.Context(), tokenType)
		if err != nil {
			t.Fatal(err)
		}
		if token.Value.Reveal() != "sutkn_1" || token.Type != tokenType || token.RequestedAt.Before(before) {
			t.Errorf("token = %+v", token)
		}
		if got.Method != http.MethodPost || got.URL.String() != "/v1/single-use-token/"+string(tokenType) || got.ContentLength != 0 ||
			got.Header.Get("xi-api-key") != apiKey || got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Authorization") != "" {
			t.Errorf("request = %s %s %v", got.Method, got.URL, got.Header)
		}
	}
}

func TestATokensLifeCountsFromBeforeTheCall(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	before := time.Unix(1_790_000_000, 0)
	b := start(t, func(w http.ResponseWriter, r *http.Request) {
		clock.Add(60)
		answers(200, `{"token":"sutkn_1"}`)(w, r)
	}, func(c *vendorclient.Config) {
		c.Now = func() time.Time { return before.Add(time.Duration(clock.Load()) * time.Second) }
	})
	if token, err := b.mint(t); err != nil || !token.RequestedAt.Equal(before) {
		t.Errorf("requested at %v, %v", token.RequestedAt, err)
	}
}

func TestTheTableOfTheVendorsErrors(t *testing.T) {
	t.Parallel()
	const (
		modern = `{"detail":{"type":"x","code":"%s","message":"m","status":"%s","request_id":"req1"}}`
		legacy = `{"detail":{"status":"%s","message":"m"}}`
	)
	tests := map[string]struct {
		status int
		body   string
		kind   vendorclient.Kind
	}{
		"a bad key":                           {401, fmt.Sprintf(legacy, "invalid_api_key"), vendorclient.KindKeyInvalid},
		"a bad key, modern":                   {401, fmt.Sprintf(modern, "invalid_api_key", "invalid_api_key"), vendorclient.KindKeyInvalid},
		"a key's id as key":                   {400, fmt.Sprintf(modern, "invalid_api_key", "invalid_api_key"), vendorclient.KindKeyIDAsKey},
		"a scope missing by status":           {401, fmt.Sprintf(modern, "unauthorized", "missing_permissions"), vendorclient.KindScopeMissing},
		"a scope missing by code":             {401, fmt.Sprintf(modern, "missing_permissions", "missing_permissions"), vendorclient.KindScopeMissing},
		"a scope missing, legacy":             {401, fmt.Sprintf(legacy, "missing_permissions"), vendorclient.KindScopeMissing},
		"credits exhausted":                   {401, fmt.Sprintf(legacy, "quota_exceeded"), vendorclient.KindCreditsExhausted},
		"a plan too low by code":              {402, fmt.Sprintf(modern, "paid_plan_required", "payment_required"), vendorclient.KindPlanTooLow},
		"a plan too low by status":            {402, fmt.Sprintf(legacy, "payment_required"), vendorclient.KindPlanTooLow},
		"a plan too low without words":        {402, "", vendorclient.KindPlanTooLow},
		"an address not allowed":              {403, `{"detail":"no"}`, vendorclient.KindAddressRefused},
		"an address not allowed, as HTML":     {403, `<html>`, vendorclient.KindAddressRefused},
		"too many at once by code":            {429, fmt.Sprintf(modern, "concurrent_limit_exceeded", "x"), vendorclient.KindTooManyAtOnce},
		"too many at once by status":          {429, fmt.Sprintf(legacy, "too_many_concurrent_requests"), vendorclient.KindTooManyAtOnce},
		"a rate limit":                        {429, fmt.Sprintf(modern, "rate_limit_exceeded", "x"), vendorclient.KindRateLimited},
		"a rate limit without words":          {429, "", vendorclient.KindRateLimited},
		"busy":                                {429, fmt.Sprintf(legacy, "system_busy"), vendorclient.KindBusy},
		"busy, as a bare string":              {429, `{"detail":"system_busy"}`, vendorclient.KindBusy},
		"validation":                          {422, `{"detail":[{"loc":["path"],"msg":"m","type":"t"}]}`, vendorclient.KindValidation},
		"a bare string":                       {401, `{"detail":"Invalid API key"}`, vendorclient.KindKeyInvalid},
		"a detail of another type":            {401, `{"detail":7}`, vendorclient.KindKeyInvalid},
		"a code of another type":              {401, `{"detail":{"code":7,"status":"quota_exceeded"}}`, vendorclient.KindCreditsExhausted},
		"a timeout":                           {408, "", vendorclient.KindTimeout},
		"a server error":                      {500, `{"detail":"x"}`, vendorclient.KindServerError},
		"a server error that names a mark":    {500, fmt.Sprintf(legacy, "invalid_api_key"), vendorclient.KindServerError},
		"a gateway's error as HTML":           {502, "<html>", vendorclient.KindServerError},
		"what is not implemented":             {501, "", vendorclient.KindUnexpectedStatus},
		"what is not found":                   {404, "", vendorclient.KindUnexpectedStatus},
		"a redirect":                          {307, "", vendorclient.KindRedirected},
		"nothing":                             {204, "", vendorclient.KindNoToken},
		"a success without a token":           {200, `{}`, vendorclient.KindNoToken},
		"a token that is null":                {200, `{"token":null}`, vendorclient.KindNoToken},
		"a token that is a number":            {200, `{"token":1}`, vendorclient.KindNoToken},
		"a token that is empty":               {200, `{"token":""}`, vendorclient.KindNoToken},
		"a token with a space":                {200, `{"token":"a b"}`, vendorclient.KindNoToken},
		"a token with a line break":           {200, `{"token":"a\n"}`, vendorclient.KindNoToken},
		"a token beyond ASCII":                {200, `{"token":"ü"}`, vendorclient.KindNoToken},
		"a token that is too long":            {200, `{"token":"` + strings.Repeat("x", 4097) + `"}`, vendorclient.KindNoToken},
		"a token spelt otherwise":             {200, `{"Token":"a"}`, vendorclient.KindNoToken},
		"a token with something behind it":    {200, `{"token":"a"}{}`, vendorclient.KindNoToken},
		"HTML":                                {200, `<html>`, vendorclient.KindNoToken},
		"a list":                              {200, `["a"]`, vendorclient.KindNoToken},
		"more than a token":                   {200, `{"token":"a","x":"` + strings.Repeat("x", 64<<10) + `"}`, vendorclient.KindBodyTooLarge},
		"an error that is larger than a page": {500, strings.Repeat("x", 1<<20), vendorclient.KindServerError},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, answers(tt.status, tt.body, "X-Trace-Id", "trace1"))
			_, err := b.mint(t)
			if err == nil || err.Kind != tt.kind || err.Status != tt.status || err.Operation != "mint" {
				t.Fatalf("error = %+v, want %s", err, tt.kind)
			}
			if want := map[bool]string{true: "req1", false: "trace1"}[strings.Contains(tt.body, "req1")]; tt.status != 200 && err.RequestID != want {
				t.Errorf("request id = %q, want %q", err.RequestID, want)
			}
			again := err.Kind.Unavailable()
			if calls := b.calls.Load(); calls != map[bool]int32{true: 3, false: 1}[again] {
				t.Errorf("%d calls", calls)
			}
			mayHave := tt.status < 300 || tt.status >= 500 || tt.status == 408
			if err.MayHaveMinted != mayHave {
				t.Errorf("MayHaveMinted = %v", err.MayHaveMinted)
			}
			if err.Kind.Refused() && err.Kind.Unavailable() {
				t.Error("refused and unavailable at once")
			}
		})
	}
}

func TestTokensOfEveryAllowedLengthAreTaken(t *testing.T) {
	t.Parallel()
	for _, want := range []string{"x", "!~", strings.Repeat("x", 4096), "no-prefix-at-all"} {
		b := start(t, answers(200, fmt.Sprintf(`{"token":%q,"extra":1}`, want)))
		if token, err := b.mint(t); err != nil || token.Value.Reveal() != want {
			t.Errorf("%.10s: %v", want, err)
		}
	}
}

func TestAMissingPermissionIsNamed(t *testing.T) {
	t.Parallel()
	b := start(t, answers(401, `{"detail":{"status":"missing_permissions","message":"The API key you used is missing the permission speech_to_text to execute this operation."}}`))
	_, err := b.mint(t)
	if err == nil || err.Permission != "speech_to_text" || !strings.Contains(b.log.String(), "speech_to_text") {
		t.Errorf("error = %+v", err)
	}
}

func TestRetriesHonourRetryAfterAndEnd(t *testing.T) {
	t.Parallel()
	inFuture := time.Now().Add(3 * time.Second).UTC().Format(http.TimeFormat)
	for name, tt := range map[string]struct {
		header, value string
		least, most   time.Duration
	}{
		"in seconds":           {"Retry-After", "2", 2*time.Second + 1, 2500 * time.Millisecond},
		"as a date":            {"Retry-After", inFuture, time.Second, 3500 * time.Millisecond},
		"as a reset":           {"X-RateLimit-Reset", "3", 3*time.Second + 1, 3500 * time.Millisecond},
		"as a Unix time":       {"X-RateLimit-Reset", fmt.Sprint(time.Now().Add(4 * time.Second).Unix()), 2 * time.Second, 4500 * time.Millisecond},
		"as nonsense":          {"Retry-After", "soon", 0, 2 * time.Second},
		"as a negative number": {"Retry-After", "-5", 0, 2 * time.Second},
		"not at all":           {"X-Nothing", "1", 0, 2 * time.Second},
	} {
		b := start(t, answers(429, "", tt.header, tt.value))
		_, err := b.mint(t)
		if err == nil || b.calls.Load() != 3 || len(b.slept) != 2 {
			t.Errorf("%s: %d calls, waits %v", name, b.calls.Load(), b.slept)
		}
		for _, d := range b.slept {
			if d < tt.least || d > tt.most {
				t.Errorf("%s: waited %v", name, d)
			}
		}
	}
}

func TestAWaitThatNobodyWouldWaitForIsNotMade(t *testing.T) {
	t.Parallel()
	b := start(t, answers(429, "", "Retry-After", "60"))
	_, err := b.mint(t)
	if err == nil || err.RetryAfter != time.Minute || b.calls.Load() != 1 {
		t.Errorf("%d calls, %+v", b.calls.Load(), err)
	}
	b = start(t, answers(429, "", "Retry-After", "5"))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := b.Mint(ctx, vendorclient.RealtimeScribe); err == nil || b.calls.Load() != 1 || len(b.slept) != 0 {
		t.Errorf("beyond the deadline: %d calls, waits %v", b.calls.Load(), b.slept)
	}
}

func TestAPassingErrorPasses(t *testing.T) {
	t.Parallel()
	var b *bench
	b = start(t, func(w http.ResponseWriter, r *http.Request) {
		if b.calls.Load() < 3 {
			answers(503, "")(w, r)
			return
		}
		answers(200, `{"token":"t"}`)(w, r)
	})
	if token, err := b.mint(t); err != nil || token.Value.Reveal() != "t" {
		t.Errorf("error = %v", err)
	}
}

func TestABodyIsBoundedAfterItIsUnpacked(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, `{"token":"t","x":"`+strings.Repeat("x", 10<<20)+`"}`)
	_ = z.Close()
	if packed.Len() > 64<<10 {
		t.Fatalf("the packed body has %d bytes", packed.Len())
	}
	b := start(t, answers(200, packed.String(), "Content-Encoding", "gzip"))
	if _, err := b.mint(t); err == nil || err.Kind != vendorclient.KindBodyTooLarge {
		t.Errorf("error = %v", err)
	}
}

func TestNoRedirectIsFollowedWithTheKey(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		b := start(t, answers(status, "", "Location", other.URL))
		if _, err := b.mint(t); err == nil || err.Kind != vendorclient.KindRedirected {
			t.Errorf("%d: %v", status, err)
		}
	}
	if reached.Load() {
		t.Error("the other host was called")
	}
}

func TestSwitchedProtocolsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	b := start(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: odd\r\nConnection: Upgrade\r\n\r\n")
		// It says nothing more and stays.
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}, func(c *vendorclient.Config) { c.Concurrency = 1 })
	for range 3 {
		if _, err := b.mint(t); err == nil || err.Kind != vendorclient.KindUnexpectedStatus || err.Status != 101 {
			t.Errorf("error = %v", err)
		}
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	b := start(t, answers(200, `{"token":"t"}`))
	for range 20 {
		b.mint(t)
	}
	if got := b.conns.Load(); got != 1 {
		t.Errorf("%d connections for 20 calls in a row", got)
	}
}

func TestCallsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	b := start(t, func(w http.ResponseWriter, r *http.Request) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(5 * time.Millisecond)
		now.Add(-1)
		answers(200, `{"token":"t"}`)(w, r)
	}, func(c *vendorclient.Config) { c.Concurrency = 2 })
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { b.mint(t) })
	}
	group.Wait()
	if most.Load() > 2 || b.calls.Load() != 20 {
		t.Errorf("%d calls, %d of them at once", b.calls.Load(), most.Load())
	}
}

func TestAFullQueueIsToldAtOnce(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	b := start(t, func(w http.ResponseWriter, r *http.Request) {
		<-gate
		answers(200, `{"token":"t"}`)(w, r)
	}, func(c *vendorclient.Config) { c.Concurrency = 1 })
	var full atomic.Int32
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if _, err := b.mint(t); err != nil && err.Kind == vendorclient.KindQueueFull && !err.MayHaveMinted {
				if full.Add(1) == 35 {
					close(gate)
				}
			}
		})
	}
	group.Wait()
	if full.Load() != 35 {
		t.Errorf("%d of 100 were turned away, want 35 beyond 1 at work and 64 waiting", full.Load())
	}
}

func TestAVendorThatHangsIsATimeoutAndThenOpensTheBreaker(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	b := start(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-gate:
		case <-r.Context().Done():
		}
	}, func(c *vendorclient.Config) { c.Timeout = 20 * time.Millisecond })
	defer close(gate)
	_, err := b.mint(t)
	if err == nil || err.Kind != vendorclient.KindTimeout || !err.MayHaveMinted {
		t.Fatalf("error = %+v", err)
	}
	b.mint(t)
	calls := b.calls.Load()
	_, err = b.mint(t)
	if err == nil || err.Kind != vendorclient.KindBreakerOpen || err.RetryAfter <= 0 || err.MayHaveMinted || b.calls.Load() != calls {
		t.Errorf("after %d failures: %+v, %d more calls", calls, err, b.calls.Load()-calls)
	}
}

func TestNobodyPausesForAnAttemptThatAnOpenBreakerWouldNotLetThrough(t *testing.T) {
	t.Parallel()
	b := start(t, answers(500, ""))
	b.mint(t)
	_, err := b.mint(t) // its second attempt is the fifth failure in a row
	if err == nil || err.Kind != vendorclient.KindServerError || err.RetryAfter <= time.Second {
		t.Errorf("error = %+v", err)
	}
	if calls, slept := b.calls.Load(), len(b.slept); calls != 5 || slept != 3 {
		t.Errorf("%d calls and %d pauses", calls, slept)
	}
}

func TestTheBreakerClosesWhenTheVendorIsBack(t *testing.T) {
	t.Parallel()
	var works atomic.Bool
	b := start(t, func(w http.ResponseWriter, r *http.Request) {
		if works.Load() {
			answers(200, `{"token":"t"}`)(w, r)
			return
		}
		answers(500, "")(w, r)
	})
	b.mint(t)
	b.mint(t)
	works.Store(true)
	deadline := time.Now().Add(20 * time.Second)
	for {
		if _, err := b.mint(t); err == nil {
			return
		} else if err.Kind != vendorclient.KindBreakerOpen {
			t.Fatalf("error = %v", err)
		}
		if time.Now().After(deadline) {
			t.Fatal("it stays open")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestRefusalsAndCallersWhoGiveUpDoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	b := start(t, answers(401, ""))
	for range 20 {
		if _, err := b.mint(t); err == nil || err.Kind != vendorclient.KindKeyInvalid {
			t.Fatalf("error = %v", err)
		}
	}
	arrived := make(chan struct{}, 1)
	b = start(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case arrived <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	})
	for range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		if _, err := b.Mint(ctx, vendorclient.RealtimeScribe); !errors.Is(err, context.Canceled) {
			t.Fatalf("error = %v, want context.Canceled", err)
		}
	}
}

func TestAnEndBeforeSendingCannotHaveMinted(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	b := start(t, answers(200, ""), func(c *vendorclient.Config) { c.BaseURL = &url.URL{Scheme: "http", Host: address} })
	if _, err := b.mint(t); err == nil || err.Kind != vendorclient.KindUnreachable || err.MayHaveMinted {
		t.Errorf("nobody there: %+v", err)
	}
	b = start(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		_ = conn.Close()
	})
	if _, err := b.mint(t); err == nil || err.Kind != vendorclient.KindUnreachable || !err.MayHaveMinted {
		t.Errorf("broken after sending: %+v", err)
	}
}

func TestWhatTheVendorSaysOfARefusedAddressIsKeptWhereItIsHarmless(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"Not from 203.0.113.7.":                   "Not from 203.0.113.7.",
		"Not with " + apiKey + ".":                "",
		"Not with " + apiKey[4:12] + ".":          "",
		"Not with sk_another.":                    "",
		`A bell \u0007 and \u001b[31mred`:         "",
		`In an odd direction: \u202e`:             "",
		"At length: " + strings.Repeat("x ", 100): "",
	} {
		b := start(t, answers(403, `{"detail":{"status":"forbidden","message":"`+said+`"}}`))
		_, err := b.mint(t)
		if err == nil || err.Kind != vendorclient.KindAddressRefused || err.Said != want || strings.Contains(err.Error(), "Not") {
			t.Errorf("%q: %+v", said, err)
		}
	}
	b := start(t, answers(401, `{"detail":{"status":"invalid_api_key","message":"Not this one."}}`))
	if _, err := b.mint(t); err == nil || err.Said != "" {
		t.Errorf("of anything else: %+v", err)
	}
}

func TestAPermissionThatIsAPartOfTheKeyIsLeftOut(t *testing.T) {
	t.Parallel()
	b := start(t, answers(401, `{"detail":{"status":"missing_permissions","message":"lacks the permission the_whole_key_in_letters to do this"}}`), func(c *vendorclient.Config) {
		c.Keys = newRing(t, nil, "sk_the_whole_key_in_letters")
	})
	if _, err := b.mint(t); err == nil || err.Kind != vendorclient.KindScopeMissing || err.Permission != "" {
		t.Errorf("error = %+v", err)
	}
}

func TestAnIDThatIsASecretIsLeftOut(t *testing.T) {
	t.Parallel()
	for _, id := range []string{apiKey, apiKey[:12], apiKey[8:], "x" + apiKey[3:15] + "x", "sk_0123456789abcdef0123456789abcdef", "sutkn_0123456789"} {
		b := start(t, answers(403, `{"detail":{"status":"forbidden","request_id":"`+id+`"}}`, "X-Trace-Id", id, "X-Request-Id", "plain-id"))
		if _, err := b.mint(t); err == nil || err.RequestID != "plain-id" {
			t.Errorf("error = %v", err)
		}
		b.mu.Lock()
		if strings.Contains(b.log.String(), id) {
			t.Errorf("the log holds %s", id)
		}
		b.mu.Unlock()
	}
}

func TestAVendorThatAsksForYearsIsTakenForADay(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string][]string{
		"a date":                       {"Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"},
		"seconds":                      {"Retry-After", "2000000000"},
		"a Unix time in a limit's end": {"X-RateLimit-Reset", "4000000000"},
	} {
		b := start(t, answers(429, `{"detail":{"status":"system_busy"}}`, headers...))
		if _, err := b.mint(t); err == nil || err.RetryAfter != 24*time.Hour {
			t.Errorf("%s: %v, retry after %v", name, err, err.RetryAfter)
		}
	}
}

func TestTheKeyIsInNoErrorAndNoLog(t *testing.T) {
	t.Parallel()
	leak := fmt.Sprintf(`{"detail":{"status":"invalid_api_key","message":"key %s","code":"%s","request_id":"%s !"}}`, apiKey, apiKey, apiKey)
	for _, status := range []int{200, 302, 400, 401, 403, 404, 408, 422, 429, 500} {
		b := start(t, answers(status, leak, "X-Trace-Id", "with "+apiKey, "Location", "https://"+apiKey))
		_, err := b.mint(t)
		for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), b.log.String()} {
			if strings.Contains(text, apiKey) {
				t.Errorf("%d: %s", status, text)
			}
		}
		if b.log.Len() == 0 {
			t.Error("nothing was logged")
		}
	}
}

func TestNewRefusesWhatCannotBeSafe(t *testing.T) {
	t.Parallel()
	parse := func(text string) *url.URL {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	good := vendorclient.Config{
		BaseURL: parse("https://vendor.example/"), Keys: newRing(t, nil, apiKey), Timeout: time.Second, Concurrency: 1,
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	c, err := vendorclient.New(good)
	if err != nil || c.BaseURL() != "https://vendor.example" || c.WebSocketBaseURL() != "wss://vendor.example" {
		t.Fatalf("%v", err)
	}
	for name, amend := range map[string]func(*vendorclient.Config){
		"plain http":           func(c *vendorclient.Config) { c.BaseURL = parse("http://vendor.example") },
		"a name like loopback": func(c *vendorclient.Config) { c.BaseURL = parse("http://127.0.0.1.evil.example") },
		"a user":               func(c *vendorclient.Config) { c.BaseURL = parse("https://u:p@vendor.example") },
		"a query":              func(c *vendorclient.Config) { c.BaseURL = parse("https://vendor.example?q") },
		"no host":              func(c *vendorclient.Config) { c.BaseURL = parse("https:///x") },
		"no ring":              func(c *vendorclient.Config) { c.Keys = nil },
		"no timeout":           func(c *vendorclient.Config) { c.Timeout = 0 },
	} {
		bad := good
		amend(&bad)
		if _, err := vendorclient.New(bad); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
