package dispenser

import (
	"context"
	"fmt"
	"sync"

	"farebox/internal/identity"
	"farebox/internal/secret"
	"farebox/internal/shard"

	"github.com/maypok86/otter/v2"
)

// seenTokens remembers, as keyed hashes and for a token's lifetime, what the
// vendor gave: in this process, and in Redis for all replicas.
type seenTokens struct {
	hasher *identity.Hasher
	here   *otter.Cache[string, struct{}]
	store  *store

	mu sync.Mutex
	// untold are hashes that Redis could not be told of.
	untold []tokenHashes
}

// tokenHashes are a token's hashes under every secret, so that one that was
// seen before a rotation is known after it, and which shard it belongs to.
type tokenHashes struct {
	hashes []string
	spread uint32
}

// mostSeen bounds the memory at about a hundred bytes each.
const mostSeen = 100_000

func newSeenTokens(cfg Config, st *store) (*seenTokens, error) {
	here, err := otter.New(&otter.Options[string, struct{}]{
		MaximumSize:      mostSeen,
		ExpiryCalculator: otter.ExpiryWriting[string, struct{}](cfg.TokenLifetime),
	})
	if err != nil {
		return nil, fmt.Errorf("dispenser: tokens seen: %w", err)
	}
	return &seenTokens{hasher: cfg.Hasher, here: here, store: st}, nil
}

func (s *seenTokens) hashesOf(token secret.Text) tokenHashes {
	return tokenHashes{hashes: s.hasher.Sums("token", token.Reveal()), spread: shard.Spread("token", token.Reveal())}
}

// firstHere reports whether this process sees the token for the first time.
func (s *seenTokens) firstHere(token secret.Text) bool {
	hash := s.hashesOf(token).hashes[0]
	_, isNew := s.here.SetIfAbsent(hash, struct{}{})
	if !isNew {
		s.here.Set(hash, struct{}{}) // a vendor that repeats it goes on being watched
	}
	return isNew
}

// firstAnywhere reports whether no replica has seen the token yet, as far as
// Redis can be asked. Where it cannot, it is told later.
func (s *seenTokens) firstAnywhere(ctx context.Context, token secret.Text) bool {
	hashes := s.hashesOf(token)
	isNew, err := s.store.remember(ctx, hashes)
	if err == nil {
		return isNew
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.untold) < mostSeen {
		s.untold = append(s.untold, hashes)
	}
	return true
}

// catchUp tells Redis of what it could not be told of.
func (s *seenTokens) catchUp(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		if len(s.untold) == 0 {
			s.untold = nil
			s.mu.Unlock()
			return
		}
		next := s.untold[0]
		s.mu.Unlock()
		if _, err := s.store.remember(ctx, next); err != nil {
			return
		}
		s.mu.Lock()
		s.untold = s.untold[1:]
		s.mu.Unlock()
	}
}
