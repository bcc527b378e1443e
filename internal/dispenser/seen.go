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

// first reports whether the token was never given before, as far as this
// process and, where it can be reached, Redis know.
func (s *seenTokens) first(ctx context.Context, token secret.Text) bool {
	hash := s.hasher.Sum("token", token.Reveal())
	if _, isNew := s.here.SetIfAbsent(hash, struct{}{}); !isNew {
		return false
	}
	isNew, err := s.store.remember(ctx, hash)
	return isNew || err != nil
}
