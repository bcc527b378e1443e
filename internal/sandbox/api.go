package sandbox

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

func (s *Sandbox) mint(x *exchange) {
	if keyed(x) {
		s.mintToken(x, false)
	}
}

func (s *Sandbox) mintToken(x *exchange, repeat bool) {
	tokenType := x.r.PathValue("token_type")
	if !slices.Contains(tokenTypes(), tokenType) {
		writeError(x.w, invalid("path", "token_type", "Input should be one of "+strings.Join(tokenTypes(), ", ")), "")
		return
	}
	writeJSON(x.w, http.StatusOK, map[string]any{"token": s.tokens.mint(tokenType, repeat)})
}

func (s *Sandbox) models(x *exchange) {
	if !keyed(x) {
		return
	}
	model := func(id, name string, speech bool) map[string]any {
		return map[string]any{
			"model_id": id, "name": name, "description": "The farebox sandbox lists this model for show.",
			"can_do_text_to_speech": speech, "languages": []any{map[string]any{"language_id": "en", "name": "English"}},
		}
	}
	writeJSON(x.w, http.StatusOK, []any{
		model("eleven_flash_v2_5", "Eleven Flash v2.5", true),
		model("eleven_multilingual_v2", "Eleven Multilingual v2", true),
	})
}

// user answers who a key belongs to, of which only the subscription tells its
// workspace.
func (s *Sandbox) user(x *exchange) {
	if !keyed(x) {
		return
	}
	key := x.r.Header.Get("xi-api-key")
	_, workspace, _ := strings.Cut(key, "@")
	number := func(text string) int64 {
		sum := sha256.Sum256([]byte(text))
		return int64(binary.BigEndian.Uint32(sum[:]))
	}
	writeJSON(x.w, http.StatusOK, map[string]any{
		"user_id": fmt.Sprintf("user_sandbox_%d", number(key)), "seat_type": "workspace_admin", "is_new_user": false,
		"subscription": map[string]any{
			"tier": "sandbox", "status": "active", "character_count": 0, "character_limit": 100_000,
			"next_character_count_reset_unix": 1_800_000_000 + number(workspace),
		},
	})
}

// agent reads the one agent_id, or answers as the vendor does without one.
func agent(x *exchange) (string, bool) {
	ids := x.r.URL.Query()["agent_id"]
	if len(ids) != 1 || ids[0] == "" {
		writeError(x.w, invalid("query", "agent_id", "Field required"), "")
		return "", false
	}
	return ids[0], true
}

func (s *Sandbox) signedURL(x *exchange) {
	if !keyed(x) {
		return
	}
	id, ok := agent(x)
	if !ok {
		return
	}
	query := url.Values{"agent_id": {id}, "conversation_signature": {"cvtkn_sandbox_" + rand.Text()}}
	switch x.r.URL.Query().Get("include_conversation_id") {
	case "", "false":
	case "true":
		query.Set("conversation_id", "conv_sandbox_"+rand.Text())
	default:
		writeError(x.w, invalid("query", "include_conversation_id", "Input should be a valid boolean"), "")
		return
	}
	signed := url.URL{Scheme: "ws", Host: x.r.Host, Path: "/v1/convai/conversation", RawQuery: query.Encode()}
	if x.r.TLS != nil {
		signed.Scheme = "wss"
	}
	writeJSON(x.w, http.StatusOK, map[string]any{"signed_url": signed.String()})
}

func (s *Sandbox) conversationToken(x *exchange) {
	if !keyed(x) {
		return
	}
	if _, ok := agent(x); ok {
		writeJSON(x.w, http.StatusOK, map[string]any{"token": "sandbox_" + rand.Text(), "conversation_id": "conv_sandbox_" + rand.Text()})
	}
}
