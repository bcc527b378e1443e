package handlers

import (
	"net/http"
	"strings"

	"github.com/dunglas/httpsfv"
)

// idempotencyKey reads the Idempotency-Key header: 1 to 255 visible ASCII
// characters, with or without the quotes of a structured-field string
// (RFC 9651). "" means that there is none.
func idempotencyKey(r *http.Request) (string, error) {
	const most = 255
	values := r.Header.Values("Idempotency-Key")
	switch len(values) {
	case 0:
		return "", nil
	case 1:
	default:
		return "", malformed("The Idempotency-Key header is there more than once.")
	}
	key := values[0]
	if strings.HasPrefix(key, `"`) {
		item, err := httpsfv.UnmarshalItem([]string{key})
		text, isString := item.Value.(string)
		if err != nil || !isString || item.Params != nil && len(item.Params.Names()) > 0 {
			return "", malformed("The Idempotency-Key begins with a quote but is no quoted string.")
		}
		key = text
	}
	if key == "" || len(key) > most || strings.ContainsFunc(key, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
		return "", malformed("The Idempotency-Key must be 1 to 255 visible ASCII characters.")
	}
	return key, nil
}
