package dispenser

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"farebox/internal/limit"
	"farebox/internal/secret"
	vendorclient "farebox/vendor_client"
)

// Request is one verified and allowed caller's wish for a credential.
type Request struct {
	Issuer, Subject string // who asks; only hashes of them reach Redis
	// SessionID, TokenID (jti) and IssuedAt are what the session may have been
	// ended by; the zero value where it has none.
	SessionID, TokenID string
	IssuedAt           time.Time
	Memo               *Memo // of the session; nil where none is kept
	// Type is of the single-use token that is asked for; Bespoke is what is asked
	// for in its place, nil where it is such a token.
	Type    vendorclient.TokenType
	Bespoke *Bespoke
	Limits  limit.Limits
	// IdempotencyKey names the attempt within the caller; "" for none.
	IdempotencyKey string
	// Fingerprint is what must be the same for the key to give the same
	// answer: method, path and query.
	Fingerprint string
}

// Source is where a credential came from.
type Source string

// The sources.
const (
	SourcePool   Source = "pool"
	SourceMint   Source = "mint"
	SourceReplay Source = "replay"
)

// Sources are all sources.
func Sources() []string {
	return []string{string(SourcePool), string(SourceMint), string(SourceReplay)}
}

// Grant is a credential handed out.
type Grant struct {
	Token secret.Text            // or what else was asked for
	Type  vendorclient.TokenType // "" for what is bespoke
	// ConversationID is of an agent's conversation, where the vendor tells it.
	ConversationID string
	ExpiresAt      time.Time // by this machine's clock
	Source         Source
	Limits         []limit.State // what is left of the caller's limits; empty for a replay, which costs none

	key *vendorclient.Key // it was made with; nil where that is not known
}

var (
	// ErrKeyReused is another path or query under the same idempotency key.
	ErrKeyReused = errors.New("the idempotency key stands for another request")
	// ErrSessionEnded is a session that was ended early.
	ErrSessionEnded = errors.New("the session was ended")
	// ErrRevocationsUnknown is a session of which cannot be told whether it was
	// ended, where that is asked for.
	ErrRevocationsUnknown = errors.New("whether the session was ended cannot be told without redis")
	// ErrInProgress is an attempt that is still being made when the caller's
	// time is up; its answer will be kept for the next try.
	ErrInProgress = errors.New("the attempt is still being made")
	// ErrRepeatedToken is a vendor that gives the same token again and again.
	ErrRepeatedToken = errors.New("the vendor repeats its tokens")

	// errClaimLost is an attempt whose claim was taken over: its token is
	// thrown away, and whoever holds the claim is followed.
	errClaimLost = errors.New("the claim was lost")
)

// LimitError is a request over a limit. Nothing was charged.
type LimitError struct {
	Limit      limit.Name
	RetryAfter time.Duration
	States     []limit.State // of the caller's own limits
}

func (e *LimitError) Error() string { return fmt.Sprintf("over the limit %s", e.Limit) }

func newLimitError(name limit.Name, states []limit.State) *LimitError {
	e := &LimitError{Limit: name}
	for _, state := range states {
		if state.Name == name {
			e.RetryAfter = state.Reset
		}
		if state.Name != limit.Global {
			e.States = append(e.States, state)
		}
	}
	return e
}

// attempt is a Request as the store knows it.
type attempt struct {
	Request
	*caller
	keys        []string // the idempotency key's hashes, one a secret; nil without one
	fingerprint string
	claim       string // this request's own claim id; "" without a key
	waitingOn   string // the claim id of who is at it already
	useless     string // the kept answer that cannot be used; "" for none
	unsure      bool   // the last claim may have been made, though no answer came
	// unfinished is what could not be done with the claim for want of Redis.
	unfinished func(context.Context) error
	pooled     string // what came out of the pool and stands under the key as it is; "" for nothing
}

func (a *attempt) keyed() bool { return a.claim != "" }

func (d *Dispenser) newAttempt(req Request) *attempt {
	a := &attempt{Request: req, caller: d.callerOf(&req)}
	if req.IdempotencyKey != "" {
		a.keys = d.cfg.Hasher.Sums("attempt", req.Issuer, req.Subject, req.IdempotencyKey)
		sum := sha256.Sum256([]byte(req.Fingerprint))
		a.fingerprint = base64.RawURLEncoding.EncodeToString(sum[:16])
		a.claim = randomID()
	}
	return a
}

func randomID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// How often a waiting request asks again.
const (
	pollFirst = 10 * time.Millisecond
	pollLast  = 100 * time.Millisecond
)

// wait pauses for about d and returns the next pause.
func wait(ctx context.Context, d time.Duration) (time.Duration, error) {
	timer := time.NewTimer(d/2 + mathrand.N(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return min(d*3/2, pollLast), nil
	case <-ctx.Done():
		return 0, inProgress(ctx)
	}
}

// inProgress tells a caller whose time is up from one who hung up.
func inProgress(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ErrInProgress
	}
	return ctx.Err()
}
