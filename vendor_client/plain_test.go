package vendorclient

import (
	"testing"

	"pgregory.net/rapid"
)

// The short way of reading a token takes none that the long way does not.
func TestThePlainTokenIsTheTokenOfTheJSON(t *testing.T) {
	t.Parallel()
	plain := 0
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOfN(rapid.OneOf(rapid.Just("sutkn_Az09"), rapid.SampledFrom([]string{
			`{"token":"`, `{`, `"token"`, `:`, `"`, `"}`, `}`, "sutkn_Az09", `\`, `\u0041`, " ", "\n", "\v", ",", `"a":1`, "é", "\x00", "\u00a0",
		})), 0, 4)
		body := ""
		for _, piece := range pieces.Draw(t, "pieces") {
			body += piece
		}
		if rapid.Bool().Draw(t, "usual") {
			body = " {\"token\":\"" + body + "\"}\n"
		}
		short, ok := plainToken([]byte(body))
		if !ok {
			return
		}
		plain++
		if long, ok := member([]byte(body), "token"); !ok || long != short {
			t.Errorf("%q: %q in short, and %q, %v", body, short, long, ok)
		}
	})
	if plain == 0 {
		t.Error("none was plain")
	}
}
