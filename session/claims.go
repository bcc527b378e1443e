package session

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// belongs checks that a token is meant for us.
func (v *Verifier) belongs(claims map[string]any) error {
	if v.cfg.Issuer != "" && claims["iss"] != v.cfg.Issuer {
		return invalid("another issuer")
	}
	audiences, ok := texts(claims["aud"])
	if _, there := claims["aud"]; there && !ok {
		return invalid("aud is neither text nor a list of it")
	}
	if len(v.cfg.Audiences) > 0 && !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(v.cfg.Audiences, a) }) {
		return invalid("another audience")
	}
	if _, there := claims["events"]; there {
		return invalid("a logout or security event token")
	}
	for name, values := range v.cfg.RequiredClaims {
		text, ok := claimText(claims[name])
		if !ok || !slices.Contains(values, text) {
			return invalid("a required claim is missing or different")
		}
	}
	return nil
}

// read checks all of a token's claims, save whether it has expired, and makes a
// Principal of them, which counts once the signature is known to be good.
func (v *Verifier) read(claims map[string]any, now time.Time) (*Principal, error) {
	if err := v.belongs(claims); err != nil {
		return nil, err
	}
	p := &Principal{Claims: claims, Scopes: scopes(claims)}
	var ok bool
	if p.Issuer, ok = optionalText(claims, "iss"); !ok {
		return nil, invalid("iss is no text")
	}
	if p.Subject, ok = claims[v.cfg.SubjectClaim].(string); !ok || !goodSubject(p.Subject) {
		return nil, invalid("no usable subject")
	}
	if p.SessionID, ok = optionalText(claims, v.cfg.SessionIDClaim); !ok {
		return nil, invalid("the session id is no text")
	}
	if p.ID, ok = optionalText(claims, "jti"); !ok {
		return nil, invalid("jti is no text")
	}
	if p.ExpiresAt, ok = date(claims, "exp"); !ok || p.ExpiresAt.IsZero() {
		return nil, invalid("exp is missing or no date")
	}
	if p.IssuedAt, ok = date(claims, "iat"); !ok || p.IssuedAt.After(now.Add(v.cfg.Leeway)) {
		return nil, invalid("iat is no date, or in the future")
	}
	notBefore, ok := date(claims, "nbf")
	if !ok || notBefore.After(now.Add(v.cfg.Leeway)) {
		return nil, invalid("nbf is no date, or in the future")
	}
	if p.ExpiresAt.Sub(now) > v.cfg.MaxLifetime+v.cfg.Leeway {
		return nil, invalid("more left than FAREBOX_SESSION_MAX_LIFETIME allows")
	}
	return p, nil
}

// date reads a NumericDate (RFC 7519, 2). A missing one is the zero Time.
func date(claims map[string]any, name string) (time.Time, bool) {
	const latest = 1 << 40 // far beyond any session, and safe to compute with
	switch seconds := claims[name].(type) {
	case nil:
		_, null := claims[name]
		return time.Time{}, !null
	case int64:
		return time.Unix(seconds, 0), seconds > 0 && seconds < latest
	case float64:
		whole, fraction := math.Modf(seconds)
		return time.Unix(int64(whole), int64(fraction*1e9)), seconds > 0 && seconds < latest
	default:
		return time.Time{}, false
	}
}

// goodSubject refuses U+FFFD as well: decoding makes it of each half of a
// surrogate pair, and so one subject of several.
func goodSubject(subject string) bool {
	const most = 255
	return subject != "" && len(subject) <= most &&
		!strings.ContainsFunc(subject, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError })
}

// optionalText is a claim that may be missing, but is no other kind.
func optionalText(claims map[string]any, name string) (string, bool) {
	value, there := claims[name]
	if !there {
		return "", true
	}
	text, ok := value.(string)
	return text, ok
}

// texts is a claim that is text or a list of it.
func texts(value any) ([]string, bool) {
	switch v := value.(type) {
	case string:
		return []string{v}, true
	case []any:
		all := make([]string, len(v))
		for i, element := range v {
			text, ok := element.(string)
			if !ok {
				return nil, false
			}
			all[i] = text
		}
		return all, true
	default:
		return nil, false
	}
}

// claimText is a claim's value as a setting would write it.
func claimText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool, int64:
		return fmt.Sprint(v), true
	default:
		return "", false
	}
}

func scopes(claims map[string]any) []string {
	for _, name := range []string{"scope", "scp"} {
		if list, ok := texts(claims[name]); ok {
			if len(list) == 1 {
				return strings.Fields(list[0])
			}
			return list
		}
	}
	return nil
}
