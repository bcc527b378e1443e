package sandbox

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/coder/websocket"
)

const (
	maxChunk = 1 << 20 // bytes of decoded audio
	// leastCommit is the audio that a commit needs, in seconds.
	leastCommit = 0.3
	// framesPerSecond is how finely silence is measured.
	framesPerSecond = 50
)

// scribe is the realtime transcription socket.
type scribe struct {
	*socket
	scribeConfig

	heard    level   // since the last commit
	voiced   bool    // some of heard was no silence
	silence  float64 // seconds at the end of heard
	reported int     // samples at the last partial
}

// scribe opens the socket first and judges the token then, as the vendor does.
func (s *Sandbox) scribe(x *exchange) {
	ws := s.upgrade(x)
	if ws == nil {
		return
	}
	defer ws.end()
	query := x.r.URL.Query()
	if !s.tokens.redeem(query.Get("token"), "realtime_scribe") {
		ws.refuse("auth_error", "You must be authenticated to use this endpoint.")
		return
	}
	config, err := readScribeConfig(query)
	if err != nil {
		ws.refuse("invalid_request", err.Error())
		return
	}
	if !ws.send(map[string]any{"message_type": "session_started", "session_id": "sandbox_" + rand.Text(), "config": config.echo(query)}) {
		return
	}
	switch x.frame {
	case "":
		session := &scribe{socket: ws, scribeConfig: config}
		session.run()
	case drop: // ends without a word
	default:
		ws.refuse(x.frame, "The farebox sandbox was told to fail so.")
	}
}

// refuse sends an error frame and closes, as the vendor does.
func (s *socket) refuse(messageType, message string) {
	s.send(map[string]any{"message_type": messageType, "error": message})
	s.close(websocket.StatusNormalClosure, "")
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

func (s *scribe) fail(messageType, message string) bool {
	return s.send(map[string]any{"message_type": messageType, "error": message})
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
	if !s.hear(samples) {
		return false
	}
	if chunk.Commit {
		return s.commit()
	}
	return s.partial()
}

// hear measures samples and, where that is asked for, commits at each silence
// that is long enough. False means that the peer is gone.
func (s *scribe) hear(samples []float64) bool {
	size := s.format.rate / framesPerSecond
	for len(samples) > 0 {
		frame := samples[:min(size, len(samples))]
		samples = samples[len(frame):]
		s.heard.add(frame)
		if silent(frame) {
			s.silence += s.seconds(len(frame))
		} else {
			s.silence, s.voiced = 0, true
		}
		switch {
		case !s.vad:
		case !s.voiced:
			s.forget() // silence ahead of an utterance is no part of it
		case s.silence >= s.silenceEnd && !s.commit():
			return false
		}
	}
	return true
}

func (s *scribe) forget() { s.heard, s.voiced, s.silence, s.reported = level{}, false, 0, 0 }

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
	text := fmt.Sprintf("This is the farebox sandbox. It heard %.1f seconds of audio, loudest at %d dBFS.", seconds, loudness(s.heard.peak))
	if !s.voiced {
		text = fmt.Sprintf("This is the farebox sandbox. It heard %.1f seconds of silence.", seconds)
	}
	s.forget()
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
