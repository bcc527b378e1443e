package dispenser

import (
	"context"
	"fmt"

	"farebox/internal/identity"
	"farebox/internal/secret"

	"github.com/maypok86/otter/v2"
)

// seenTokens remembers, as keyed hashes and for a token's lifetime, what the
// vendor gave: in this process, and in Redis for all replicas.
type seenTokens struct {
	hasher *identity.Hasher
	here   *otter.Cache[string, struct{}]
	store  *store
}

// mostSeen bounds the memory at about a hundred bytes each.
const mostSeen = 100_000

func newSeenTokens(cfg Config, st *store) (*seenTokens, error) {
	here, err := otter.New(&otter.Options[string, struct{}]{
		MaximumSize:      mostSeen,
		ExpiryCalculator: otter.ExpiryCreating[string, struct{}](cfg.TokenLifetime),
	})
	if err != nil {
		return nil, fmt.Errorf("dispenser: tokens seen: %w", err)
	}
	return &seenTokens{hasher: cfg.Hasher, here: here, store: st}, nil
}

// hashes are the token's under every secret, so that one that was seen before a
// rotation is known after it.
func (s *seenTokens) hashes(token secret.Text) []string {
	return s.hasher.Sums("token", token.Reveal())
}

// firstHere reports whether this process sees the token for the first time.
func (s *seenTokens) firstHere(token secret.Text) bool {
	_, isNew := s.here.SetIfAbsent(s.hashes(token)[0], struct{}{})
	return isNew
}

// firstAnywhere reports whether no replica has seen the token yet, as far as
// Redis can be asked.
func (s *seenTokens) firstAnywhere(ctx context.Context, token secret.Text) bool {
	isNew, err := s.store.remember(ctx, s.hashes(token))
	return isNew || err != nil
}
