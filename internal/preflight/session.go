package preflight

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"farebox/internal/identity"
	"farebox/internal/limit"
	"farebox/internal/policy"
	"farebox/internal/revocation"
	"farebox/session"
	vendorclient "farebox/vendor_client"
)

// SessionConfig is what a session is judged by. Fields are required unless said
// otherwise.
type SessionConfig struct {
	Verifier    *session.Verifier
	Keys        session.KeySource
	KeysSetting string // as in Config
	Policy      *policy.Policy
	PolicyFile  string // as in Config
	// Revocations is nil where Redis is inside serve's own process, so that
	// nobody else can ask it.
	Revocations *revocation.List
	// RequireRevocations has serve refuse sessions of which it cannot know
	// whether they were ended.
	RequireRevocations bool
	Hasher             *identity.Hasher
	Now                func() time.Time
	Limit              time.Duration // as in Config
}

// Session is what serve would make of one session.
type Session struct {
	OK       bool      `json:"ok"`                // it may have something
	Refused  *Refused  `json:"refused,omitempty"` // nil where it is good
	Who      *Who      `json:"who,omitempty"`     // nil where it could not be verified
	Verdicts []Verdict `json:"may_have,omitempty"`
	Warning  string    `json:"warning,omitempty"`
}

// Refused is why a session, or what it asks for, is refused.
type Refused struct {
	Reason  string `json:"reason"`
	Setting string `json:"setting,omitempty"` // that decides it; "" where none does
	Mend    string `json:"mend"`
}

// Who is whom a verified session speaks for.
type Who struct {
	Subject     string    `json:"sub"`
	SubjectHash string    `json:"sub_hash"` // as in the audit
	Issuer      string    `json:"iss,omitempty"`
	SessionID   string    `json:"sid,omitempty"`
	ExpiresAt   time.Time `json:"expires_at"`
	Scopes      []string  `json:"scopes,omitempty"`
}

// Verdict is what the policy says of one token type or agent.
type Verdict struct {
	TokenType string   `json:"token_type,omitempty"`
	Agent     string   `json:"agent,omitempty"`
	Allowed   bool     `json:"allowed"`
	Plan      string   `json:"plan,omitempty"` // whose limits hold; "" for none
	Limits    *Limits  `json:"limits,omitempty"`
	Refused   *Refused `json:"refused,omitempty"`
}

// Limits are as in a policy file.
type Limits struct {
	PerUser      string `json:"per_user"`
	PerUserDaily string `json:"per_user_daily"`
	Global       string `json:"global"`
}

// Explain judges the session of a JWT as serve would. It mints nothing and
// charges nothing.
func Explain(ctx context.Context, cfg SessionConfig, raw string) (Session, error) {
	if cfg.Verifier == nil || cfg.Keys == nil || cfg.Policy == nil || cfg.Hasher == nil || cfg.Now == nil {
		return Session{}, errors.New("preflight: a required field is missing")
	}
	if cfg.Limit == 0 {
		cfg.Limit = defaultLimit
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Limit)
	defer cancel()
	settled(ctx, cfg.Keys)
	principal, err := cfg.Verifier.Verify(ctx, raw)
	if err != nil {
		refused := unverified(session.Reason(err), cfg.KeysSetting)
		return Session{Refused: &refused}, nil
	}
	s := Session{Who: &Who{
		Subject: principal.Subject, SubjectHash: cfg.Hasher.Subject(principal.Issuer, principal.Subject),
		Issuer: principal.Issuer, SessionID: principal.SessionID, ExpiresAt: principal.ExpiresAt.UTC(), Scopes: principal.Scopes,
	}}
	s.Refused, s.Warning = cfg.ended(ctx, principal)
	cfg.judge(&s, principal)
	return s, nil
}

// ended says why a session that was ended is refused, or what is not known of it.
func (cfg SessionConfig) ended(ctx context.Context, p *session.Principal) (*Refused, string) {
	if cfg.Revocations == nil {
		return nil, "REDIS_URL is memory:, so only the running service knows whether it was ended"
	}
	ended, err := cfg.Revocations.Ask(ctx, cfg.Revocations.MarksOf(revocation.Session{
		Issuer: p.Issuer, Subject: p.Subject, ID: p.SessionID, TokenID: p.ID, IssuedAt: p.IssuedAt,
	}))
	switch {
	case err != nil && cfg.RequireRevocations:
		return &Refused{
			Reason: "Redis cannot say whether it was ended", Setting: "FAREBOX_REQUIRE_REVOCATION",
			Mend: "run farebox check to see what Redis lacks; false would let it pass",
		}, ""
	case err != nil:
		return nil, "Redis cannot say whether it was ended; run farebox check to see what Redis lacks"
	case ended:
		return &Refused{Reason: "it was ended by farebox revoke or a logout", Mend: "sign in again: a session that is issued later is good"}, ""
	default:
		return nil, ""
	}
}

func (cfg SessionConfig) judge(s *Session, p *session.Principal) {
	caller := policy.Caller{Issuer: p.Issuer, Subject: p.Subject, Scopes: p.Scopes, Claims: p.Claims}
	for _, name := range vendorclient.TokenTypeNames() {
		v := cfg.verdict(cfg.Policy.DecideToken(caller, name))
		v.TokenType = name
		s.Verdicts = append(s.Verdicts, v)
	}
	for _, name := range cfg.Policy.Agents() {
		v := cfg.verdict(cfg.Policy.DecideAgent(caller, name))
		v.Agent = name
		s.Verdicts = append(s.Verdicts, v)
	}
	for _, v := range s.Verdicts {
		s.OK = s.OK || s.Refused == nil && v.Allowed
	}
}

func (cfg SessionConfig) verdict(decision policy.Decision, err error) Verdict {
	var refusal *policy.Refusal
	if errors.As(err, &refusal) {
		refused := cfg.byPolicy(refusal)
		return Verdict{Refused: &refused}
	}
	return Verdict{Allowed: true, Plan: decision.Plan, Limits: &Limits{
		PerUser: rate(decision.Limits.PerUser), PerUserDaily: daily(decision.Limits.PerUserDaily), Global: rate(decision.Limits.Global),
	}}
}

func (cfg SessionConfig) byPolicy(r *policy.Refusal) Refused {
	const setting = "FAREBOX_POLICY_FILE"
	at := fmt.Sprintf("%s line %d, %s", cfg.PolicyFile, r.Line, r.Rule)
	switch r.Cause {
	case policy.NotNamed:
		return Refused{Reason: "the policy does not name it", Setting: setting, Mend: "name it in " + cfg.PolicyFile}
	case policy.NotAllowed:
		return Refused{Reason: at + ", is false for this session", Setting: setting, Mend: "change the expression, or what the session claims"}
	case policy.Overrun:
		return Refused{Reason: at + ", takes too much for this session", Setting: setting, Mend: "make the expression cheaper"}
	default:
		reason := at + ", cannot be evaluated for this session"
		if r.Detail != nil {
			reason += ": " + r.Detail.Error()
		}
		return Refused{Reason: reason, Setting: setting, Mend: "have the expression ask first whether a claim is there, as in has(claims.plan) && …"}
	}
}

// rate is a rate as a policy file has it.
func rate(r limit.Rate) string {
	if r.IsZero() {
		return "none"
	}
	for _, unit := range []struct {
		d    time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}} {
		if r.Period%unit.d == 0 {
			return fmt.Sprintf("%d/%d%s", r.Count, r.Period/unit.d, unit.name)
		}
	}
	return fmt.Sprintf("%d/%ds", r.Count, r.Period/time.Second)
}

func daily(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

// WriteText writes it in lines: who, then what they may have. Text of the
// session's own is quoted.
func (s Session) WriteText(w io.Writer) error {
	var b strings.Builder
	line := func(status Status, name, format string, args ...any) {
		fmt.Fprintf(&b, "%-4s  %-15s  %s\n", status, name, oneLine(fmt.Sprintf(format, args...)))
	}
	if s.Refused != nil {
		line(Fail, "session", "%s", s.Refused)
	} else {
		line(OK, "session", "it is good")
	}
	if s.Warning != "" {
		line(Warn, "ended", "%s", s.Warning)
	}
	if who := s.Who; who != nil {
		fmt.Fprintf(&b, "      subject %q, in the audit %s\n", who.Subject, who.SubjectHash)
		fmt.Fprintf(&b, "      issuer %q, session id %q, scopes %q\n", who.Issuer, who.SessionID, who.Scopes)
		fmt.Fprintf(&b, "      expires at %s\n", who.ExpiresAt.Format(time.RFC3339))
	}
	for _, v := range s.Verdicts {
		name := v.TokenType
		if v.Agent != "" {
			name = "agent " + v.Agent
		}
		if v.Refused != nil {
			line("no", name, "%s", v.Refused)
			continue
		}
		plan := ""
		if v.Plan != "" {
			plan = fmt.Sprintf(", by the plan %q", v.Plan)
		}
		line(OK, name, "%s a user, %s a UTC day, %s for all together%s", v.Limits.PerUser, v.Limits.PerUserDaily, v.Limits.Global, plan)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// String is the refusal in one line.
func (r Refused) String() string {
	if r.Setting == "" {
		return r.Reason + "; " + r.Mend
	}
	return r.Reason + "; " + r.Setting + " decides this: " + r.Mend
}

// oneLine keeps what a claim may hold from breaking a line or a terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r <= 0x9f {
			return ' '
		}
		return r
	}, text)
}
