package vendorclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"farebox/internal/secret"
)

const (
	operationMint = "mint"
	// maxBody bounds an answer after decompression.
	maxBody = 64 << 10
)

// Mint has the vendor make one token. Calls that end in a passing error are
// made again, a few times, with growing random pauses or what the vendor asks
// for, as long as ctx leaves time. A token that an unclear end may have left
// behind is nobody's.
//
// An error is an *Error, or ctx's own where the caller gave up.
func (c *Client) Mint(ctx context.Context, t TokenType) (Token, error) {
	mayHaveMinted := false
	for attempt := 1; ; attempt++ {
		token, err := c.mintOnce(ctx, t)
		if err == nil {
			return token, nil
		}
		mayHaveMinted = mayHaveMinted || err.MayHaveMinted
		err.MayHaveMinted = mayHaveMinted
		c.log(ctx, err, attempt)
		if errors.Is(ctx.Err(), context.Canceled) {
			return Token{}, ctx.Err()
		}
		pause := err.RetryAfter + backoff(attempt)
		if attempt == maxAttempts || !(err.Kind.busy() || err.Kind.down()) || !leavesTime(ctx, pause) {
			return Token{}, err
		}
		if c.cfg.Sleep(ctx, pause) != nil {
			return Token{}, err
		}
	}
}

// leavesTime reports whether ctx lives on after pause. A pause that no caller
// would wait for is not made, even where ctx has no end.
func leavesTime(ctx context.Context, pause time.Duration) bool {
	const longest = 10 * time.Second
	deadline, bounded := ctx.Deadline()
	return pause <= longest && (!bounded || time.Until(deadline) > pause)
}

func (c *Client) log(ctx context.Context, err *Error, attempt int) {
	if err.Kind.Refused() {
		c.cfg.Log.ErrorContext(ctx, "the vendor refuses this service", "error", err.Error(), "mend", mends[err.Kind])
		return
	}
	c.cfg.Log.DebugContext(ctx, "a vendor call failed", "error", err.Error(), "attempt", attempt)
}

// mends say what operators can do about a refusal.
var mends = map[Kind]string{
	KindKeyInvalid:       "set ELEVENLABS_API_KEY to a key that exists",
	KindKeyIDAsKey:       "set ELEVENLABS_API_KEY to the key itself, not to its id",
	KindScopeMissing:     "give the key the permission that it lacks",
	KindCreditsExhausted: "raise the key's credit quota, or buy credits",
	KindPlanTooLow:       "use a workspace whose plan includes this",
	KindAddressRefused:   "add this server's address to the key's allowed addresses",
}

// mintOnce makes one call, when it is its turn.
func (c *Client) mintOnce(ctx context.Context, t TokenType) (Token, *Error) {
	// While it is open nobody queues: who waits behind a vendor that is away
	// waits for nothing.
	if remaining := c.breaker.RemainingDelay(); c.breaker.IsOpen() && remaining > 0 {
		return Token{}, breakerOpen(remaining)
	}
	free, err := c.turn(ctx)
	if err != nil {
		return Token{}, err
	}
	defer free()
	if !c.breaker.TryAcquirePermit() {
		return Token{}, breakerOpen(c.breaker.RemainingDelay())
	}
	token, err := c.call(ctx, t)
	switch {
	case err == nil || !err.Kind.down():
		c.breaker.RecordSuccess()
	case ctx.Err() == nil:
		c.breaker.RecordFailure()
	case c.breaker.IsHalfOpen():
		// The caller gave up, which says nothing of the vendor, but the trial
		// has to end.
		c.breaker.RecordFailure()
	}
	return token, err
}

func breakerOpen(remaining time.Duration) *Error {
	return &Error{Operation: operationMint, Kind: KindBreakerOpen, RetryAfter: remaining}
}

// turn waits for one of the slots, in a bounded queue.
func (c *Client) turn(ctx context.Context) (free func(), _ *Error) {
	select {
	case c.queue <- struct{}{}:
	default:
		return nil, &Error{Operation: operationMint, Kind: KindQueueFull}
	}
	select {
	case c.slots <- struct{}{}:
		return func() { <-c.slots; <-c.queue }, nil
	case <-ctx.Done():
		<-c.queue
		return nil, &Error{Operation: operationMint, Kind: KindTimeout}
	}
}

func (c *Client) call(ctx context.Context, t TokenType) (Token, *Error) {
	var sent atomic.Bool
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { sent.Store(true) },
	})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/v1/single-use-token/"+string(t), http.NoBody)
	if err != nil {
		return Token{}, &Error{Operation: operationMint, Kind: KindUnreachable}
	}
	request.Header.Set("xi-api-key", c.cfg.APIKey.Reveal())
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Cache-Control", "no-store")
	request.Header.Set("User-Agent", c.cfg.UserAgent)

	requestedAt := c.cfg.Now()
	answer, err := c.http.Do(request)
	if err != nil {
		return Token{}, broken(ctx, sent.Load())
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusSwitchingProtocols {
		// Its body is the bare connection, which no time-out ends.
		return Token{}, c.classify(operationMint, answer, nil)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody+1))
	switch {
	case answer.StatusCode != http.StatusOK:
		return Token{}, c.classify(operationMint, answer, body)
	case err != nil:
		return Token{}, broken(ctx, true)
	case len(body) > maxBody:
		return Token{}, &Error{Operation: operationMint, Kind: KindBodyTooLarge, Status: answer.StatusCode, MayHaveMinted: true}
	}
	value, ok := readToken(body)
	if !ok {
		return Token{}, &Error{Operation: operationMint, Kind: KindNoToken, Status: answer.StatusCode, MayHaveMinted: true}
	}
	return Token{Value: value, Type: t, RequestedAt: requestedAt}, nil
}

// broken is a call without a whole answer.
func broken(ctx context.Context, sent bool) *Error {
	e := &Error{Operation: operationMint, Kind: KindUnreachable, MayHaveMinted: sent}
	if ctx.Err() != nil {
		e.Kind = KindTimeout
	}
	return e
}

// readToken reads {"token":"…"}: one object, nothing after it, and the member
// spelt exactly.
func readToken(body []byte) (secret.Text, bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return secret.Text{}, false
	}
	var value string
	raw, there := members["token"]
	if !there || bytes.Equal(raw, []byte("null")) || json.Unmarshal(raw, &value) != nil || !usable(value) {
		return secret.Text{}, false
	}
	return secret.New(value), true
}
