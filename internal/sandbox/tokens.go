package sandbox

import (
	"crypto/rand"
	"sync"
	"time"
)

const (
	// mostTokens bounds the memory; the oldest go first.
	mostTokens = 100_000
	// keepExpired is how long an expired token is still counted as one.
	keepExpired = time.Hour
)

func tokenTypes() []string { return []string{"realtime_scribe", "batch_scribe", "tts_websocket"} }

// tokens are those that were minted and have not been forgotten. Each works
// once, for its own type, until it expires. A try for another type is refused
// and leaves it as it is.
type tokens struct {
	now func() time.Time

	mu       sync.Mutex
	lifetime time.Duration
	byValue  map[string]*token
	order    []string          // values, oldest first
	last     map[string]string // the last value of each type
}

type token struct {
	tokenType string
	expires   time.Time
	used      bool
}

func newTokens(lifetime time.Duration, now func() time.Time) *tokens {
	return &tokens{now: now, lifetime: lifetime, byValue: map[string]*token{}, last: map[string]string{}}
}

// mint makes a token, or repeats the last of its type where it is told to and
// there is one.
func (t *tokens) mint(tokenType string, repeat bool) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last := t.last[tokenType]; repeat && last != "" {
		return last
	}
	now := t.now()
	t.forget(now)
	value := "sutkn_sandbox_" + rand.Text()
	t.byValue[value] = &token{tokenType: tokenType, expires: now.Add(t.lifetime)}
	t.order = append(t.order, value)
	t.last[tokenType] = value
	return value
}

// forget drops the oldest tokens where they are long expired or too many.
func (t *tokens) forget(now time.Time) {
	for len(t.order) > 0 {
		oldest := t.order[0]
		if len(t.order) < mostTokens && now.Before(t.byValue[oldest].expires.Add(keepExpired)) {
			return
		}
		delete(t.byValue, oldest)
		t.order = t.order[1:]
	}
}

// redeem uses a token up. Of any number of tries at once, one succeeds.
func (t *tokens) redeem(value, tokenType string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	found := t.byValue[value]
	if found == nil || found.used || found.tokenType != tokenType || !t.now().Before(found.expires) {
		return false
	}
	found.used = true
	return true
}

// setLifetime is for the tokens that are minted from now on.
func (t *tokens) setLifetime(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lifetime = d
}

// count tells how many are fresh, used and expired.
func (t *tokens) count() (lifetime time.Duration, fresh, used, expired int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for _, token := range t.byValue {
		switch {
		case token.used:
			used++
		case now.Before(token.expires):
			fresh++
		default:
			expired++
		}
	}
	return t.lifetime, fresh, used, expired
}
