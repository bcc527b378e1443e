package config

import (
	"errors"
	"fmt"
	"slices"

	"farebox/internal/filewatch"
	"farebox/internal/secret"
)

// MaxKeyFile is the most bytes of a file of API keys.
const MaxKeyFile = 128 << 10

// APIKeysIn reads what a file of API keys holds, as Load does. An error is for
// operators and says nothing of the content.
func APIKeysIn(c filewatch.Content) ([]secret.Text, error) {
	switch {
	case c.Problem != "":
		return nil, errors.New(c.Problem)
	case len(c.Data) > MaxKeyFile:
		return nil, fmt.Errorf("names a file of more than %d bytes", MaxKeyFile)
	}
	text, err := secretText(c.Data)
	if err != nil {
		return nil, err
	}
	return parseAPIKeys(text)
}

// parseAPIKeys reads a ring of keys. A key that is there twice is refused: one of
// the two was meant to be another.
func parseAPIKeys(text string) ([]secret.Text, error) {
	const mostKeys, longest = 16, 4096
	parts := splitList(text)
	if len(parts) > mostKeys {
		return nil, fmt.Errorf("holds more than %d keys", mostKeys)
	}
	var keys []secret.Text
	for i, key := range parts {
		if !visibleASCII(key) || len(key) > longest {
			return nil, fmt.Errorf("holds what is no API key: each must be of 1 to %d visible ASCII characters", longest)
		}
		if slices.Contains(parts[:i], key) {
			return nil, fmt.Errorf("holds a key twice: key %d is the same as one before it", i+1)
		}
		keys = append(keys, secret.New(key))
	}
	if len(keys) == 0 {
		return nil, errors.New("holds no API key")
	}
	return keys, nil
}
