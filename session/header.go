package session

import (
	"encoding/base64"
	"slices"
	"strings"
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

// open takes a JWT apart, cheapest checks first. allowed are the algorithms.
func open(raw string, allowed []string) (*envelope, error) {
	if len(raw) > maxSize {
		return nil, invalid("too large")
	}
	// Go's strict base64 still lets line breaks pass.
	if strings.ContainsFunc(raw, func(r rune) bool { return !plain(r) }) {
		return nil, invalid("characters that no JWT has")
	}
	parts := strings.Split(raw, ".")
	switch len(parts) {
	case 3:
	case 5:
		return nil, invalid("encrypted")
	default:
		return nil, invalid("not three parts")
	}
	header, err := decodePart(parts[0])
	if err != nil {
		return nil, invalid("header unreadable")
	}
	e := &envelope{signed: raw[:len(parts[0])+1+len(parts[1])]}
	if err := e.readHeader(header, allowed); err != nil {
		return nil, err
	}
	if e.claims, err = decodePart(parts[1]); err != nil {
		return nil, invalid("claims unreadable")
	}
	if e.signature, err = strict.DecodeString(parts[2]); err != nil || len(e.signature) == 0 {
		return nil, invalid("signature unreadable")
	}
	return e, nil
}

var strict = base64.RawURLEncoding.Strict()

func plain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
}

func decodePart(part string) (map[string]any, error) {
	data, err := strict.DecodeString(part)
	if err != nil {
		return nil, err
	}
	return decodeObject(data)
}

// readHeader checks what a header may say. Keys that it carries or points to
// (jwk, jku, x5u, x5c) are never looked at.
func (e *envelope) readHeader(header map[string]any, allowed []string) error {
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
	if !goodType(header) {
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

// goodType accepts no typ, JWT (RFC 7519) and at+jwt (RFC 9068); a media type
// without a slash implies application/ (RFC 7515, 4.1.9).
func goodType(header map[string]any) bool {
	typ, there := header["typ"]
	if !there {
		return true
	}
	text, ok := typ.(string)
	text = strings.TrimPrefix(strings.ToLower(text), "application/")
	return ok && (text == "jwt" || text == "at+jwt")
}
