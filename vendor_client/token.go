package vendorclient

import (
	"slices"
	"time"

	"farebox/internal/secret"
)

// TokenType is what a single-use token may be used for.
type TokenType string

// The token types.
const (
	RealtimeScribe TokenType = "realtime_scribe" // the realtime transcription socket
	BatchScribe    TokenType = "batch_scribe"    // one transcription of a file
	TTSWebSocket   TokenType = "tts_websocket"   // the text-to-speech sockets
)

// TokenTypes are all token types.
func TokenTypes() []TokenType { return []TokenType{RealtimeScribe, BatchScribe, TTSWebSocket} }

// TokenTypeNames are all token types as they are spelt.
func TokenTypeNames() []string {
	var names []string
	for _, t := range TokenTypes() {
		names = append(names, string(t))
	}
	return names
}

// ParseTokenType reports whether text is a token type, spelt exactly.
func ParseTokenType(text string) (TokenType, bool) {
	t := TokenType(text)
	return t, slices.Contains(TokenTypes(), t)
}

// Parameter is where a token of this type goes on redeeming: the name of the
// query parameter or form field.
func (t TokenType) Parameter() string {
	if t == TTSWebSocket {
		return "single_use_token"
	}
	return "token"
}

// Token is what the vendor minted.
type Token struct {
	Value secret.Text
	Type  TokenType
	// RequestedAt is just before the call that minted it was sent: its life is
	// counted from there, since the vendor does not say when it ends.
	RequestedAt time.Time
	Key         *Key // which it was minted with
}

// usable reports whether text can be a token: 1 to 4096 visible ASCII
// characters. Nothing is read into its beginning.
func usable(text string) bool {
	const most = 4096
	if text == "" || len(text) > most {
		return false
	}
	for _, c := range []byte(text) {
		if c < 0x21 || c > 0x7e {
			return false
		}
	}
	return true
}
