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

// parseSet reads a JWK Set (RFC 7517, 5). Keys that are of no use here are left
// out and do not spoil the others; a set without any usable key is an error.
func parseSet(data []byte) ([]setKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(data, &set) != nil {
		return nil, errors.New("the key set is no JSON object with keys")
	}
	if len(set.Keys) > maxSetKeys {
		return nil, fmt.Errorf("the key set holds more than %d keys", maxSetKeys)
	}
	var keys []setKey
	for _, raw := range set.Keys {
		if key, ok := parseKey(raw); ok {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the key set holds no usable key")
	}
	return keys, nil
}

func parseKey(raw json.RawMessage) (setKey, bool) {
	// What the key says of its own use (RFC 7517, 4.2 to 4.4), and what only a
	// private key has.
	var meta struct {
		Use    string    `json:"use"`
		KeyOps *[]string `json:"key_ops"`
		D      *string   `json:"d"`
		K      *string   `json:"k"`
	}
	var jwk jose.JSONWebKey
	if json.Unmarshal(raw, &meta) != nil || jwk.UnmarshalJSON(raw) != nil {
		return setKey{}, false
	}
	algorithms := algorithmsOf(jwk.Key)
	if jwk.Algorithm != "" {
		if !slices.Contains(algorithms, jwk.Algorithm) {
			return setKey{}, false
		}
		algorithms = []string{jwk.Algorithm}
	}
	usable := algorithms != nil && meta.D == nil && meta.K == nil &&
		(meta.Use == "" || meta.Use == "sig") &&
		(meta.KeyOps == nil || slices.Contains(*meta.KeyOps, "verify"))
	return setKey{kid: jwk.KeyID, Key: Key{Algorithms: algorithms, Material: jwk.Key}}, usable
}
