// Package policy decides who may have which credential, and how many.
package policy

import (
	"time"

	"farebox/internal/limit"
)

// Policy says what each caller may have. It is immutable and safe for
// concurrent use.
type Policy struct {
	tokens map[string]limit.Limits
}

// Default is what holds without a policy file: each of tokenTypes for any
// valid session, 10 a minute and 200 a UTC day for each user and type, and 50
// a second of all together.
func Default(tokenTypes ...string) *Policy {
	p := &Policy{tokens: make(map[string]limit.Limits, len(tokenTypes))}
	for _, t := range tokenTypes {
		p.tokens[t] = limit.Limits{
			PerUser:      limit.Rate{Count: 10, Period: time.Minute},
			PerUserDaily: 200,
			Global:       limit.Rate{Count: 50, Period: time.Second},
		}
	}
	return p
}

// Token decides whether a caller may have a token of tokenType, and under which
// limits. A type that the policy does not name is refused.
func (p *Policy) Token(tokenType string) (limit.Limits, bool) {
	limits, ok := p.tokens[tokenType]
	return limits, ok
}
