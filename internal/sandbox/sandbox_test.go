package sandbox_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"math"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
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
	clock atomic.Int64 // seconds that the clock is ahead
}

func start(t *testing.T) *vendor {
	t.Helper()
	v := &vendor{}
	var err error
	v.Sandbox, err = sandbox.New(sandbox.Config{Now: func() time.Time {
		return time.Now().Add(time.Duration(v.clock.Load()) * time.Second)
	}})
	if err != nil {
		t.Fatal(err)
	}
	v.Server = httptest.NewServer(v.Sandbox.Handler())
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
	expiring := v.mint(t, "realtime_scribe")
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

func (v *vendor) transcribe(t *testing.T, token, model string, file []byte) reply {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range map[string]string{"token": token, "model_id": model} {
		if err := form.WriteField(name, value); err != nil {
			t.Error(err)
		}
	}
	if file != nil {
		part, err := form.CreateFormFile("file", "f.wav")
		if err == nil {
			_, err = part.Write(file)
		}
		if err != nil {
			t.Error(err)
		}
	}
	_ = form.Close()
	response, err := v.Client().Post(v.URL+"/v1/speech-to-text", form.FormDataContentType(), &body)
	if err != nil {
		t.Error(err)
		return reply{}
	}
	defer response.Body.Close()
	data, _ := io.ReadAll(response.Body)
	return reply{status: response.StatusCode, header: response.Header, raw: string(data)}
}

func TestTranscribingAFile(t *testing.T) {
	t.Parallel()
	v := start(t)
	a := v.transcribe(t, v.mint(t, "batch_scribe"), "scribe_v1", make([]byte, 1234))
	if a.status != 200 || !strings.Contains(a.raw, "farebox sandbox") || !strings.Contains(a.raw, "1234 bytes") {
		t.Errorf("%d %s", a.status, a.raw)
	}
	if a := v.transcribe(t, v.mint(t, "realtime_scribe"), "scribe_v1", []byte("x")); a.status != 401 {
		t.Errorf("a foreign token: %d", a.status)
	}
	if a := v.transcribe(t, v.mint(t, "batch_scribe"), "gpt", []byte("x")); a.status != 422 {
		t.Errorf("an unknown model: %d", a.status)
	}
	if a := v.transcribe(t, v.mint(t, "batch_scribe"), "scribe_v1", nil); a.status != 422 {
		t.Errorf("no file: %d", a.status)
	}
	if a := v.do(t, http.MethodPost, "/v1/speech-to-text", "", "x"); a.status != 422 {
		t.Errorf("no form: %d", a.status)
	}
}

// tone is pcm_16000 of a sine, loud from 0 to 1.
func tone(seconds, loud float64) string {
	data := make([]byte, 2*int(seconds*16000))
	for i := 0; i < len(data); i += 2 {
		v := int16(loud * 32767 * math.Sin(2*math.Pi*440*float64(i/2)/16000))
		data[i], data[i+1] = byte(v), byte(uint16(v)>>8)
	}
	return base64.StdEncoding.EncodeToString(data)
}

func chunk(audio string, commit bool) map[string]any {
	return map[string]any{"message_type": "input_audio_chunk", "audio_base_64": audio, "commit": commit, "sample_rate": 16000}
}

func TestScribeSaysTruthfullyWhatItHeard(t *testing.T) {
	t.Parallel()
	v := start(t)
	l := v.dial(t, scribePath+"&include_timestamps=true&language_code=de&token="+v.mint(t, "realtime_scribe"))
	config, _ := l.until("session_started")["config"].(map[string]any)
	if config["language_code"] != "de" || config["token"] != nil {
		t.Errorf("config = %v", config)
	}
	last := ""
	for range 4 {
		l.send(chunk(tone(0.5, 0.25), false))
		text, _ := l.until("partial_transcript")["text"].(string)
		if len(text) <= len(last) && !strings.Contains(text, "seconds so far") {
			t.Errorf("the partial does not grow: %q after %q", text, last)
		}
		last = text
	}
	l.send(chunk("", true))
	const want = "This is the farebox sandbox. It heard 2.0 seconds of audio, loudest at -12 dBFS."
	if m := l.until("committed_transcript"); m["text"] != want {
		t.Errorf("text = %q", m["text"])
	}
	m := l.until("committed_transcript_with_timestamps")
	words, _ := m["words"].([]any)
	final, _ := words[len(words)-1].(map[string]any)
	if m["language_code"] != "de" || final["text"] != "dBFS." || final["end"] != 2.0 {
		t.Errorf("with timestamps: %v", m)
	}
	l.send(chunk("", true))
	if m := l.receive(); m["message_type"] != "commit_throttled" {
		t.Errorf("a commit of nothing: %v", m)
	}
	l.send(chunk(tone(1, 0), true))
	if m := l.until("committed_transcript"); m["text"] != "This is the farebox sandbox. It heard 1.0 seconds of silence." {
		t.Errorf("silence: %q", m["text"])
	}
}

func TestScribeCommitsOnSilenceWhereAsked(t *testing.T) {
	t.Parallel()
	v := start(t)
	l := v.dial(t, scribePath+"&commit_strategy=vad&vad_silence_threshold_secs=0.5&token="+v.mint(t, "realtime_scribe"))
	l.until("session_started")
	l.send(chunk(tone(1, 0.5), false))
	l.send(chunk(tone(0.6, 0), false))
	if m := l.until("committed_transcript"); !strings.Contains(m["text"].(string), "1.6 seconds") {
		t.Errorf("text = %q", m["text"])
	}
}

func TestScribeIsStrict(t *testing.T) {
	t.Parallel()
	v := start(t)
	for name, query := range map[string]string{
		"another model":      "model_id=scribe_v1",
		"another format":     "model_id=scribe_v2_realtime&audio_format=mp3",
		"another strategy":   "model_id=scribe_v2_realtime&commit_strategy=never",
		"a threshold of odd": "model_id=scribe_v2_realtime&vad_silence_threshold_secs=x",
	} {
		l := v.dial(t, "/v1/speech-to-text/realtime?"+query+"&token="+v.mint(t, "realtime_scribe"))
		if m := l.receive(); m["message_type"] != "invalid_request" {
			t.Errorf("%s: %v", name, m)
		}
	}
	l := v.dial(t, scribePath+"&token="+v.mint(t, "realtime_scribe"))
	l.until("session_started")
	wrongRate := chunk(tone(0.1, 0), false)
	wrongRate["sample_rate"] = 8000
	for name, tt := range map[string]struct {
		message map[string]any
		want    string
	}{
		"no base64":     {chunk("!", false), "input_error"},
		"half a sample": {chunk("AAAA", false), "input_error"},
		"another rate":  {wrongRate, "input_error"},
		"another type":  {map[string]any{"message_type": "x"}, "input_error"},
		"a large chunk": {chunk(base64.StdEncoding.EncodeToString(make([]byte, 1<<20+2)), false), "chunk_size_exceeded"},
	} {
		l.send(tt.message)
		if m := l.receive(); m["message_type"] != tt.want {
			t.Errorf("%s: %v", name, m)
		}
	}
}

func TestSpeechIsAudibleAndAligned(t *testing.T) {
	t.Parallel()
	v := start(t)
	l := v.dial(t, "/v1/text-to-speech/voice1/stream-input?model_id=m&output_format=pcm_16000&single_use_token="+v.mint(t, "tts_websocket"))
	l.send(map[string]any{"text": " ", "voice_settings": map[string]any{"stability": 0.5}})
	l.send(map[string]any{"text": "Hello there. ", "try_trigger_generation": true})
	m := l.receive()
	audio, err := base64.StdEncoding.DecodeString(m["audio"].(string))
	if err != nil || m["isFinal"] != false {
		t.Fatalf("isFinal = %v: %v", m["isFinal"], err)
	}
	sum := 0.0
	for i := 0; i+1 < len(audio); i += 2 {
		s := float64(int16(uint16(audio[i])|uint16(audio[i+1])<<8)) / 32768
		sum += s * s
	}
	if rms := math.Sqrt(sum / float64(len(audio)/2)); rms < 0.03 {
		t.Errorf("the sound has an RMS of %.4f, which nobody hears", rms)
	}
	alignment := m["alignment"].(map[string]any)
	chars, starts, lengths := alignment["chars"].([]any), alignment["charStartTimesMs"].([]any), alignment["charDurationsMs"].([]any)
	end := starts[len(starts)-1].(float64) + lengths[len(lengths)-1].(float64)
	if len(chars) != len(" Hello there. ") || math.Abs(end-float64(len(audio))/32) > 1 {
		t.Errorf("%d characters end at %v ms of %d ms", len(chars), end, len(audio)/32)
	}
	l.send(map[string]any{"text": ""})
	if m := l.receive(); m["isFinal"] != true {
		t.Errorf("the last: %v", m)
	}
	if code := l.closed(); code != websocket.StatusNormalClosure {
		t.Errorf("closed with %d", code)
	}
}

func TestSpeechRefusesLikeTheVendor(t *testing.T) {
	t.Parallel()
	v := start(t)
	used := v.mint(t, "tts_websocket")
	v.dial(t, "/v1/text-to-speech/v/stream-input?output_format=pcm_16000&single_use_token="+used).send(map[string]any{"text": " "})
	for name, path := range map[string]string{
		"a used token":            "/v1/text-to-speech/v/stream-input?output_format=pcm_16000&single_use_token=" + used,
		"a token by another name": "/v1/text-to-speech/v/stream-input?output_format=pcm_16000&token=" + v.mint(t, "tts_websocket"),
		"a foreign token":         "/v1/text-to-speech/v/multi-stream-input?output_format=pcm_16000&single_use_token=" + v.mint(t, "batch_scribe"),
		"a format it cannot make": "/v1/text-to-speech/v/stream-input?single_use_token=" + v.mint(t, "tts_websocket"),
	} {
		l := v.dial(t, path)
		if m := l.receive(); m["code"] != 1008.0 || m["error"] == "" || m["message"] == "" {
			t.Errorf("%s: %v", name, m)
		}
		if code := l.closed(); code != websocket.StatusPolicyViolation {
			t.Errorf("%s: closed with %d", name, code)
		}
	}
	l := v.dial(t, "/v1/text-to-speech/v/stream-input?output_format=pcm_16000&inactivity_timeout=1&single_use_token="+v.mint(t, "tts_websocket"))
	if m := l.receive(); m["error"] != "input_timeout_exceeded" {
		t.Errorf("silence: %v", m)
	}
}

func TestSpeechInSeveralContexts(t *testing.T) {
	t.Parallel()
	v := start(t)
	l := v.dial(t, "/v1/text-to-speech/v/multi-stream-input?output_format=ulaw_8000&single_use_token="+v.mint(t, "tts_websocket"))
	l.send(map[string]any{"text": "One. ", "context_id": "a", "flush": true})
	if m := l.receive(); m["contextId"] != "a" || m["is_final"] != false || m["audio"] == "" {
		t.Errorf("a: %v", m["contextId"])
	}
	l.send(map[string]any{"text": "Two. ", "context_id": "b"})
	l.send(map[string]any{"context_id": "a", "close_context": true})
	if m := l.receive(); m["contextId"] != "a" || m["is_final"] != true {
		t.Errorf("the end of a: %v", m)
	}
	l.send(map[string]any{"close_socket": true})
	if m := l.receive(); m["contextId"] != "b" || m["is_final"] != false {
		t.Errorf("b: %v", m["contextId"])
	}
	if m := l.receive(); m["contextId"] != "b" || m["is_final"] != true {
		t.Errorf("the end of b: %v", m)
	}
}

func TestTheAPI(t *testing.T) {
	t.Parallel()
	v := start(t)
	tests := map[string]struct {
		method, path, key string
		status            int
		holds             string
	}{
		"models":                        {"GET", "/v1/models", "k", 200, `"model_id"`},
		"models without a key":          {"GET", "/v1/models", "", 401, `invalid_api_key`},
		"a real key":                    {"GET", "/v1/models", "sk_abc", 401, `invalid_api_key`},
		"another type":                  {"POST", "/v1/single-use-token/x", "k", 422, `"loc"`},
		"another method":                {"GET", "/v1/single-use-token/realtime_scribe", "k", 405, `detail`},
		"a signed URL":                  {"GET", "/v1/convai/conversation/get-signed-url?agent_id=a", "k", 200, `ws://127.0.0.1`},
		"a signed URL for single use":   {"GET", "/v1/convai/conversation/get-signed-url?agent_id=a&include_conversation_id=true", "k", 200, `conversation_id`},
		"a signed URL without agent":    {"GET", "/v1/convai/conversation/get-signed-url", "k", 422, `detail`},
		"a conversation token":          {"GET", "/v1/convai/conversation/token?agent_id=a&participant_name=p", "k", 200, `"conversation_id"`},
		"what it does not know":         {"GET", "/v1/voices", "k", 501, `sandbox`},
		"what it does not know of TTS":  {"POST", "/v1/text-to-speech/v", "k", 501, `sandbox`},
		"a socket's path without one":   {"GET", scribePath, "", 426, ``},
		"control that is not there":     {"GET", "/_sandbox/nothing", "", 404, ``},
		"control of what is unknown":    {"POST", "/_sandbox/settings", "", 405, ``},
		"a lifetime that is none":       {"PUT", "/_sandbox/settings", "", 400, `error`},
		"a fault that nobody can read":  {"POST", "/_sandbox/faults", "", 400, `error`},
		"the state of the sandbox":      {"GET", "/_sandbox/", "", 200, `"token_lifetime_seconds":900`},
		"the faults that there are":     {"GET", "/_sandbox/faults", "", 200, `"credits_exhausted"`},
		"the record, which is not null": {"GET", "/_sandbox/calls", "", 200, `"calls":[`},
	}
	for name, tt := range tests {
		a := v.do(t, tt.method, tt.path, tt.key, "")
		if a.status != tt.status || !strings.Contains(a.raw, tt.holds) || a.header.Get("X-Farebox-Sandbox") != "true" && tt.key != "sk_abc" {
			t.Errorf("%s: %d %s %v", name, a.status, a.raw, a.header)
		}
	}
}

func TestTheRecordHoldsNoCredentialAndNoRealKeysCall(t *testing.T) {
	t.Parallel()
	v := start(t)
	token := v.mint(t, "realtime_scribe")
	v.dial(t, scribePath+"&token="+token).receive()
	v.do(t, http.MethodGet, "/v1/models", "sk_0123456789", "")
	v.do(t, http.MethodGet, "/v1/models", "a-good-key", "")
	record := v.do(t, http.MethodGet, "/_sandbox/calls", "", "")
	calls := v.Calls()
	if len(calls) != 3 || calls[0].Operation != "mint" || calls[0].Status != 200 || calls[2].Operation != "models" || calls[2].Key == "" {
		t.Errorf("calls = %+v", calls)
	}
	for _, word := range []string{token, "sk_0", "a-good-key"} {
		if strings.Contains(record.raw, word) {
			t.Errorf("the record holds %q", word)
		}
	}
	if v.do(t, http.MethodDelete, "/_sandbox/calls", "", "").status != 204 || len(v.Calls()) != 0 {
		t.Error("the record was not cleared")
	}
}

func TestFaultsComeAsOftenAsToldAndInTheShapeAskedFor(t *testing.T) {
	t.Parallel()
	v := start(t)
	for shape, holds := range map[string]string{"new": `"code":"rate_limit_exceeded"`, "legacy": `{"detail":{"message"`, "string": `{"detail":"`, "list": `{"detail":[`} {
		a := v.do(t, http.MethodPost, "/_sandbox/faults", "", `{"operation":"mint","fault":"rate_limited","shape":"`+shape+`","times":1,"retry_after_seconds":7}`)
		if a.status != 204 {
			t.Fatalf("inject: %d %s", a.status, a.raw)
		}
		a = v.do(t, http.MethodPost, "/v1/single-use-token/realtime_scribe", "k", "")
		if a.status != 429 || !strings.Contains(a.raw, holds) || a.header.Get("Retry-After") != "7" {
			t.Errorf("%s: %d %s", shape, a.status, a.raw)
		}
		v.mint(t, "realtime_scribe")
	}
	first := v.mint(t, "realtime_scribe")
	if err := v.Inject(sandbox.Fault{Operation: "*", Kind: "same_token"}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if v.mint(t, "realtime_scribe") != first {
			t.Error("the same token was asked for")
		}
	}
	v.ClearFaults()
	if v.mint(t, "realtime_scribe") == first {
		t.Error("the faults were not cleared")
	}
	for _, body := range []string{
		`{}`, `x`, `{"operation":"mint","fault":"nothing"}`, `{"operation":"x","fault":"delay"}`, `{"operation":"mint","fault":"delay","times":-1}`,
		`{"operation":"mint","fault":"delay","delay_ms":1000000}`, `{"operation":"mint","fault":"delay","extra":1}`, `{"operation":"mint","fault":"busy","shape":"odd"}`,
	} {
		if a := v.do(t, http.MethodPost, "/_sandbox/faults", "", body); a.status != 400 {
			t.Errorf("%s: %d", body, a.status)
		}
	}
	if a := v.do(t, http.MethodGet, "/_sandbox/faults", "", ""); !strings.Contains(a.raw, `"faults":[]`) {
		t.Errorf("a wrong fault changed something: %s", a.raw)
	}
}

func TestFaultsOnTheScribeSocket(t *testing.T) {
	t.Parallel()
	v := start(t)
	for _, kind := range []string{"quota_exceeded", "session_time_limit_exceeded"} {
		if err := v.Inject(sandbox.Fault{Operation: "scribe", Kind: kind, Times: 1}); err != nil {
			t.Fatal(err)
		}
		l := v.dial(t, scribePath+"&token="+v.mint(t, "realtime_scribe"))
		l.until("session_started")
		if m := l.receive(); m["message_type"] != kind {
			t.Errorf("%s: %v", kind, m)
		}
	}
}

func TestItsLifetimeCanBeSet(t *testing.T) {
	t.Parallel()
	v := start(t)
	if a := v.do(t, http.MethodPut, "/_sandbox/settings", "", `{"token_lifetime_seconds":5}`); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	token := v.mint(t, "realtime_scribe")
	v.clock.Store(5)
	if m := v.dial(t, scribePath+"&token="+token).receive(); m["message_type"] != "auth_error" {
		t.Errorf("after its lifetime: %v", m)
	}
}
