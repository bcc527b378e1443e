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

// The operations, as errors name them.
const (
	operationMint              = "mint"
	operationSignedURL         = "signed_url"
	operationConversationToken = "conversation_token"
)

// maxBody bounds an answer after decompression.
const maxBody = 64 << 10

// order is one thing to be made by the vendor.
type order struct {
	operation    string
	purpose      purpose
	method, path string // with the query
	// read finds what was made in the body of a success, and says false where it
	// is not there or not to be handed out.
	read func(body []byte) (Credential, bool)
}

// Mint has the vendor make one token. Where it refuses a key, the next key is
// tried at once. Calls that end in a passing error are made again, a few times,
// with growing random pauses or what the vendor asks for, as long as ctx leaves
// time. A token that an unclear end may have left behind is nobody's.
//
// An error is an *Error, or ctx's own where the caller gave up.
func (c *Client) Mint(ctx context.Context, t TokenType) (Token, error) {
	made, err := c.obtain(ctx, order{
		operation: operationMint, purpose: purpose(t), method: http.MethodPost, path: "/v1/single-use-token/" + string(t), read: readToken,
	})
	if err != nil {
		return Token{}, err
	}
	return Token{Value: made.Value, Type: t, RequestedAt: made.RequestedAt, Key: made.Key}, nil
}

// obtain has the vendor make what o asks for, as Mint says.
func (c *Client) obtain(ctx context.Context, o order) (Credential, error) {
	var failed *Error
	var tried []*Key // that were refused, or tried in vain whether they work again
	for attempt := 1; ; {
		t, refused := c.cfg.Keys.next(o, tried)
		switch {
		case refused != nil && failed == nil:
			return Credential{}, c.notCalled(refused)
		case refused != nil:
			if failed.Kind.Refused() {
				failed.RetryAfter = refused.RetryAfter
			}
			return Credential{}, failed
		}
		made, err := c.obtainWith(ctx, o, t)
		if err == nil {
			return made, nil
		}
		err.MayHaveMinted = err.MayHaveMinted || failed != nil && failed.MayHaveMinted
		failed = err
		c.cfg.Log.DebugContext(ctx, "a vendor call failed", "error", err.Error(), "attempt", attempt)
		if errors.Is(ctx.Err(), context.Canceled) {
			return Credential{}, ctx.Err()
		}
		if err.Kind.Refused() || t.trial != nil {
			tried = append(tried, t.key)
			continue
		}
		pause := err.RetryAfter + backoff(attempt)
		if remaining := c.breaker.RemainingDelay(); remaining > pause {
			// The next attempt would not be made, and others may wait on this one.
			err.RetryAfter = max(err.RetryAfter, remaining)
			return Credential{}, err
		}
		if attempt == maxAttempts || !(err.Kind.busy() || err.Kind.down()) || !leavesTime(ctx, pause) {
			return Credential{}, err
		}
		if c.cfg.Sleep(ctx, pause) != nil {
			return Credential{}, err
		}
		attempt++
	}
}

// obtainWith makes one call with the key of a turn, and has the ring know how it
// ended.
func (c *Client) obtainWith(ctx context.Context, o order, t turn) (made Credential, err *Error) {
	err = &Error{Operation: o.operation, Kind: KindUnreachable} // where it panics
	defer func() { c.cfg.Keys.note(t, o, err) }()
	made, err = c.obtainOnce(ctx, o, t.key)
	made.Key = t.key
	return made, err
}

// leavesTime reports whether ctx lives on after pause. A pause that no caller
// would wait for is not made, even where ctx has no end.
func leavesTime(ctx context.Context, pause time.Duration) bool {
	const longest = 10 * time.Second
	deadline, bounded := ctx.Deadline()
	return pause <= longest && (!bounded || time.Until(deadline) > pause)
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

// obtainOnce makes one call, when it is its turn.
func (c *Client) obtainOnce(ctx context.Context, o order, key *Key) (Credential, *Error) {
	// While it is open nobody queues: who waits behind a vendor that is away
	// waits for nothing.
	if remaining := c.breaker.RemainingDelay(); remaining > 0 {
		return Credential{}, c.notCalled(o.breakerOpen(remaining))
	}
	free, err := c.turn(ctx, o)
	if err != nil {
		return Credential{}, c.notCalled(err)
	}
	defer free()
	if !c.breaker.TryAcquirePermit() {
		return Credential{}, c.notCalled(o.breakerOpen(c.breaker.RemainingDelay()))
	}
	made, err := c.observedCall(ctx, o, key)
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
	return made, err
}

func (o order) breakerOpen(remaining time.Duration) *Error {
	return &Error{Operation: o.operation, Kind: KindBreakerOpen, RetryAfter: remaining}
}

// turn waits for one of the slots, in a bounded queue.
func (c *Client) turn(ctx context.Context, o order) (free func(), _ *Error) {
	select {
	case c.queue <- struct{}{}:
	default:
		return nil, &Error{Operation: o.operation, Kind: KindQueueFull}
	}
	select {
	case c.slots <- struct{}{}:
		return func() { <-c.slots; <-c.queue }, nil
	case <-ctx.Done():
		<-c.queue
		return nil, &Error{Operation: o.operation, Kind: KindTimeout}
	}
}

func (c *Client) call(ctx context.Context, o order, key *Key) (Credential, *Error) {
	var sent atomic.Bool
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { sent.Store(true) },
	})
	request, err := c.request(ctx, key, o.method, o.path)
	if err != nil {
		return Credential{}, &Error{Operation: o.operation, Kind: KindUnreachable}
	}

	requestedAt := c.cfg.Now()
	answer, err := c.cfg.Transport.RoundTrip(request)
	if err != nil {
		return Credential{}, o.broken(ctx, sent.Load())
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusSwitchingProtocols {
		// Its body is the bare connection, which no time-out ends.
		return Credential{}, c.classify(o.operation, key, answer, nil)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody+1))
	switch {
	case answer.StatusCode != http.StatusOK:
		return Credential{}, c.classify(o.operation, key, answer, body)
	case err != nil:
		return Credential{}, o.broken(ctx, true)
	case len(body) > maxBody:
		return Credential{}, &Error{Operation: o.operation, Kind: KindBodyTooLarge, Status: answer.StatusCode, MayHaveMinted: true}
	}
	made, ok := o.read(body)
	if !ok {
		return Credential{}, &Error{Operation: o.operation, Kind: KindNoToken, Status: answer.StatusCode, MayHaveMinted: true}
	}
	made.RequestedAt = requestedAt
	return made, nil
}

// request is one to the vendor, with the key.
func (c *Client) request(ctx context.Context, key *Key, method, path string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	// As net/http writes these names; it would have to find that out each time.
	values := [...]string{key.value.Reveal(), "application/json", c.cfg.UserAgent, "no-store"}
	request.Header = http.Header{
		"Xi-Api-Key": values[0:1:1], "Accept": values[1:2:2], "User-Agent": values[2:3:3], "Cache-Control": values[3:],
	}
	return request, nil
}

// broken is a call without a whole answer.
func (o order) broken(ctx context.Context, sent bool) *Error {
	e := &Error{Operation: o.operation, Kind: KindUnreachable, MayHaveMinted: sent}
	if ctx.Err() != nil {
		e.Kind = KindTimeout
	}
	return e
}

// readToken reads {"token":"…"}.
func readToken(body []byte) (Credential, bool) {
	value, ok := plainToken(body)
	if !ok {
		value, ok = member(body, "token")
	}
	return Credential{Value: secret.New(value)}, ok
}

// plainToken reads it as the vendor writes it, of letters, digits and "_" alone,
// where there is nothing to decode. What looks otherwise is for member to judge.
func plainToken(body []byte) (value string, ok bool) {
	text, ok := bytes.CutPrefix(bytes.Trim(body, " \t\r\n"), []byte(`{"token":"`))
	if ok {
		text, ok = bytes.CutSuffix(text, []byte(`"}`))
	}
	for _, c := range text {
		ok = ok && (c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z')
	}
	return string(text), ok && usable(string(text))
}

// member is a usable text in an object with nothing after it, its name spelt
// exactly.
func member(body []byte, name string) (value string, ok bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return "", false
	}
	raw, there := members[name]
	if !there || bytes.Equal(raw, []byte("null")) || json.Unmarshal(raw, &value) != nil || !usable(value) {
		return "", false
	}
	return value, true
}
