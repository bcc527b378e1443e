package sandbox_test

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
)

// tone is pcm_16000 of a sine, by turns of how loud it is, from 0 to 1, and for
// how many seconds.
func tone(t *testing.T, turns ...float64) string {
	t.Helper()
	var data []byte
	for turn := range slices.Chunk(turns, 2) {
		for i := range int(math.Round(turn[1] * 16000)) {
			data = binary.LittleEndian.AppendUint16(data, uint16(int16(turn[0]*32767*math.Sin(2*math.Pi*440*float64(i)/16000))))
		}
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
	if config["language_code"] != "de" || config["token"] != nil || config["sample_rate"] != 16000.0 || config["include_timestamps"] != true {
		t.Errorf("config = %v", config)
	}
	last := ""
	for range 4 {
		l.send(chunk(tone(t, 0.25, 0.5), false))
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
	l.send(chunk(tone(t, 0, 1), true))
	if m := l.until("committed_transcript"); m["text"] != "This is the farebox sandbox. It heard 1.0 seconds of silence." {
		t.Errorf("silence: %q", m["text"])
	}
}

func TestScribeCommitsOnSilenceWhereAsked(t *testing.T) {
	t.Parallel()
	v := start(t)
	l := v.dial(t, scribePath+"&commit_strategy=vad&vad_silence_threshold_secs=0.5&token="+v.mint(t, "realtime_scribe"))
	l.until("session_started")
	l.send(chunk(tone(t, 0.5, 1), false))
	l.send(chunk(tone(t, 0, 0.6), false))
	if m := l.until("committed_transcript"); !strings.Contains(m["text"].(string), "1.5 seconds") {
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
		"no number":          "model_id=scribe_v2_realtime&vad_silence_threshold_secs=NaN",
		"a sure voice":       "model_id=scribe_v2_realtime&vad_threshold=1",
		"too short a speech": "model_id=scribe_v2_realtime&min_speech_duration_ms=1",
		"timestamps maybe":   "model_id=scribe_v2_realtime&include_timestamps=yes",
		"another language":   "model_id=scribe_v2_realtime&language_code=english!",
	} {
		l := v.dial(t, "/v1/speech-to-text/realtime?"+query+"&token="+v.mint(t, "realtime_scribe"))
		if m := l.receive(); m["message_type"] != "invalid_request" {
			t.Errorf("%s: %v", name, m)
		}
	}
	l := v.dial(t, scribePath+"&token="+v.mint(t, "realtime_scribe"))
	l.until("session_started")
	wrongRate := chunk(tone(t, 0, 0.1), false)
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

func TestScribeFindsSilenceInsideAChunkAndLeavesOutWhatCameBefore(t *testing.T) {
	t.Parallel()
	v := start(t)
	l := v.dial(t, scribePath+"&commit_strategy=vad&vad_silence_threshold_secs=0.5&token="+v.mint(t, "realtime_scribe"))
	l.until("session_started")
	l.send(chunk(tone(t, 0, 3), false))
	l.send(chunk(tone(t, 0.5, 1, 0, 0.7, 0.25, 2, 0, 0.3, 0.25, 1, 0, 0.3, 0.25, 1, 0, 0.7), false))
	for _, want := range []string{"1.5 seconds of audio, loudest at -6", "5.1 seconds of audio, loudest at -12"} {
		if m := l.until("committed_transcript"); !strings.Contains(m["text"].(string), want) {
			t.Errorf("text = %q, want %q", m["text"], want)
		}
	}
}

func TestScribeHearsEachFormat(t *testing.T) {
	t.Parallel()
	v := start(t)
	for name, tt := range map[string]struct {
		rate   int
		encode func(int16) []byte
	}{
		"pcm_8000":  {8000, func(s int16) []byte { return binary.LittleEndian.AppendUint16(nil, uint16(s)) }},
		"pcm_48000": {48000, func(s int16) []byte { return binary.LittleEndian.AppendUint16(nil, uint16(s)) }},
		// By G.711, these two are -396 and 396.
		"ulaw_8000": {8000, func(s int16) []byte {
			if s < 0 {
				return []byte{0x5f}
			}
			return []byte{0xdf}
		}},
	} {
		var audio []byte
		for i := range tt.rate {
			audio = append(audio, tt.encode(int16(396-792*(i%2)))...)
		}
		l := v.dial(t, scribePath+"&audio_format="+name+"&token="+v.mint(t, "realtime_scribe"))
		l.until("session_started")
		message := chunk(base64.StdEncoding.EncodeToString(audio), true)
		delete(message, "sample_rate")
		l.send(message)
		if m := l.until("committed_transcript"); m["text"] != "This is the farebox sandbox. It heard 1.0 seconds of audio, loudest at -38 dBFS." {
			t.Errorf("%s: %q", name, m["text"])
		}
	}
}
