package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

const (
	maxSetSize = 512 << 10
	maxSetKeys = 256
)

// setKey is a usable key of a set.
type setKey struct {
	kid string
	Key
}

// errOtherUse is a key that is meant for encryption, as many sets hold one.
var errOtherUse = errors.New("for another use")

// parseSet reads a JWK Set (RFC 7517, 5). Keys that are of no use here are left
// out and do not spoil the others; odd says what was wrong with those that an
// operator should know of. A set without any usable key is an error.
func parseSet(data []byte) (keys []setKey, odd []string, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(data, &set) != nil {
		return nil, nil, errors.New("the key set is no JSON object with keys")
	}
	if len(set.Keys) > maxSetKeys {
		return nil, nil, fmt.Errorf("the key set holds more than %d keys", maxSetKeys)
	}
	for _, raw := range set.Keys {
		key, err := parseKey(raw)
		switch {
		case err == nil:
			keys = append(keys, key)
		case !errors.Is(err, errOtherUse):
			odd = append(odd, err.Error())
		}
	}
	slices.Sort(odd)
	odd = slices.Compact(odd)
	if len(keys) == 0 {
		return nil, odd, errors.New("the key set holds no usable key")
	}
	return keys, odd, nil
}

// parseKey reads one key, and holds it to what it says of its own use
// (RFC 7517, 4.2 to 4.4). Errors hold nothing of it.
func parseKey(raw json.RawMessage) (setKey, error) {
	var meta struct {
		Use    string    `json:"use"`
		KeyOps *[]string `json:"key_ops"`
		// What only private and symmetric keys have (RFC 7518, 6).
		D json.RawMessage `json:"d"`
		P json.RawMessage `json:"p"`
		Q json.RawMessage `json:"q"`
		K json.RawMessage `json:"k"`
	}
	if json.Unmarshal(raw, &meta) != nil {
		return setKey{}, errors.New("malformed")
	}
	switch {
	case meta.K != nil:
		return setKey{}, errors.New("a shared secret, which must not be published")
	case meta.D != nil, meta.P != nil, meta.Q != nil:
		return setKey{}, errors.New("a private key, which must not be published")
	case meta.Use != "" && meta.Use != "sig":
		return setKey{}, errOtherUse
	case meta.KeyOps != nil && !slices.Contains(*meta.KeyOps, "verify"):
		return setKey{}, errOtherUse
	}
	var jwk jose.JSONWebKey // checks that points lie on their curve
	if jwk.UnmarshalJSON(raw) != nil {
		return setKey{}, errors.New("malformed, or of an unknown kind")
	}
	algorithms := algorithmsOf(jwk.Key)
	if algorithms == nil {
		return setKey{}, errors.New("too weak, or of an unknown kind")
	}
	if jwk.Algorithm != "" {
		if !slices.Contains(algorithms, jwk.Algorithm) {
			return setKey{}, errors.New("its alg is unknown, or not one of its kind")
		}
		algorithms = []string{jwk.Algorithm}
	}
	key, err := publicKey(algorithms, jwk.Key)
	return setKey{kid: jwk.KeyID, Key: key}, err
}
