package policy

import (
	"maps"
	"slices"
)

// TokenTypes are the token types that the policy names, in the order of the
// alphabet.
func (p *Policy) TokenTypes() []string { return slices.Sorted(maps.Keys(p.tokens)) }

// Agents are the agents that the policy names, in the order of the alphabet.
func (p *Policy) Agents() []string { return slices.Sorted(maps.Keys(p.agents)) }
