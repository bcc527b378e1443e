package session

import (
	"slices"
	"strings"
	"testing"
)

// Whatever a key set holds, a key that comes out of it is one that can be used,
// for what it says and for nothing else.
func FuzzKeySet(f *testing.F) {
	const (
		ec  = `{"kty":"EC","crv":"P-256","kid":"k","use":"sig","alg":"ES256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`
		okp = `{"kty":"OKP","crv":"Ed25519","kid":"e","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
		rsa = `{"kty":"RSA","kid":"r","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}`
	)
	for _, key := range []string{
		ec, okp, rsa, `7`, `null`, `{}`, `{"kty":"oct","k":"AAAA"}`, strings.Replace(ec, `"x":"`, `"x":"AA`, 1), strings.Replace(ec, "ES256", "HS256", 1),
		strings.Replace(ec, `"sig"`, `"enc"`, 1), strings.Replace(okp, `"x"`, `"d":"AA","x"`, 1), strings.Replace(rsa, "AQAB", "AA", 1),
		strings.Replace(rsa, "AQAB", "_____________________w", 1), strings.Replace(ec, `"use"`, `"x5c":["AA"],"use"`, 1),
	} {
		f.Add([]byte(`{"keys":[` + key + `]}`))
		f.Add([]byte(`{"keys":[` + key + `,` + ec + `]}`))
	}
	f.Add([]byte(`{"keys":{}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, odd, err := parseSet(data)
		if (len(keys) == 0) != (err != nil) || len(keys) > maxSetKeys {
			t.Errorf("%d keys and %v", len(keys), err)
		}
		for _, why := range odd {
			if strings.ContainsAny(why, "\"{}\n") {
				t.Errorf("the reason may hold something of the key: %q", why)
			}
		}
		for _, key := range keys {
			able := algorithmsOf(key.Material)
			if len(key.Algorithms) == 0 || key.Thumbprint == (Thumbprint{}) || slices.Contains(key.Algorithms, "HS256") {
				t.Errorf("a key of %v", key.Algorithms)
			}
			for _, alg := range key.Algorithms {
				if !slices.Contains(able, alg) {
					t.Errorf("a key for %v says %s", able, alg)
				}
			}
			// It can be asked, whatever it is.
			e := &envelope{alg: key.Algorithms[0], signed: "a.b", signature: make([]byte, 64)}
			if _, err := e.signedBy([]Key{key.Key}); err == nil {
				t.Error("it takes a signature of zeros")
			}
		}
	})
}
