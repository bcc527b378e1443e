package sandbox

import (
	"context"
	"encoding/json"
	"time"

	"github.com/coder/websocket"
)

// socket is a WebSocket of JSON messages.
type socket struct {
	conn   *websocket.Conn
	ctx    context.Context
	cancel context.CancelFunc
	// inbox carries the client's messages. Reading stands apart, since a read
	// that is given up closes the connection, and there is an error to send.
	inbox chan []byte
}

const (
	// maxMessage bounds a client's message.
	maxMessage = 4 << 20
	// idleLimit ends a socket on which nothing comes.
	idleLimit = 3 * time.Minute
)

// upgrade opens the socket of an exchange. Nil means that it was no WebSocket
// request or came from a foreign page, which has been answered: a socket's
// opening is a GET without CORS, so that the guard lets it pass.
func (s *Sandbox) upgrade(x *exchange) *socket {
	for _, origin := range x.r.Header.Values("Origin") {
		if !s.guard.AllowsOrigin(origin) {
			writeError(x.w, apiError{status: 403, message: "Sockets of other web sites are refused here."}, shapeString)
			return nil
		}
	}
	conn, err := websocket.Accept(x.w, x.r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return nil
	}
	conn.SetReadLimit(maxMessage)
	ws := &socket{conn: conn, inbox: make(chan []byte)}
	// The request's own context may end while the connection lives on.
	ws.ctx, ws.cancel = context.WithCancel(context.WithoutCancel(x.r.Context()))
	go ws.read()
	return ws
}

// end closes the connection without a word where that has not been done, and
// ends reading.
func (s *socket) end() {
	s.cancel()
	_ = s.conn.CloseNow()
}

// read fills the inbox until the connection ends; closing it ends this too.
func (s *socket) read() {
	defer close(s.inbox)
	for {
		kind, data, err := s.conn.Read(s.ctx)
		if err != nil {
			return
		}
		if kind != websocket.MessageText {
			data = nil
		}
		select {
		case s.inbox <- data:
		case <-s.ctx.Done():
			return
		}
	}
}

// send writes a message; false means that the peer is gone.
func (s *socket) send(message map[string]any) bool {
	data, err := json.Marshal(message)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Second)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, data) == nil
}

// received is how waiting for a message ended.
type received int

const (
	gotMessage   received = iota
	gotMalformed          // a message that is no JSON object
	gotNothing            // nothing came in time
	gotEnd                // the connection has ended
)

// receive waits for a message and decodes it.
func (s *socket) receive(within time.Duration, into any) received {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case data, open := <-s.inbox:
		switch {
		case !open:
			return gotEnd
		case json.Unmarshal(data, into) != nil:
			return gotMalformed
		}
		return gotMessage
	case <-timer.C:
		return gotNothing
	}
}

// close ends the connection with a code.
func (s *socket) close(code websocket.StatusCode, reason string) {
	_ = s.conn.Close(code, reason)
	s.cancel()
}
