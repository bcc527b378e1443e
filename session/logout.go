package session

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Logout is a verified logout token: who is to be logged out, and since when.
type Logout struct {
	Issuer    string
	Subject   string // "" where only the session is named
	SessionID string // "" where all sessions of the subject are meant
	ID        string // to be used once
	IssuedAt  time.Time
	// UsefulUntil is when the token is refused anyway.
	UsefulUntil time.Time
}

// LogoutConfig is what makes a logout token good. Issuer, Audience, Keys and Now
// are required.
type LogoutConfig struct {
	Issuer       string
	Audience     string // the client's id at the provider
	SubjectClaim string // "": sub
	Leeway       time.Duration
	Keys         KeySource
	Now          func() time.Time
}

// LogoutVerifier verifies the logout tokens of OpenID Connect Back-Channel
// Logout 1.0 (2.4 and 2.6). It is safe for concurrent use.
type LogoutVerifier struct {
	cfg  LogoutConfig
	lane lane
}

// NewLogoutVerifier returns a LogoutVerifier, or an error where a field is
// missing.
func NewLogoutVerifier(cfg LogoutConfig) (*LogoutVerifier, error) {
	if cfg.Issuer == "" || cfg.Audience == "" || cfg.Keys == nil || cfg.Now == nil || cfg.Leeway < 0 {
		return nil, errors.New("session: a field for logout tokens is missing")
	}
	if cfg.SubjectClaim == "" {
		cfg.SubjectClaim = "sub"
	}
	return &LogoutVerifier{cfg: cfg, lane: newLane(1)}, nil
}

const (
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	// logoutAge is how old a logout token without exp may be.
	logoutAge = 5 * time.Minute
	// logoutLife is what a logout token may have left at most: it is sent at
	// once, and its id has to be remembered as long as it is good.
	logoutLife = time.Hour
)

// logoutTypes are logout+jwt, and JWT, which older providers write.
var logoutTypes = []string{"logout+jwt", "jwt"}

// Verify returns what raw asks for. Errors are those of Verifier.Verify; an
// expired token is ErrInvalid.
func (v *LogoutVerifier) Verify(ctx context.Context, raw string) (*Logout, error) {
	if len(raw) > maxSize {
		return nil, invalid("too large")
	}
	e, err := open(raw, v.cfg.Keys.Algorithms(), logoutTypes)
	if err != nil {
		return nil, err
	}
	logout, err := v.read(e.claims)
	if err != nil {
		return nil, err
	}
	keys, err := v.cfg.Keys.Keys(ctx, e.alg, e.kid)
	if err != nil {
		return nil, err
	}
	leave, err := v.lane.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if _, err := e.signedBy(keys); err != nil {
		return nil, err
	}
	return logout, nil
}

func (v *LogoutVerifier) read(claims map[string]any) (*Logout, error) {
	if claims["iss"] != v.cfg.Issuer {
		return nil, invalid("another issuer")
	}
	if audiences, ok := texts(claims["aud"]); !ok || !slices.Contains(audiences, v.cfg.Audience) {
		return nil, invalid("another audience")
	}
	if _, there := claims["nonce"]; there {
		return nil, invalid("nonce, which tells an ID token")
	}
	events, _ := claims["events"].(map[string]any)
	if _, ok := events[logoutEvent].(map[string]any); !ok {
		return nil, invalid("no logout event")
	}
	l := &Logout{Issuer: v.cfg.Issuer}
	var ok bool
	if l.Subject, ok = optionalText(claims, v.cfg.SubjectClaim); !ok || l.Subject != "" && !goodSubject(l.Subject) {
		return nil, invalid("no usable subject")
	}
	if l.SessionID, ok = optionalText(claims, "sid"); !ok {
		return nil, invalid("the session id is no text")
	}
	if l.Subject == "" && l.SessionID == "" {
		return nil, invalid("neither subject nor session")
	}
	const longest = 255
	if l.ID, ok = claims["jti"].(string); !ok || l.ID == "" || len(l.ID) > longest {
		return nil, invalid("jti is missing or no short text")
	}
	return l, v.readTimes(l, claims)
}

func (v *LogoutVerifier) readTimes(l *Logout, claims map[string]any) error {
	now := v.cfg.Now()
	var ok bool
	if l.IssuedAt, ok = date(claims, "iat"); !ok || l.IssuedAt.IsZero() || l.IssuedAt.After(now.Add(v.cfg.Leeway)) {
		return invalid("iat is missing, no date, or in the future")
	}
	expires, ok := date(claims, "exp")
	if !ok {
		return invalid("exp is no date")
	}
	if expires.IsZero() {
		expires = l.IssuedAt.Add(logoutAge)
	}
	if notBefore, ok := date(claims, "nbf"); !ok || notBefore.After(now.Add(v.cfg.Leeway)) {
		return invalid("nbf is no date, or in the future")
	}
	l.UsefulUntil = expires.Add(v.cfg.Leeway)
	switch {
	case !l.UsefulUntil.After(now):
		return invalid("a logout token that is too old")
	case l.UsefulUntil.Sub(now) > logoutLife+v.cfg.Leeway:
		return invalid("a logout token with more left than an hour")
	}
	return nil
}
