package sandbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"farebox/internal/sandbox"

	"github.com/coder/websocket"
)

// vendor is a sandbox on a real socket, with a clock that tests move.
type vendor struct {
	*httptest.Server
	*sandbox.Sandbox
	clock atomic.Int64 // seconds since the start; it moves by hand alone
}

func start(t *testing.T) *vendor {
	t.Helper()
	v := &vendor{}
	begun := time.Now()
	var err error
	v.Sandbox, err = sandbox.New(sandbox.Config{Now: func() time.Time {
		return begun.Add(time.Duration(v.clock.Load()) * time.Second)
	}})
	if err != nil {
		t.Fatal(err)
	}
	v.Server = httptest.NewServer(v.Sandbox.Handler())
	v.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Cleanup(v.Server.Close)
	return v
}

type reply struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

func (v *vendor) do(t *testing.T, method, path, key, body string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, v.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("xi-api-key", key)
	}
	response, err := v.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := reply{status: response.StatusCode, header: response.Header, raw: string(data), body: map[string]any{}}
	_ = json.Unmarshal(data, &out.body)
	return out
}

func (v *vendor) mint(t *testing.T, tokenType string) string {
	t.Helper()
	a := v.do(t, http.MethodPost, "/v1/single-use-token/"+tokenType, "k", "")
	token, _ := a.body["token"].(string)
	if a.status != 200 || token == "" {
		t.Fatalf("mint: %d %s", a.status, a.raw)
	}
	return token
}

// line is a WebSocket of JSON messages.
type line struct {
	t    *testing.T
	conn *websocket.Conn
}

func (v *vendor) dial(t *testing.T, path string) *line {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(v.URL, "http")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.Body != nil {
		_ = response.Body.Close()
	}
	conn.SetReadLimit(16 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &line{t, conn}
}

func (l *line) send(message map[string]any) {
	l.t.Helper()
	data, err := json.Marshal(message)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := l.conn.Write(l.t.Context(), websocket.MessageText, data); err != nil {
		l.t.Fatal(err)
	}
}

func (l *line) receive() map[string]any {
	l.t.Helper()
	_, data, err := l.conn.Read(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	var message map[string]any
	if err := json.Unmarshal(data, &message); err != nil {
		l.t.Fatalf("%s: %v", data, err)
	}
	return message
}

// until receives until a message of this type, and returns it.
func (l *line) until(kind string) map[string]any {
	l.t.Helper()
	for {
		if m := l.receive(); m["message_type"] == kind {
			return m
		} else if m["error"] != nil {
			l.t.Fatalf("waiting for %s: %v", kind, m)
		}
	}
}

func (l *line) closed() websocket.StatusCode {
	l.t.Helper()
	for {
		if _, _, err := l.conn.Read(l.t.Context()); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}

const scribePath = "/v1/speech-to-text/realtime?model_id=scribe_v2_realtime"

// serve answers without a socket.
func serve(handler http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}
