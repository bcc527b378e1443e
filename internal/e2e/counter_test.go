//go:build real

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/health"
	"farebox/internal/history"
	"farebox/internal/identity"
	"farebox/internal/policy"
	"farebox/internal/redisconn"
	"farebox/internal/revocation"
	"farebox/internal/secret"
	"farebox/internal/shard"
	vendorclient "farebox/vendor_client"
)

// wish is what a caller asks for.
type wish struct{ caller, key, tokenType string }

func (w wish) path() string { return "/v1/single-use-token/" + w.tokenType }

// counter is a replica as its callers see it.
type counter interface {
	// ask returns a token with its source and the life that it is said to have,
	// or the code of a refusal; errLost where no answer came.
	ask(ctx context.Context, w wish) (o history.HandOut, code string, err error)
	// report is the state that the replica shows.
	report() (health.Report, error)
	// redisFailures is how many calls to Redis have failed.
	redisFailures() int
}

// ready reports whether a replica says that all is well.
func ready(c counter) bool {
	report, err := c.report()
	return err == nil && report.Status == health.Ready
}

// redisFailed is what a replica logs where a call to Redis has failed.
const redisFailed = "a call to redis failed"

// errLost is an answer that did not come, or says that it is still to come.
var errLost = errors.New("the answer is lost")

// askInto asks and writes the answer down, or errLost where none came.
func askInto(ctx context.Context, written *history.History, c counter, w wish) error {
	asked := time.Now()
	o, code, err := c.ask(ctx, w)
	switch {
	case err != nil:
		written.Refuse("lost")
	case code != "":
		written.Refuse(code)
	default:
		o.Caller, o.Key, o.Type, o.Asked, o.Got = w.caller, w.key, w.tokenType, asked, time.Now()
		written.HandOut(o)
	}
	return err
}

// front is a serve process that can be killed and started anew.
type front struct {
	h      *house
	env    []string
	client *http.Client

	mu      sync.Mutex
	replica *replica
}

func (h *house) front(client *http.Client, env ...string) *front {
	h.t.Helper()
	return &front{h: h, env: env, client: client, replica: h.serve(env...)}
}

// kill ends the process by signal 9 and starts another.
func (f *front) kill() {
	f.h.t.Helper()
	f.current().signal(syscall.SIGKILL)
	f.current().wait()
	next := f.h.serve(f.env...)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replica = next
}

func (f *front) current() *replica {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.replica
}

func (f *front) ask(ctx context.Context, w wish) (o history.HandOut, code string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.current().url+w.path(), nil)
	if err != nil {
		return o, "", err
	}
	r.Header.Set("Authorization", "Bearer "+f.h.session(w.caller, nil))
	if w.key != "" {
		r.Header.Set("Idempotency-Key", w.key)
	}
	var body struct {
		Token     string `json:"token"`
		ExpiresIn int64  `json:"expires_in"`
		Code      string `json:"code"`
	}
	header, err := f.roundTrip(r, &body)
	switch {
	case err != nil || body.Code == "request_in_progress":
		return o, "", errLost
	case body.Code != "":
		return o, body.Code, nil
	}
	o = history.HandOut{Token: body.Token, Source: history.Fresh, Life: time.Duration(body.ExpiresIn) * time.Second}
	if header.Get("Idempotent-Replayed") != "" {
		o.Source = history.Replay
	}
	return o, "", nil
}

func (f *front) report() (report health.Report, err error) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, f.current().ops+"/readyz", nil)
	if err == nil {
		_, err = f.roundTrip(r, &report)
	}
	return report, err
}

func (f *front) redisFailures() int { return strings.Count(f.current().text(), redisFailed) }

func (f *front) roundTrip(r *http.Request, into any) (http.Header, error) {
	response, err := f.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	return response.Header, json.Unmarshal(data, into)
}

// twin is a replica in this process, with a clock of its own.
type twin struct {
	dispenser *dispenser.Dispenser
	board     *health.Board
	policy    *policy.Policy
	now       func() time.Time
	failures  atomic.Int64
}

// twin opens a replica as serve does, at another Redis address and with a clock
// that is ahead. It ends with the test.
func (h *house) twin(t *testing.T, redisURL string, ahead time.Duration, pool dispenser.Pool, times lifetimes) *twin {
	t.Helper()
	now := func() time.Time { return time.Now().Add(ahead) }
	w := &twin{now: now}
	log := slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.board = health.NewBoard(now, log)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	base, err := url.Parse(h.sandbox)
	must(err)
	keys, err := vendorclient.NewRing(vendorclient.RingConfig{Keys: []secret.Text{secret.New(testAPIKey)}, Host: base.Host, Now: now, Log: log})
	must(err)
	vendor, err := vendorclient.New(vendorclient.Config{
		BaseURL: base, Keys: keys, Timeout: times.mint, Concurrency: 8, Now: now, Log: log,
	})
	must(err)
	conn, err := redisconn.Open(redisconn.Config{URL: secret.New(redisURL)})
	must(err)
	shards, err := shard.New(shard.Config{Redis: conn, Prefix: "farebox", State: w.board.Lamp("redis", false), Log: log})
	must(err)
	secrets := []secret.Text{secret.New(deploymentSecret)}
	hasher, err := identity.NewHasher(secrets)
	must(err)
	revocations, err := revocation.New(revocation.Config{Shards: shards, Hasher: hasher, Lifetime: time.Hour, Now: now, Log: log})
	must(err)
	w.dispenser, err = dispenser.New(dispenser.Config{
		Vendor: vendor, VendorHost: base.Host, Keys: keys, Shards: shards, Revocations: revocations,
		Secrets: secrets, Hasher: hasher, TokenLifetime: times.token, ReplayWindow: times.replay,
		RequestTimeout: times.request, MintTimeout: times.mint, Pool: pool, MintConcurrency: 8,
		VendorState: w.board.Lamp("vendor", false), PoolState: w.board.Lamp("pool", false), Now: now, Log: log,
	})
	must(err)
	w.policy = policy.Default(vendorclient.TokenTypeNames()...)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.dispenser.Run(ctx) })
	running.Go(func() { revocations.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
		must(w.dispenser.Close(context.Background()))
		_ = conn.Close()
		vendor.Close()
	})
	return w
}

// lifetimes are the settings of time.
type lifetimes struct{ token, replay, request, mint time.Duration }

func (l lifetimes) env(pool dispenser.Pool) []string {
	return []string{
		fmt.Sprint("FAREBOX_TOKEN_LIFETIME=", l.token), fmt.Sprint("FAREBOX_REPLAY_WINDOW=", l.replay),
		fmt.Sprint("FAREBOX_REQUEST_TIMEOUT=", l.request), fmt.Sprint("FAREBOX_MINT_TIMEOUT=", l.mint),
		fmt.Sprint("FAREBOX_POOL_MIN=", pool.Min), fmt.Sprint("FAREBOX_POOL_MAX=", pool.Max), fmt.Sprint("FAREBOX_POOL_MAX_AGE=", pool.MaxAge),
	}
}

func (w *twin) ask(ctx context.Context, wish wish) (o history.HandOut, code string, err error) {
	decision, err := w.policy.DecideToken(policy.Caller{Issuer: testIssuer, Subject: wish.caller}, wish.tokenType)
	if err != nil {
		return o, "", err
	}
	g, err := w.dispenser.Dispense(ctx, dispenser.Request{
		Issuer: testIssuer, Subject: wish.caller, Type: vendorclient.TokenType(wish.tokenType), Limits: decision.Limits,
		IdempotencyKey: wish.key, Fingerprint: "POST " + wish.path() + "?",
	})
	var vendorError *vendorclient.Error
	var over *dispenser.LimitError
	switch {
	case err == nil:
		return history.HandOut{Token: g.Token.Reveal(), Source: history.Source(g.Source), Life: g.ExpiresAt.Sub(w.now())}, "", nil
	case errors.Is(err, dispenser.ErrInProgress), ctx.Err() != nil:
		return o, "", errLost
	case errors.As(err, &over):
		return o, "rate_limited", nil
	case errors.As(err, &vendorError):
		return o, "vendor: " + string(vendorError.Kind), nil
	default:
		return o, err.Error(), nil
	}
}

func (w *twin) report() (health.Report, error) { return w.board.Report(), nil }
func (w *twin) redisFailures() int             { return int(w.failures.Load()) }

// Write implements io.Writer for the twin's log, of which it counts the calls to
// Redis that failed.
func (w *twin) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(redisFailed)) {
		w.failures.Add(1)
	}
	return len(line), nil
}
