//go:build real

package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// listen keeps in the page's log what a connection tells; hum is a second of
// a sound, in chunks.
const listen = `
	window.log = []
	window.all = ['accepted', 'reconnecting', 'ended', 'session_started', 'partial_transcript', 'committed_transcript', 'auth_error', 'quota_exceeded', 'audio', 'error']
	window.listen = (connection) => {
		for (const name of all) connection.on(name, (detail) => log.push([name, detail]))
		return connection
	}
	window.names = () => log.map(([name]) => name)
	window.told = async (name, times = 1) => {
		while (log.filter(([told]) => told === name).length < times) await new Promise((resolve) => setTimeout(resolve, 5))
		return log.findLast(([told]) => told === name)[1]
	}
	const samples = Int16Array.from({length: 16000}, (_, i) => 8000 * Math.sin(i / 10))
	window.hum = Array.from({length: 10}, (_, i) => btoa(String.fromCharCode(...new Uint8Array(samples.buffer, i * 3200, 3200))))
	window.speakInto = (scribe) => {
		for (const audioBase64 of hum) scribe.send({audioBase64})
		scribe.send({audioBase64: '', commit: true})
	}
	window.Scribe ??= null
	window.scribe = () => listen(farebox.connectScribe({modelId: 'scribe_v2_realtime', audioFormat: 'pcm_16000', sampleRate: 16000}))
	return true`

func openLive(t *testing.T) *guest {
	t.Helper()
	s := openGuest(t)
	eval[bool](s, listen)
	return s
}

// told are the names of what a connection told, without repeated partials.
func (s *guest) told() []string {
	s.t.Helper()
	return slices.Compact(eval[[]string](s, `return names()`))
}

func (s *guest) wantTold(t *testing.T, want ...string) {
	t.Helper()
	if got := s.told(); !slices.Equal(got, want) {
		t.Errorf("it told %v, want %v", got, want)
	}
}

func TestTheSDKTranscribesOnAnAcceptedSocket(t *testing.T) {
	t.Parallel()
	s := openLive(t)
	s.w.spoil()
	// What is sent before anything is open is not lost.
	got := eval[string](s, `
		window.live = scribe()
		speakInto(live)
		const first = await live.ready
		const {text} = await told('committed_transcript')
		return first.message_type + ': ' + text`)
	if !strings.HasPrefix(got, "session_started: ") || !strings.Contains(got, "It heard 1.0 seconds of audio") {
		t.Errorf("it heard %q", got)
	}
	s.wantTold(t, "accepted", "session_started", "partial_transcript", "committed_transcript")
	config := eval[map[string]any](s, `return log[1][1].config`)
	if config["model_id"] != "scribe_v2_realtime" || config["audio_format"] != "pcm_16000" || config["token"] != nil {
		t.Errorf("the socket was opened with %v", config)
	}

	// Closed by the page, it stays closed.
	if code := eval[string](s, `
		live.close()
		const {code} = await told('ended')
		live.close()
		live.send({audioBase64: ''})
		return code`); code != "aborted" {
		t.Errorf("it ended with %q", code)
	}
	s.wantTold(t, "accepted", "session_started", "partial_transcript", "committed_transcript", "ended")
	s.w.wantAsked(t, 1, 1)
}

func TestTheSDKTakesANewTokenAfterADrop(t *testing.T) {
	t.Parallel()
	s := openLive(t)
	s.w.spoil()
	eval[bool](s, `window.live = scribe(); await live.ready; return true`)
	s.w.cut()
	text := eval[string](s, `
		await told('reconnecting')
		speakInto(live)
		await told('accepted', 2)
		return (await told('committed_transcript')).text`)
	if !strings.Contains(text, "1.0 seconds") {
		t.Errorf("what was said in between: %q", text)
	}
	s.wantTold(t, "accepted", "session_started", "reconnecting", "accepted", "session_started", "partial_transcript", "committed_transcript")
	s.w.wantAsked(t, 2, 2)
	if code := eval[string](s, `return log.find(([name]) => name === 'reconnecting')[1].code`); code != "network" {
		t.Errorf("it reconnected for %s", code)
	}

	// A prefetched token serves a connection as well as a call.
	s.w.spoil()
	eval[bool](s, `await farebox.prefetch('realtime_scribe'); live.close(); log.length = 0; live = scribe(); await live.ready; return true`)
	s.w.wantAsked(t, 1, 1)
}

func TestTheSDKComesBackWhenTheNetworkDoes(t *testing.T) {
	t.Parallel()
	s := openLive(t)
	eval[bool](s, `window.live = scribe(); await live.ready; return true`)
	away := answerWith(502, "", "text/html", "<h1>Away</h1>")
	s.w.spoil(away, lose, away)
	s.w.cut()
	eval[bool](s, `await told('accepted', 2); return true`)
	s.w.wantAsked(t, 4, 1)
	s.wantTold(t, "accepted", "session_started", "reconnecting", "accepted", "session_started")
}

func TestTheSDKTakesAnOpenSocketForNoAcceptedOne(t *testing.T) {
	t.Parallel()
	s := openLive(t)
	s.w.spoil(amend(map[string]any{"token": "sutkn_used"}))
	eval[bool](s, `window.live = scribe(); await live.ready; return true`)
	s.wantTold(t, "auth_error", "reconnecting", "accepted", "session_started")
	s.w.wantAsked(t, 2, 2)

	s.w.spoil(amend(map[string]any{"token": "sutkn_used"}))
	eval[bool](s, `
		live.close()
		await told('ended')
		log.length = 0
		live = listen(farebox.connectSpeech({voiceId: 'v1', outputFormat: 'pcm_16000'}))
		live.send({text: 'Hello there. '})
		live.send({text: ''})
		await told('ended')
		return true`)
	// The text was sent again, on the socket that was accepted.
	s.wantTold(t, "auth_error", "reconnecting", "accepted", "audio", "ended")
	s.w.wantAsked(t, 2, 2)
}

func TestTheSDKReconnectsOnlyWhereANewTokenHelps(t *testing.T) {
	t.Parallel()
	s := openLive(t)
	// Pauses are not waited for.
	eval[bool](s, `Math.random = () => 0; return true`)
	for _, kind := range []string{"quota_exceeded", "unaccepted_terms"} {
		s.w.spoil()
		s.d.fault("scribe", kind, 1)
		got := eval[map[string]any](s, `
			log.length = 0
			window.live = scribe()
			const error = await told('ended')
			return {code: error.code, isTyped: error instanceof FareboxError, kind: error.cause.message_type, reconnecting: names().includes('reconnecting')}`)
		if got["code"] != "vendor_error" || got["isTyped"] != true || got["kind"] != kind || got["reconnecting"] != false {
			t.Errorf("%s: %v", kind, got)
		}
		s.w.wantAsked(t, 1, 1)
	}
	for _, kind := range []string{"rate_limited", "resource_exhausted", "session_time_limit_exceeded", "drop"} {
		s.w.spoil()
		s.d.fault("scribe", kind, 1)
		eval[bool](s, `
			log.length = 0
			window.live = scribe()
			await told('accepted', 2)
			live.close()
			return true`)
		s.w.wantAsked(t, 2, 2)
		eval[bool](s, `window.jwt = await signIn({sub: 'ada' + Math.random() + Date.now()}); return true`)
	}

	// Nor without end.
	s.w.spoil()
	s.d.fault("scribe", "drop", 100)
	code := eval[string](s, `
		log.length = 0
		window.live = scribe()
		return (await told('ended')).code`)
	if code != "network" {
		t.Errorf("it ended with %s", code)
	}
	s.w.wantAsked(t, 6, 6)

	// Nor where no token is to be had.
	s.w.spoil(refuse(403, "token_type_not_allowed", ""))
	if code := eval[string](s, `
		log.length = 0
		window.live = scribe()
		const early = await failure(live.ready)
		return early.code + ' ' + (await told('ended')).code`); code != "token_type_not_allowed token_type_not_allowed" {
		t.Errorf("it ended with %s", code)
	}
	s.w.wantAsked(t, 1, 1)

	// Nor before it was asked to come back.
	s.w.spoil(refuse(429, "quota_exhausted", "3600"))
	if code := eval[string](s, `
		log.length = 0
		window.live = scribe()
		return (await told('ended')).code`); code != "quota_exhausted" {
		t.Errorf("it ended with %s", code)
	}
	s.w.wantAsked(t, 1, 1)
}

func TestTheSDKSpeaks(t *testing.T) {
	t.Parallel()
	s := openLive(t)
	s.w.spoil()
	got := eval[map[string]any](s, `
		const speech = listen(farebox.connectSpeech({voiceId: 'v1', modelId: 'eleven_flash_v2_5', outputFormat: 'pcm_16000', voiceSettings: {similarityBoost: 0.8}}))
		speech.send({text: 'Hello there. ', tryTriggerGeneration: true})
		await speech.ready
		speech.send({text: 'And goodbye. '})
		speech.send({text: ''})
		const end = await told('ended')
		const audio = log.filter(([name]) => name === 'audio').map(([, frame]) => frame)
		return {end, bytes: audio.map(({audio}) => atob(audio ?? '').length).reduce((a, b) => a + b), isFinal: audio.at(-1).isFinal}`)
	if got["end"] != nil || got["bytes"].(float64) < 1000 || got["isFinal"] != true {
		t.Errorf("it spoke %v", got)
	}
	s.wantTold(t, "accepted", "audio", "ended")
	s.w.wantAsked(t, 1, 1)

	s.w.spoil()
	s.d.fault("speech", "drop", 1)
	eval[bool](s, `
		log.length = 0
		const speech = listen(farebox.connectSpeech({voiceId: 'v1', outputFormat: 'pcm_16000'}))
		speech.send({text: 'Once more. '})
		speech.send({text: ''})
		await told('ended')
		return true`)
	s.wantTold(t, "reconnecting", "accepted", "audio", "ended")
	s.w.wantAsked(t, 2, 2)
}

func TestTheSDKTakesAVoiceForOnePartOfTheAddress(t *testing.T) {
	t.Parallel()
	s := openLive(t)
	const want = "/v1/text-to-speech/..%2F..%2Fa%3Fb%23c/stream-input"
	if got := eval[string](s, `
		let opened
		window.WebSocket = function (url) {
			opened = new URL(url).pathname
			throw new Error('far enough')
		}
		await farebox.connectSpeech({voiceId: '../../a?b#c'}).ready.catch(() => {})
		return opened`); got != want {
		t.Errorf("the socket is opened at %s, want %s", got, want)
	}
}

func TestTheSDKAsksNothingForAMountThatIsUndoneAtOnce(t *testing.T) {
	t.Parallel()
	s := openLive(t)
	s.w.spoil()
	// What React's StrictMode does with an effect and its clean-up.
	eval[bool](s, `
		await farebox.prefetch('tts_websocket')
		const once = farebox.connectSpeech({voiceId: 'v1'})
		once.close()
		const first = scribe()
		first.close()
		window.live = scribe()
		await live.ready
		speakInto(live)
		await told('committed_transcript')
		return true`)
	s.wantTold(t, "ended", "accepted", "session_started", "partial_transcript", "committed_transcript")
	s.w.wantAsked(t, 2, 2)
	// What was closed at once did not use up the token that was kept either.
	eval[bool](s, `await farebox.token('tts_websocket'); return true`)
	s.w.wantAsked(t, 2, 2)
	s.wantSockets(t, 1)

	if sessions := eval[int](s, `
		let sessions = 0
		make({getSession: () => { sessions++; return jwt }}).connectScribe({modelId: 'scribe_v2_realtime'}).close()
		await new Promise((resolve) => setTimeout(resolve))
		return sessions`); sessions != 0 {
		t.Error("a session was asked for, for nothing")
	}

	// Undone later, it leaves no socket.
	gate := make(chan struct{})
	s.w.spoil(hold(gate))
	eval[bool](s, `
		log.length = 0
		const later = scribe()
		await new Promise((resolve) => setTimeout(resolve, 20))
		later.close()
		await told('ended')
		return true`)
	close(gate)
	s.wantTold(t, "ended")
	s.wantSockets(t, 1)
}

// wantSockets checks how many transcription sockets were ever opened.
func (s *guest) wantSockets(t *testing.T, want int) {
	t.Helper()
	calls := do(t, "GET", s.d.sandbox+"/_sandbox/calls", nil, "")
	if got := strings.Count(calls.raw, fmt.Sprintf(`"operation":%q`, "scribe")); got != want {
		t.Errorf("%d sockets were opened, want %d", got, want)
	}
}

func TestTheSDKLivesThroughDropsThatLieFarApart(t *testing.T) {
	t.Parallel()
	s := openLive(t)
	eval[bool](s, `
		Math.random = () => 0
		const now = Date.now
		window.ahead = 0
		Date.now = () => now() + ahead
		window.live = scribe()
		return true`)
	for drops := 1; drops <= 7; drops++ {
		eval[bool](s, fmt.Sprintf(`await told('accepted', %d); ahead += 31000; return true`, drops))
		s.w.cut()
	}
	eval[bool](s, `await told('accepted', 8); return true`)
}

func TestTheSDKGivesUpASocketThatStaysSilent(t *testing.T) {
	t.Parallel()
	s := openLive(t)
	s.w.spoil()
	s.d.fault("scribe", "hang", 1)
	// The first wait of ten seconds is over when the test says so.
	eval[bool](s, `
		const real = setTimeout
		window.setTimeout = (then, time) => {
			if (time !== 10000) return real(then, time)
			window.setTimeout = real
			window.giveUp = then
		}
		window.live = scribe()
		return true`)
	s.sees(fmt.Sprintf(`fetch(%q).then((answer) => answer.json()).then(({calls}) => calls.some(({operation}) => operation === 'scribe'))`, s.w.url+"/_sandbox/calls"))
	code := eval[string](s, `
		giveUp()
		await live.ready
		return log[0][1].code`)
	if code != "timeout" {
		t.Errorf("it reconnected for %s", code)
	}
	s.wantTold(t, "reconnecting", "accepted", "session_started")
	s.w.wantAsked(t, 2, 2)
}

func TestTheSDKKeepsTheLatestOfWhatWaits(t *testing.T) {
	t.Parallel()
	s := openLive(t)
	text := eval[string](s, `
		window.live = farebox.connectScribe({modelId: 'scribe_v2_realtime', audioFormat: 'pcm_16000'})
		live.on('accepted', () => { throw new Error('a listener that throws stops nothing') })
		listen(live)
		for (let i = 0; i < 600; i++) live.send({audioBase64: hum[0]})
		live.send({audioBase64: '', commit: true})
		return (await told('committed_transcript')).text`)
	s.wantTold(t, "accepted", "session_started", "partial_transcript", "committed_transcript")
	// The last of 500 frames is the commit.
	if !strings.Contains(text, "It heard 49.9 seconds") {
		t.Errorf("it heard %q", text)
	}
}
