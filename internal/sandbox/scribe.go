package sandbox

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/coder/websocket"
)

const (
	maxChunk = 1 << 20 // bytes of decoded audio
	// leastCommit is the audio that a commit needs, in seconds.
	leastCommit = 0.3
)

// scribe is the realtime transcription socket.
type scribe struct {
	*socket
	format     format
	vad        bool
	silenceEnd float64 // seconds of silence that end an utterance
	timestamps bool
	language   string

	heard    level   // since the last commit
	silence  float64 // seconds at the end of heard
	reported int     // samples at the last partial
}

// scribe opens the socket first and judges the token then, as the vendor does.
func (s *Sandbox) scribe(x *exchange) {
	ws := upgrade(x)
	if ws == nil {
		return
	}
	defer ws.end()
	query := x.r.URL.Query()
	if !s.tokens.redeem(query.Get("token"), "realtime_scribe") {
		ws.refuse("auth_error", "You must be authenticated to use this endpoint.")
		return
	}
	session, err := newScribe(ws, query)
	if err != nil {
		ws.refuse("invalid_request", err.Error())
		return
	}
	config := map[string]any{}
	for name := range query {
		if name != "token" {
			config[name] = query.Get(name)
		}
	}
	if !ws.send(map[string]any{"message_type": "session_started", "session_id": "sandbox_" + rand.Text(), "config": config}) {
		return
	}
	if x.fault != nil {
		ws.show(x.fault)
		return
	}
	session.run()
}

// refuse sends an error frame and closes, as the vendor does.
func (s *socket) refuse(kind, message string) {
	s.send(map[string]any{"message_type": kind, "error": message})
	s.close(websocket.StatusNormalClosure, "")
}

// show ends a session with an injected fault.
func (s *socket) show(f *Fault) {
	if f.Kind == "drop" {
		s.end()
		return
	}
	s.refuse(strings.TrimSuffix(f.Kind, "_frame"), "The farebox sandbox was told to fail so.")
}

func newScribe(ws *socket, query url.Values) (*scribe, error) {
	s := &scribe{socket: ws, silenceEnd: 1.5, language: "en"}
	if query.Get("model_id") != "scribe_v2_realtime" {
		return nil, fmt.Errorf("model_id must be scribe_v2_realtime")
	}
	audio := query.Get("audio_format")
	if audio == "" {
		audio = "pcm_16000"
	}
	var err error
	if s.format, err = parseFormat(audio); err != nil {
		return nil, err
	}
	switch query.Get("commit_strategy") {
	case "", "manual":
	case "vad":
		s.vad = true
	default:
		return nil, fmt.Errorf("commit_strategy must be manual or vad")
	}
	if text := query.Get("vad_silence_threshold_secs"); text != "" {
		if s.silenceEnd, err = strconv.ParseFloat(text, 64); err != nil || s.silenceEnd < 0.3 || s.silenceEnd > 3 {
			return nil, fmt.Errorf("vad_silence_threshold_secs must lie between 0.3 and 3")
		}
	}
	s.timestamps = slices.Contains([]string{"true", "1"}, query.Get("include_timestamps"))
	if language := query.Get("language_code"); language != "" {
		s.language = language
	}
	return s, nil
}

// audioChunk is the client's only message.
type audioChunk struct {
	Type       string  `json:"message_type"`
	Audio      *string `json:"audio_base_64"`
	Commit     bool    `json:"commit"`
	SampleRate int     `json:"sample_rate"`
}

func (s *scribe) run() {
	for {
		var chunk audioChunk
		got := s.receive(idleLimit, &chunk)
		if got == gotEnd || got == gotNothing {
			return
		}
		if got == gotMalformed || chunk.Type != "input_audio_chunk" || chunk.Audio == nil {
			if !s.fail("input_error", "Send input_audio_chunk messages with audio_base_64.") {
				return
			}
			continue
		}
		if !s.take(chunk) {
			return
		}
	}
}

func (s *scribe) fail(kind, message string) bool {
	return s.send(map[string]any{"message_type": kind, "error": message})
}

// take hears a chunk; false means that the peer is gone.
func (s *scribe) take(chunk audioChunk) bool {
	data, err := base64.StdEncoding.DecodeString(*chunk.Audio)
	switch {
	case err != nil:
		return s.fail("input_error", "audio_base_64 is not base64.")
	case len(data) > maxChunk:
		return s.fail("chunk_size_exceeded", "A chunk holds more than 1 MiB of audio.")
	case chunk.SampleRate != 0 && chunk.SampleRate != s.format.rate:
		return s.fail("input_error", "sample_rate differs from audio_format.")
	}
	samples, err := s.format.samples(data)
	if err != nil {
		return s.fail("input_error", err.Error())
	}
	s.hear(samples)
	switch {
	case chunk.Commit:
		return s.commit()
	case s.vad && s.silence >= s.silenceEnd && s.heard.peak > quiet:
		return s.commit()
	default:
		return s.partial()
	}
}

func (s *scribe) hear(samples []float64) {
	s.heard.add(samples)
	for i, v := range slices.Backward(samples) {
		if v > quiet || v < -quiet {
			s.silence = s.seconds(len(samples) - 1 - i)
			return
		}
	}
	s.silence += s.seconds(len(samples))
}

func (s *scribe) seconds(samples int) float64 { return float64(samples) / float64(s.format.rate) }

// partial sends what is there so far, each fifth of a second of audio.
func (s *scribe) partial() bool {
	if s.heard.samples-s.reported < s.format.rate/5 {
		return true
	}
	s.reported = s.heard.samples
	words := strings.Fields("This is the farebox sandbox. It has heard")
	shown := min(1+int(s.seconds(s.heard.samples)*5), len(words))
	text := strings.Join(words[:shown], " ")
	if shown == len(words) {
		text += fmt.Sprintf(" %.1f seconds so far", s.seconds(s.heard.samples))
	}
	return s.send(map[string]any{"message_type": "partial_transcript", "text": text})
}

// commit sends the final text of what was heard.
func (s *scribe) commit() bool {
	seconds := s.seconds(s.heard.samples)
	if seconds < leastCommit {
		return s.fail("commit_throttled", "A commit needs at least 0.3 seconds of audio.")
	}
	text := fmt.Sprintf("This is the farebox sandbox. It heard %.1f seconds of audio, loudest at %.0f dBFS.", seconds, loudness(s.heard.peak))
	if s.heard.peak <= quiet {
		text = fmt.Sprintf("This is the farebox sandbox. It heard %.1f seconds of silence.", seconds)
	}
	s.heard, s.silence, s.reported = level{}, 0, 0
	if !s.send(map[string]any{"message_type": "committed_transcript", "text": text}) {
		return false
	}
	if !s.timestamps {
		return true
	}
	return s.send(map[string]any{
		"message_type": "committed_transcript_with_timestamps", "text": text, "language_code": s.language,
		"words": spread(strings.Fields(text), seconds),
	})
}

// spread lays words evenly over a time.
func spread(words []string, seconds float64) []map[string]any {
	all := make([]map[string]any, len(words))
	for i, word := range words {
		all[i] = map[string]any{
			"text": word, "type": "word",
			"start": seconds * float64(i) / float64(len(words)), "end": seconds * float64(i+1) / float64(len(words)),
		}
	}
	return all
}
