package session

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// maxSize bounds a JWT before anything is decoded.
const maxSize = 8 << 10

// envelope is a JWT taken apart, nothing of it believed yet.
type envelope struct {
	alg, kid  string
	claims    map[string]any
	signed    string // what the signature is over
	signature []byte
}

// open takes a JWT apart, cheapest checks first. allowed are the algorithms,
// types what typ may be.
func open(raw string, allowed, types []string) (*envelope, error) {
	e, payload, err := unseal(raw, allowed, types)
	if err != nil {
		return nil, err
	}
	if e.claims, err = decodeObject(payload); err != nil {
		return nil, invalid("claims unreadable")
	}
	return e, nil
}

// unseal takes a JWS (RFC 7515) apart, whatever its payload is.
func unseal(raw string, allowed, types []string) (e *envelope, payload []byte, err error) {
	// Go's strict base64 still lets line breaks pass.
	if strings.ContainsFunc(raw, func(r rune) bool { return !plain(r) }) {
		return nil, nil, invalid("characters that no JWT has")
	}
	parts := strings.Split(raw, ".")
	switch len(parts) {
	case 3:
	case 5:
		return nil, nil, invalid("encrypted")
	default:
		return nil, nil, invalid("not three parts")
	}
	text, err := strict.DecodeString(parts[0])
	if err != nil {
		return nil, nil, invalid("header unreadable")
	}
	header, err := decodeObject(text)
	if err != nil {
		return nil, nil, invalid("header unreadable")
	}
	e = &envelope{signed: raw[:len(parts[0])+1+len(parts[1])]}
	if err := e.readHeader(header, allowed, types); err != nil {
		return nil, nil, err
	}
	if payload, err = strict.DecodeString(parts[1]); err != nil {
		return nil, nil, invalid("claims unreadable")
	}
	if e.signature, err = strict.DecodeString(parts[2]); err != nil || len(e.signature) == 0 {
		return nil, nil, invalid("signature unreadable")
	}
	return e, payload, nil
}

var strict = base64.RawURLEncoding.Strict()

func plain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
}

// signedBy finds which of keys the JWS was signed by.
func (e *envelope) signedBy(keys []Key) (Key, error) {
	method := jwt.GetSigningMethod(e.alg)
	// Not left to the sources: a key used with another algorithm than its own
	// is how a public key becomes a shared secret.
	for _, key := range fitting(keys, e.alg) {
		if method.Verify(e.signed, e.signature, key.Material) == nil {
			return key, nil
		}
	}
	return Key{}, invalid("signature")
}

// readHeader checks what a header may say. Keys that it carries or points to
// (jwk, jku, x5u, x5c) are never looked at.
func (e *envelope) readHeader(header map[string]any, allowed, types []string) error {
	alg, ok := header["alg"].(string)
	if !ok || !slices.Contains(allowed, alg) {
		return invalid("algorithm not allowed")
	}
	for _, name := range []string{"crit", "b64", "zip", "enc"} {
		if _, there := header[name]; there {
			return invalid("a header that is not understood")
		}
	}
	if _, there := header["cty"]; there {
		return invalid("nested")
	}
	if !goodType(header, types) {
		return invalid("another kind of token, by typ")
	}
	if kid, there := header["kid"]; there {
		const most = 256
		if e.kid, ok = kid.(string); !ok || e.kid == "" || len(e.kid) > most {
			return invalid("kid is no short text")
		}
	}
	e.alg = alg
	return nil
}

// sessionTypes are JWT (RFC 7519) and at+jwt (RFC 9068).
var sessionTypes = []string{"jwt", "at+jwt"}

// goodType accepts no typ, and those of types; a media type without a slash
// implies application/ (RFC 7515, 4.1.9).
func goodType(header map[string]any, types []string) bool {
	typ, there := header["typ"]
	if !there {
		return true
	}
	text, ok := typ.(string)
	return ok && slices.Contains(types, strings.TrimPrefix(strings.ToLower(text), "application/"))
}
