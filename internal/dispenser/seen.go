package dispenser

import (
	"context"
	"crypto/sha256"
	"sync"

	"farebox/internal/identity"
	"farebox/internal/recent"
	"farebox/internal/secret"
	"farebox/internal/shard"
)

// seenTokens remembers, for a token's lifetime at least, what the vendor gave: as
// hashes in this process, and as keyed ones in Redis for all replicas.
type seenTokens struct {
	hasher *identity.Hasher
	here   *recent.Map[digest, struct{}]
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

// digest is a hash cut to what tells things of one process apart. It has no
// pointers, so that the garbage collector passes by whatever many of them are in.
type digest [16]byte

// digestOf tells parts apart that hold no zero byte.
func digestOf(parts ...string) digest {
	text := make([]byte, 0, 128) // on the stack, where it is enough
	for _, part := range parts {
		text = append(append(text, part...), 0)
	}
	sum := sha256.Sum256(text)
	return digest(sum[:len(digest{})])
}

// mostSeen is how many tokens are remembered here for their lifetime, whatever
// comes. At some 23 bytes each, up to twice as many are held.
const mostSeen = 100_000

func newSeenTokens(cfg Config, st *store) *seenTokens {
	return &seenTokens{
		hasher: cfg.Hasher, store: st,
		here: recent.New[digest, struct{}](2*mostSeen, cfg.TokenLifetime, cfg.Now),
	}
}

func (s *seenTokens) hashesOf(token secret.Text) tokenHashes {
	return tokenHashes{hashes: s.hasher.Digests("token", token.Reveal()), spread: shard.Spread("token", token.Reveal())}
}

// firstHere reports whether this process sees the token for the first time. A
// vendor that repeats it goes on being watched.
func (s *seenTokens) firstHere(token secret.Text) bool {
	return !s.here.Put(digestOf(token.Reveal()), struct{}{})
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
