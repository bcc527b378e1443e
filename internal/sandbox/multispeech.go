package sandbox

import (
	"slices"
	"strings"

	"github.com/coder/websocket"
)

// speechContext is one of the texts that multi-stream-input takes side by side.
type speechContext struct {
	id     string
	buffer strings.Builder
}

// multiSpeech is the text-to-speech socket with several contexts.
func (s *Sandbox) multiSpeech(x *exchange) {
	sp := s.openSpeech(x)
	if sp == nil {
		return
	}
	defer sp.end()
	const mostContexts = 5
	var open []*speechContext // oldest first
	for {
		var m textMessage
		if !sp.next(&m) {
			return
		}
		if m.CloseSocket {
			for _, c := range open {
				if !sp.finish(c) {
					return
				}
			}
			sp.close(websocket.StatusNormalClosure, "")
			return
		}
		id := m.ContextID
		if id == "" {
			id = "default"
		}
		at := slices.IndexFunc(open, func(c *speechContext) bool { return c.id == id })
		if at < 0 {
			if len(open) == mostContexts {
				sp.violate("max_contexts_exceeded", "At most 5 contexts are open at once.")
				return
			}
			at = len(open)
			open = append(open, &speechContext{id: id})
		}
		if !sp.buffer(&open[at].buffer, m, id) {
			return
		}
		if m.CloseContext {
			if !sp.finish(open[at]) {
				return
			}
			open = slices.Delete(open, at, at+1)
		}
	}
}

// finish speaks the rest of a context and ends it.
func (sp *speaker) finish(c *speechContext) bool {
	return sp.say(&c.buffer, c.id) && sp.send(map[string]any{"is_final": true, "contextId": c.id})
}
