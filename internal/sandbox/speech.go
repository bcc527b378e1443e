package sandbox

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
)

const (
	// chunkChars is how much buffered text starts generation by itself.
	chunkChars = 120
	// maxText bounds what one context may buffer.
	maxText = 10_000
)

// speaker is a text-to-speech socket.
type speaker struct {
	*socket
	format   format
	auto     bool
	inactive time.Duration
}

// openSpeech redeems the token and reads the parameters. Nil means that the
// socket is over.
func (s *Sandbox) openSpeech(x *exchange) *speaker {
	ws := s.upgrade(x)
	if ws == nil {
		return nil
	}
	query := x.r.URL.Query()
	if !s.tokens.redeem(query.Get("single_use_token"), "tts_websocket") {
		ws.violate("auth_error", "You must be authenticated to use this endpoint.")
		return nil
	}
	sp, err := newSpeaker(ws, query)
	switch {
	case err != nil:
		ws.violate("invalid_request", err.Error())
	case x.frame == drop:
		ws.end()
	case x.frame != "":
		ws.violate(x.frame, "The farebox sandbox was told to fail so.")
	default:
		return sp
	}
	return nil
}

// violate sends an error frame and closes for a policy violation (1008).
func (s *socket) violate(kind, message string) {
	s.send(map[string]any{"message": message, "error": kind, "code": int(websocket.StatusPolicyViolation)})
	s.close(websocket.StatusPolicyViolation, message)
}

func newSpeaker(ws *socket, query url.Values) (*speaker, error) {
	sp := &speaker{socket: ws, inactive: 20 * time.Second}
	name := query.Get("output_format")
	if name == "" {
		name = "mp3_44100_128" // the vendor's default
	}
	var err error
	if sp.format, err = parseFormat(name); err != nil {
		return nil, fmt.Errorf("%w; set output_format", err)
	}
	if sp.auto, err = flag(query, "auto_mode"); err != nil {
		return nil, err
	}
	for _, name := range []string{"sync_alignment", "enable_ssml_parsing"} { // no effect here
		if _, err := flag(query, name); err != nil {
			return nil, err
		}
	}
	if text := query.Get("inactivity_timeout"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 1 || seconds > 180 {
			return nil, fmt.Errorf("inactivity_timeout must lie between 1 and 180")
		}
		sp.inactive = time.Duration(seconds) * time.Second
	}
	return sp, nil
}

// textMessage is a client's message on both sockets; the context's fields are
// for multi-stream-input alone.
type textMessage struct {
	Text         *string `json:"text"`
	Generate     bool    `json:"try_trigger_generation"`
	Flush        bool    `json:"flush"`
	ContextID    string  `json:"context_id"`
	CloseContext bool    `json:"close_context"`
	CloseSocket  bool    `json:"close_socket"`
}

func (s *Sandbox) speech(x *exchange) {
	sp := s.openSpeech(x)
	if sp == nil {
		return
	}
	defer sp.end()
	var buffer strings.Builder
	for first := true; ; first = false {
		var m textMessage
		if !sp.next(&m) {
			return
		}
		if m.Text == nil || first && (*m.Text == "" || strings.TrimSpace(*m.Text) != "") {
			sp.violate("invalid_request", `Begin with {"text":" "}; each message has a text.`)
			return
		}
		if *m.Text == "" {
			if sp.say(&buffer, "") && sp.send(map[string]any{"isFinal": true}) {
				sp.close(websocket.StatusNormalClosure, "")
			}
			return
		}
		if !sp.buffer(&buffer, m, "") {
			return
		}
	}
}

// next reads a message; false means that the socket is over, and why was told.
func (sp *speaker) next(m *textMessage) bool {
	switch sp.receive(sp.inactive, m) {
	case gotMessage:
		return true
	case gotMalformed:
		sp.violate("invalid_request", "A message is no JSON object.")
	case gotNothing:
		sp.violate("input_timeout_exceeded", "No text came in time.")
	}
	return false
}

// buffer adds a message's text and speaks when it is time to.
func (sp *speaker) buffer(b *strings.Builder, m textMessage, contextID string) bool {
	if m.Text != nil {
		b.WriteString(*m.Text)
	}
	if b.Len() > maxText {
		sp.violate("invalid_request", "Too much text at once.")
		return false
	}
	sentence := strings.ContainsAny(strings.TrimSpace(b.String()), ".!?")
	if m.Flush || m.Generate || b.Len() >= chunkChars || sp.auto && sentence {
		return sp.say(b, contextID)
	}
	return true
}

// say speaks what is buffered, in messages of at most chunkChars.
func (sp *speaker) say(b *strings.Builder, contextID string) bool {
	text := []rune(b.String())
	b.Reset()
	if strings.TrimSpace(string(text)) == "" {
		return true
	}
	for len(text) > 0 {
		n := min(len(text), chunkChars)
		s := babble(string(text[:n]), sp.format.rate)
		text = text[n:]
		alignment := map[string]any{"chars": s.chars, "charStartTimesMs": s.starts, "charDurationsMs": s.lengths}
		message := map[string]any{
			"audio": base64.StdEncoding.EncodeToString(sp.format.encode(s.samples)), "isFinal": false,
			"alignment": alignment, "normalizedAlignment": alignment,
		}
		if contextID != "" {
			delete(message, "isFinal")
			message["is_final"], message["contextId"] = false, contextID
		}
		if !sp.send(message) {
			return false
		}
	}
	return true
}
