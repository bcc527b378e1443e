package dispenser

import (
	"strconv"
	"strings"

	vendorclient "farebox/vendor_client"
)

// Discard is why a token was thrown away, from a closed set.
type Discard string

// The reasons. The first four are also what the scripts call them.
const (
	DiscardExpired    Discard = "expired"       // too old, or it took too long to be made
	DiscardFenced     Discard = "fenced"        // of another life of Redis' data, or Redis does not say who it is
	DiscardRepeated   Discard = "repeated"      // the vendor gave it before
	DiscardFull       Discard = "full"          // there was no place left
	DiscardUnclear    Discard = "unclear"       // whether Redis took it is not known
	DiscardNoPool     Discard = "no_pool"       // its caller had gone, and there is no pool for it
	DiscardKeyRefused Discard = "key_refused"   // the vendor refuses its API key now, or the key was taken out
	DiscardUnusable   Discard = "unusable"      // it cannot be sealed or opened, or has too little life left
	DiscardClaimLost  Discard = "claim_lost"    // another attempt had taken its place
	DiscardEnded      Discard = "session_ended" // while it was made its caller's session was ended
)

// Discards are all reasons.
func Discards() []string {
	all := []Discard{
		DiscardExpired, DiscardFenced, DiscardRepeated, DiscardFull, DiscardUnclear,
		DiscardNoPool, DiscardKeyRefused, DiscardUnusable, DiscardClaimLost, DiscardEnded,
	}
	names := make([]string, len(all))
	for i, why := range all {
		names[i] = string(why)
	}
	return names
}

// DiscardObserver counts what is thrown away. It is safe for concurrent use.
type DiscardObserver interface {
	// Discarded is told of n tokens of a type, or of "agent" for what is made for
	// conversations with agents.
	Discarded(what, why string, n int)
}

type unwatched struct{}

func (unwatched) Discarded(string, string, int) {}

// agentsCredential is what all bespoke credentials are counted as: their names
// are not from a closed set.
const agentsCredential = "agent"

// DiscardTypes are what may be thrown away.
func DiscardTypes() []string { return append(vendorclient.TokenTypeNames(), agentsCredential) }

func (d *Dispenser) discard(t vendorclient.TokenType, why Discard) {
	what := string(t)
	if what == "" {
		what = agentsCredential
	}
	d.cfg.Discards.Discarded(what, string(why), 1)
}

// dropped is how many tokens a script found in a pool that were not good.
type dropped struct{ fenced, expired int }

// parseDropped reads "<fenced>/<expired>", or "" for none.
func parseDropped(text string) (gone dropped) {
	if fenced, expired, some := strings.Cut(text, "/"); some {
		gone.fenced, _ = strconv.Atoi(fenced)
		gone.expired, _ = strconv.Atoi(expired)
	}
	return gone
}

func (d *Dispenser) noteDropped(t vendorclient.TokenType, gone dropped) {
	if gone.fenced > 0 {
		d.cfg.Discards.Discarded(string(t), string(DiscardFenced), gone.fenced)
	}
	if gone.expired > 0 {
		d.cfg.Discards.Discarded(string(t), string(DiscardExpired), gone.expired)
	}
}
