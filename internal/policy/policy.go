// Package policy decides who may have which credential, and how many: by its
// defaults, or by a file that is read again when it changes.
package policy

import (
	"strings"
	"time"

	"farebox/internal/limit"
)

// Policy says what each caller may have. It is immutable and safe for
// concurrent use.
type Policy struct {
	tokens map[string]entry // by token type
	agents map[string]entry // by agent id
	plans  []plan
	global limit.Rate
}

// entry is what the policy says of one token type or agent.
type entry struct {
	allow *rule // nil: any valid session
	terms terms
}

// plan overrides limits of the callers it is for.
type plan struct {
	name  string
	when  *rule
	terms terms
}

// terms are the limits that an entry or a plan gives; nil leaves what held
// before.
type terms struct {
	perUser *limit.Rate
	daily   *int
}

// defaults are the limits that hold where the policy gives none: a limit that
// somebody forgot is to be a small one.
func defaults() limit.Limits {
	return limit.Limits{
		PerUser:      limit.Rate{Count: 10, Period: time.Minute},
		PerUserDaily: 200,
		Global:       limit.Rate{Count: 50, Period: time.Second},
	}
}

// Default is what holds without a policy file: each of tokenTypes for any
// valid session, 10 a minute and 200 a UTC day for each user and type, and 50
// a second of all together. No agent is allowed.
func Default(tokenTypes ...string) *Policy {
	p := &Policy{tokens: make(map[string]entry, len(tokenTypes)), global: defaults().Global}
	for _, t := range tokenTypes {
		p.tokens[t] = entry{}
	}
	return p
}

// DecideToken decides whether caller may have tokens of tokenType, and under
// which limits. An error is a *Refusal.
func (p *Policy) DecideToken(caller Caller, tokenType string) (Decision, error) {
	e, named := p.tokens[tokenType]
	return p.decide(caller, e, named)
}

const longestAgentID = 128

// GoodAgentID reports whether text can be an agent's id: 1 to 128 visible ASCII
// characters.
func GoodAgentID(text string) bool {
	return text != "" && len(text) <= longestAgentID && !strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' })
}

// DecideAgent decides whether caller may have credentials for an agent, and
// under which limits. An error is a *Refusal.
func (p *Policy) DecideAgent(caller Caller, agentID string) (Decision, error) {
	e, named := p.agents[agentID]
	return p.decide(caller, e, named)
}

func (p *Policy) decide(caller Caller, e entry, named bool) (Decision, error) {
	if !named {
		return Decision{}, &Refusal{Cause: NotNamed}
	}
	if e.allow != nil {
		yes, err := e.allow.holds(caller)
		if err != nil {
			return Decision{}, err
		}
		if !yes {
			return Decision{}, e.allow.refusal(NotAllowed, nil)
		}
	}
	d := Decision{Limits: defaults()}
	d.Limits.Global = p.global
	e.terms.apply(&d.Limits)
	for _, plan := range p.plans {
		// A plan that cannot be judged refuses: the plans after it may be the
		// looser ones.
		yes, err := plan.when.holds(caller)
		if err != nil {
			return Decision{}, err
		}
		if yes {
			d.Plan = plan.name
			plan.terms.apply(&d.Limits)
			break
		}
	}
	return d, nil
}

func (t terms) apply(limits *limit.Limits) {
	if t.perUser != nil {
		limits.PerUser = *t.perUser
	}
	if t.daily != nil {
		limits.PerUserDaily = *t.daily
	}
}
