package sandbox_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

func TestATokenWorksOnceForItsOwnTypeUntilItExpires(t *testing.T) {
	t.Parallel()
	v := start(t)
	refused := func(name, token string) {
		t.Helper()
		l := v.dial(t, scribePath+"&token="+token)
		if m := l.receive(); m["message_type"] != "auth_error" || m["error"] != "You must be authenticated to use this endpoint." {
			t.Errorf("%s: %v", name, m)
		}
		if code := l.closed(); code != websocket.StatusNormalClosure {
			t.Errorf("%s: closed with %d", name, code)
		}
	}
	token := v.mint(t, "realtime_scribe")
	if m := v.dial(t, scribePath+"&token="+token).receive(); m["message_type"] != "session_started" || m["session_id"] == "" {
		t.Errorf("a fresh token: %v", m)
	}
	refused("a used token", token)
	refused("an unknown token", "sutkn_sandbox_x")
	refused("no token", "")
	foreign := v.mint(t, "tts_websocket")
	refused("a token of another type", foreign)
	lasting, expiring := v.mint(t, "realtime_scribe"), v.mint(t, "realtime_scribe")
	v.clock.Store(15*60 - 1)
	if m := v.dial(t, scribePath+"&token="+lasting).receive(); m["message_type"] != "session_started" {
		t.Errorf("a token of nearly 15 minutes: %v", m)
	}
	v.clock.Store(15 * 60)
	refused("a token of 15 minutes", expiring)
}

func TestOfAHundredTriesAtOnceOneSucceeds(t *testing.T) {
	t.Parallel()
	v := start(t)
	token := v.mint(t, "batch_scribe")
	var passed atomic.Int32
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if v.transcribe(t, token, "scribe_v1", []byte("x")).status == 200 {
				passed.Add(1)
			}
		})
	}
	group.Wait()
	if passed.Load() != 1 {
		t.Errorf("%d of 100 passed", passed.Load())
	}
}

func TestOfAHundredSocketsAtOnceOneIsAccepted(t *testing.T) {
	t.Parallel()
	v := start(t)
	token := v.mint(t, "realtime_scribe")
	var accepted, refused atomic.Int32
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			switch v.firstOnScribe(t, token) {
			case "session_started":
				accepted.Add(1)
			case "auth_error":
				refused.Add(1)
			}
		})
	}
	group.Wait()
	if accepted.Load() != 1 || refused.Load() != 99 {
		t.Errorf("%d accepted, %d refused", accepted.Load(), refused.Load())
	}
}

// firstOnScribe is the type of the first message; it may be called from any
// goroutine.
func (v *vendor) firstOnScribe(t *testing.T, token string) any {
	conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(v.URL, "http")+scribePath+"&token="+token, nil)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer conn.CloseNow()
	var message map[string]any
	_, data, err := conn.Read(t.Context())
	if err != nil || json.Unmarshal(data, &message) != nil {
		t.Errorf("%s: %v", data, err)
	}
	return message["message_type"]
}

func TestATryForAnotherTypeLeavesATokenToItsOwn(t *testing.T) {
	t.Parallel()
	v := start(t)
	token := v.mint(t, "realtime_scribe")
	if a := v.transcribe(t, token, "scribe_v1", []byte("x")); a.status != 401 {
		t.Errorf("for another type: %d", a.status)
	}
	if got := v.firstOnScribe(t, token); got != "session_started" {
		t.Errorf("then for its own: %v", got)
	}
}

func TestAWrongParameterCostsTheToken(t *testing.T) {
	t.Parallel()
	v := start(t)
	token := v.mint(t, "realtime_scribe")
	l := v.dial(t, "/v1/speech-to-text/realtime?model_id=other&token="+token)
	if m := l.receive(); m["message_type"] != "invalid_request" {
		t.Errorf("another model: %v", m)
	}
	if got := v.firstOnScribe(t, token); got != "auth_error" {
		t.Errorf("the same token again: %v", got)
	}
}

func TestTheStateCountsTokensAndForgetsThemInTime(t *testing.T) {
	t.Parallel()
	v := start(t)
	v.firstOnScribe(t, v.mint(t, "realtime_scribe"))
	v.mint(t, "batch_scribe")
	want := func(fresh, used, expired float64) {
		t.Helper()
		got := v.do(t, http.MethodGet, "/_sandbox/", "", "").body["tokens"]
		if diff := cmp.Diff(map[string]any{"fresh": fresh, "used": used, "expired": expired}, got); diff != "" {
			t.Error(diff)
		}
	}
	want(1, 1, 0)
	v.clock.Store(16 * 60)
	want(0, 1, 1)
	v.mint(t, "batch_scribe")
	want(1, 1, 1)
	v.clock.Store(15*60 + 3600 + 1)
	v.mint(t, "batch_scribe")
	want(1, 0, 1)
}

func TestItsLifetimeCanBeSet(t *testing.T) {
	t.Parallel()
	v := start(t)
	if a := v.do(t, http.MethodPut, "/_sandbox/settings", "", `{"token_lifetime_seconds":5}`); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	for _, wrong := range []string{`{}`, `null`, `[]`, `{"token_lifetime_seconds":0}`, `{"token_lifetime_seconds":-1}`, `{"token_lifetime_seconds":1e300}`,
		`{"token_lifetime_seconds":"9"}`, `{"token_lifetime_seconds":9} {}`, `{"token_lifetime_seconds":9,"other":1}`} {
		a := v.do(t, http.MethodPut, "/_sandbox/settings", "", wrong)
		if said, _ := a.body["error"].(string); a.status != 400 || said == "" {
			t.Errorf("%s: %d %s", wrong, a.status, a.raw)
		}
	}
	token := v.mint(t, "realtime_scribe")
	v.clock.Store(4)
	if state := v.do(t, http.MethodGet, "/_sandbox/", "", "").body["token_lifetime_seconds"]; state != 5.0 {
		t.Errorf("token_lifetime_seconds = %v", state)
	}
	v.clock.Store(5)
	if m := v.dial(t, scribePath+"&token="+token).receive(); m["message_type"] != "auth_error" {
		t.Errorf("after its lifetime: %v", m)
	}
}
