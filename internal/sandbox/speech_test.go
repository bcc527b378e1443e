package sandbox_test

import (
	"encoding/base64"
	"math"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

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
	if m := l.receive(); m["isFinal"] != true || len(m) != 1 {
		t.Errorf("the last: %v", m)
	}
	if code := l.closed(); code != websocket.StatusNormalClosure {
		t.Errorf("closed with %d", code)
	}
}

func TestSpeechRefusesLikeTheVendor(t *testing.T) {
	t.Parallel()
	v := start(t)
	const one, many = "/v1/text-to-speech/v/stream-input?", "/v1/text-to-speech/v/multi-stream-input?"
	const sound = "output_format=pcm_16000&"
	fresh := func() string { return v.mint(t, "tts_websocket") }
	used := fresh()
	first := v.dial(t, one+sound+"single_use_token="+used)
	first.send(map[string]any{"text": " "})
	first.send(map[string]any{"text": ""})
	if m := first.receive(); m["isFinal"] != true { // from here on it is used
		t.Fatalf("the first use: %v", m)
	}
	for name, tt := range map[string]struct{ path, want string }{
		"a used token":            {one + sound + "single_use_token=" + used, "auth_error"},
		"a token by another name": {one + sound + "token=" + fresh(), "auth_error"},
		"a foreign token":         {many + sound + "single_use_token=" + v.mint(t, "batch_scribe"), "auth_error"},
		"a mode that is maybe":    {one + sound + "auto_mode=1&single_use_token=" + fresh(), "invalid_request"},
		"too patient":             {one + sound + "inactivity_timeout=181&single_use_token=" + fresh(), "invalid_request"},
		"a format it cannot make": {one + "single_use_token=" + fresh(), "invalid_request"},
		"silence":                 {one + sound + "inactivity_timeout=1&single_use_token=" + fresh(), "input_timeout_exceeded"},
	} {
		l := v.dial(t, tt.path)
		if m := l.receive(); m["code"] != 1008.0 || m["error"] != tt.want || m["message"] == "" {
			t.Errorf("%s: %v, want %s", name, m, tt.want)
		}
		if code := l.closed(); code != websocket.StatusPolicyViolation {
			t.Errorf("%s: closed with %d", name, code)
		}
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

func TestSpeechTakesOnlyWhatTheVendorTakes(t *testing.T) {
	t.Parallel()
	v := start(t)
	for name, messages := range map[string][]string{
		"text without a beginning": {`{"text":"Hello "}`},
		"an end without beginning": {`{"text":""}`},
		"no text":                  {`{"text":" "}`, `{"flush":true}`},
		"no JSON":                  {`{"text":" "}`, `hello`},
		"no object":                {`[]`},
		"too much text":            {`{"text":" "}`, `{"text":"` + strings.Repeat("x", 10_000) + `"}`},
	} {
		l := v.dial(t, "/v1/text-to-speech/v/stream-input?output_format=pcm_8000&single_use_token="+v.mint(t, "tts_websocket"))
		for _, message := range messages {
			if err := l.conn.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
				t.Fatal(err)
			}
		}
		if m := l.receive(); m["error"] != "invalid_request" || m["code"] != 1008.0 {
			t.Errorf("%s: %v", name, m)
		}
		if code := l.closed(); code != websocket.StatusPolicyViolation {
			t.Errorf("%s: closed with %d", name, code)
		}
	}
}

func TestTheSameTextSoundsTheSameAndAsLongAsItIs(t *testing.T) {
	t.Parallel()
	v := start(t)
	speak := func(text string) string {
		l := v.dial(t, "/v1/text-to-speech/v/stream-input?output_format=pcm_8000&single_use_token="+v.mint(t, "tts_websocket"))
		l.send(map[string]any{"text": " "})
		l.send(map[string]any{"text": text})
		l.send(map[string]any{"text": ""})
		audio := ""
		for {
			m := l.receive()
			if m["isFinal"] == true {
				return audio
			}
			audio += m["audio"].(string)
		}
	}
	short, again, long := speak("Hello there "), speak("Hello there "), speak("Hello there Hello there Hello there ")
	if short != again || short == speak("Other words ") {
		t.Error("the sound does not follow the text")
	}
	if ratio := float64(len(long)) / float64(len(short)); ratio < 2.5 || ratio > 3.5 {
		t.Errorf("three times the text is %.1f times the sound", ratio)
	}
}

func TestContextsEndInTheOrderInWhichTheyBegan(t *testing.T) {
	t.Parallel()
	v := start(t)
	l := v.dial(t, "/v1/text-to-speech/v/multi-stream-input?output_format=pcm_8000&single_use_token="+v.mint(t, "tts_websocket"))
	ids := []string{"e", "a", "d", "b", "c"}
	for _, id := range ids {
		l.send(map[string]any{"text": " ", "context_id": id})
	}
	l.send(map[string]any{"close_socket": true})
	for _, id := range ids {
		if m := l.receive(); m["contextId"] != id || m["is_final"] != true {
			t.Errorf("%v, want the end of %s", m, id)
		}
	}
	l = v.dial(t, "/v1/text-to-speech/v/multi-stream-input?output_format=pcm_8000&single_use_token="+v.mint(t, "tts_websocket"))
	for _, id := range append(ids, "one too many") {
		l.send(map[string]any{"text": " ", "context_id": id})
	}
	if m := l.receive(); m["error"] != "max_contexts_exceeded" {
		t.Errorf("a sixth context: %v", m)
	}
}
