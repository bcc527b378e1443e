package e2e_test

import (
	"encoding/json"
	"testing"

	"github.com/coder/websocket"
)

// openScribe opens the realtime transcription socket and returns the type of
// its first message.
func openScribe(t *testing.T, webSocketBase, parameter, token string) string {
	t.Helper()
	socket, response, err := websocket.Dial(t.Context(),
		webSocketBase+"/v1/speech-to-text/realtime?model_id=scribe_v2_realtime&"+parameter+"="+token, nil)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	if response.Body != nil {
		defer response.Body.Close()
	}
	defer socket.CloseNow()
	_, data, err := socket.Read(t.Context())
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	var message struct {
		Type string `json:"message_type"`
	}
	if err := json.Unmarshal(data, &message); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return message.Type
}

// wantWorksOnce redeems a token of an answer twice.
func wantWorksOnce(t *testing.T, a answer) {
	t.Helper()
	if a.status != 200 {
		t.Fatalf("no token: %d %s", a.status, a.raw)
	}
	base, parameter, token := a.body["websocket_base_url"].(string), a.body["token_parameter"].(string), a.body["token"].(string)
	if got := openScribe(t, base, parameter, token); got != "session_started" {
		t.Errorf("the first use: %s", got)
	}
	if got := openScribe(t, base, parameter, token); got != "auth_error" {
		t.Errorf("the second use: %s", got)
	}
}
