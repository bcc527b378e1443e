//go:build real

package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// strict is the policy of a page that allows itself as little as docs/embed.md
// says it can: of farebox its scripts and answers, of the vendor its sockets.
const strict = "default-src 'none'; script-src 'self' %[1]s; connect-src %[1]s %[2]s; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// watch keeps what the page's policy was broken by, and what elements tell at
// the document's very top.
const watch = `
	window.violations = []
	document.addEventListener('securitypolicyviolation', (event) => violations.push(event.violatedDirective + ' ' + event.blockedURI))
	window.events = []
	for (const name of ['state', 'partial', 'transcript', 'error']) {
		addEventListener(name, ({detail, target}) => detail && events.push({...detail, isTyped: detail instanceof Error, id: target.id, name}))
	}`

// helpers are for the tests' own steps.
const helpers = `
	window.part = (name, voice = document.querySelector('farebox-voice')) => voice.shadowRoot.querySelector('[part~=' + name + ']')
	window.states = (id = 'voice') => events.filter((event) => event.id === id && event.name === 'state').map(({state}) => state)
	window.until = async (holds) => { while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5)) }
	window.tracks = []
	const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices)
	navigator.mediaDevices.getUserMedia = async (asked) => {
		const stream = await real(asked)
		tracks.push(...stream.getTracks())
		return stream
	}
	await customElements.whenDefined('farebox-voice')
	for (const voice of document.querySelectorAll('farebox-voice')) voice.getSession = () => jwt
	return true`

// openHost shows a page of another origin, confined as strictly as it can be,
// that embeds elements.
func openHost(t *testing.T, markup string, env ...string) *guest {
	t.Helper()
	d := startDev(t, env...)
	s := &guest{browser: openBrowser(t), d: d, w: d.wire()}
	mux := http.NewServeMux()
	mux.HandleFunc("/watch.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write([]byte(watch))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", fmt.Sprintf(strict, s.w.url, "ws"+strings.TrimPrefix(s.w.url, "http")))
		h.Set("Permissions-Policy", "microphone=(self), camera=()")
		h.Set("Cross-Origin-Embedder-Policy", "require-corp")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><title>A page of somebody's</title><script src="watch.js"></script>
			<script type="module" src="%s/sdk/farebox-voice.js"></script><main><h1>Embedded</h1>%s</main>`, s.w.url, markup)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.visit(server.URL)
	eval[bool](s, helpers)
	s.w.spoil()
	return s
}

// wantObeyed fails the test where the page broke its policy, or complained.
func (s *guest) wantObeyed(t *testing.T) {
	t.Helper()
	if broken := eval[[]string](s, `return violations`); len(broken) > 0 {
		t.Errorf("the page's policy was broken: %v", broken)
	}
}

func TestTheElementTranscribesAndSpeaksUnderAStrictPolicy(t *testing.T) {
	t.Parallel()
	s := openHost(t, `<form><farebox-voice id="voice" name="said" required></farebox-voice></form>`)
	if eval[bool](s, `return voice.checkValidity()`) {
		t.Error("a form that needs a transcript has none and may go")
	}
	s.w.wantAsked(t, 0, 0)

	eval[bool](s, `part('speak-button').click(); await until(() => events.some(({name, text}) => name === 'partial' && text.includes('seconds so far'))); return true`)
	if got := eval[string](s, `return part('speak-button').innerText + '|' + part('hear-button').ariaDisabled + '|' + part('meter').ariaValueNow`); !strings.HasPrefix(got, "Stop|true|-") {
		t.Errorf("while it listens: %s", got)
	}
	text := eval[string](s, `
		part('speak-button').click()
		await until(() => voice.state === 'idle')
		return events.filter(({name}) => name === 'transcript').map(({text}) => text).join('\n')`)
	if !strings.Contains(text, "It heard") || strings.Contains(text, "silence") {
		t.Errorf("it committed %q", text)
	}
	if got := eval[[]string](s, `return [voice.value, new FormData(voice.form).get('said'), part('committed').innerText.replace(/\n+/g, '\n'), String(voice.checkValidity())]`); !slices.Equal(got, []string{text, text, text, "true"}) {
		t.Errorf("value, form and page have %q", got)
	}
	if got := eval[[]string](s, `return states()`); !slices.Equal(got, []string{"starting", "connecting", "listening", "stopping", "idle"}) {
		t.Errorf("it was %v", got)
	}
	s.w.wantAsked(t, 1, 1)

	if got := eval[[]string](s, `
		events.length = 0
		part('text').value = 'Hello there. And goodbye.'
		part('hear-button').click()
		await until(() => voice.state === 'speaking')
		const pen = part('wave').getContext('2d', {willReadFrequently: true})
		const isDrawn = () => pen.getImageData(0, 0, part('wave').width, part('wave').height).data.some((value) => value > 0)
		await until(() => (window.drawn = isDrawn()) || voice.state === 'idle')
		await until(() => voice.state === 'idle')
		return states()`); !slices.Equal(got, []string{"connecting", "speaking", "idle"}) {
		t.Errorf("it was %v", got)
	}
	if !eval[bool](s, `return drawn`) {
		t.Error("the wave is not drawn")
	}
	s.w.wantAsked(t, 2, 2)

	eval[bool](s, `voice.form.reset(); return true`)
	if got := eval[string](s, `return voice.value + part('committed').innerText`); got != "" {
		t.Errorf("after the form's reset it has %q", got)
	}
	s.wantObeyed(t)
	s.calm()
}

func TestTheElementGoesOnAfterADrop(t *testing.T) {
	t.Parallel()
	s := openHost(t, `<farebox-voice id="voice" mode="speak"></farebox-voice>`)
	eval[bool](s, `voice.start(); await until(() => part('partial').textContent.includes('seconds so far')); return true`)
	s.w.cut()
	// What was being said is kept, for the new socket does not know it.
	eval[bool](s, `
		await until(() => states().filter((state) => state === 'listening').length === 2)
		window.kept = voice.value
		await until(() => part('partial').textContent.includes('seconds so far'))
		await voice.stop()
		return true`)
	if got := eval[[]string](s, `return states()`); !slices.Equal(got, []string{"starting", "connecting", "listening", "reconnecting", "listening", "stopping", "idle"}) {
		t.Errorf("it was %v", got)
	}
	if !eval[bool](s, `return kept.includes('seconds so far') && voice.value.startsWith(kept + '\n') && voice.value.includes('It heard') && !part('error').textContent`) {
		t.Error("something is lost, or an error is shown")
	}
	s.w.wantAsked(t, 2, 2)

	s.d.fault("speech", "drop", 1)
	eval[bool](s, `voice.mode = 'hear'; events.length = 0; await voice.hear('Once more. '); return true`)
	if got := eval[[]string](s, `return states()`); !slices.Equal(got, []string{"connecting", "reconnecting", "speaking", "idle"}) {
		t.Errorf("it was %v", got)
	}

	// Sound that was cut off is said again, from the start.
	if got := eval[[]string](s, `
		const Real = WebSocket
		window.WebSocket = class extends Real {
			set onmessage(listener) {
				super.onmessage = (event) => {
					listener(event)
					if (!JSON.parse(event.data).audio) return
					window.WebSocket = Real
					super.onmessage = null
					this.onclose({code: 1006})
				}
			}
		}
		events.length = 0
		await voice.hear('And once more.')
		return states()`); !slices.Equal(got, []string{"connecting", "speaking", "reconnecting", "speaking", "idle"}) {
		t.Errorf("it was %v", got)
	}
	s.w.wantAsked(t, 6, 6)
	s.wantObeyed(t)
}

func TestTheElementKeepsWhatWasSetBeforeItWasThere(t *testing.T) {
	t.Parallel()
	s := openHost(t, ``)
	if got := eval[[]string](s, `
		const voice = document.implementation.createHTMLDocument().createElement('farebox-voice')
		Object.assign(voice, {mode: 'hear', labels: {hear: 'Los'}, value: 'before', getSession: () => jwt, id: 'early'})
		document.querySelector('main').append(voice)
		part('hear-button').click()
		const focused = voice.shadowRoot.activeElement.id
		await voice.hear('Hello.')
		return [voice.getAttribute('mode'), part('hear-button').innerText, part('committed').innerText, focused, ...states('early')]`); !slices.Equal(got,
		[]string{"hear", "Los", "before", "text", "connecting", "speaking", "idle"}) {
		t.Errorf("it has %q", got)
	}
	s.wantObeyed(t)
}

func TestTheElementLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := openHost(t, `<farebox-voice id="voice"></farebox-voice><farebox-voice id="other"></farebox-voice><div id="elsewhere"></div>`)
	// Two on a page, each on its own.
	s.run(chromedp.Evaluate[chromedp.Void](`voice.start(); other.start()`))
	eval[bool](s, `await until(() => voice.state === 'listening' && other.state === 'listening'); return true`)
	s.w.wantAsked(t, 2, 2)
	s.wantSockets(t, 2)

	// Moved, it goes on; gone, it ends.
	eval[bool](s, `
		elsewhere.append(voice)
		elsewhere.moveBefore?.(other, voice)
		await until(() => other.shadowRoot.querySelector('[part~=partial]').textContent.includes('so far'))
		return true`)
	if got := eval[[]string](s, `return [voice.state, other.state]`); !slices.Equal(got, []string{"listening", "listening"}) {
		t.Errorf("once moved they are %v", got)
	}
	if got := eval[[]string](s, `
		const gone = voice
		window.other = other // by its name alone it would be gone, too
		gone.remove()
		await until(() => gone.state === 'idle')
		return [other.state, ...tracks.map(({readyState}) => readyState)]`); !slices.Equal(got, []string{"listening", "ended", "live"}) {
		t.Errorf("with one gone, the other and the microphones are %v", got)
	}
	s.w.wantAsked(t, 2, 2)

	// Gone while the microphone is asked for, or undone at once.
	s.w.spoil()
	if got := eval[[]string](s, `
		await other.stop()
		let give
		const asked = new Promise((resolve) => { give = resolve })
		const real = navigator.mediaDevices.getUserMedia
		window.asks = 0
		navigator.mediaDevices.getUserMedia = async (what) => { asks++; await asked; return real(what) }
		const turn = other.start()
		await until(() => asks === 1)
		other.remove()
		await turn
		give()
		await until(() => tracks.length === 3 && tracks[2].readyState === 'ended')
		elsewhere.append(other)
		other.start()
		other.stop()
		other.start()
		await other.stop()
		await other.hear('  ')
		return [other.state, String(asks)]`); !slices.Equal(got, []string{"idle", "1"}) {
		t.Errorf("state and requests for the microphone: %v", got)
	}
	s.w.wantAsked(t, 0, 0)
	s.wantSockets(t, 2)
	s.wantObeyed(t)
	s.calm()
}

func TestTheElementTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := openHost(t, `<farebox-voice id="voice"></farebox-voice>`)
	type told struct {
		Code, Name, Words string
		IsTyped           bool
	}
	for name, tt := range map[string]struct {
		before, code, words string
		spoils              []spoil
		asked               int
	}{
		"nobody is signed in": {`voice.getSession = () => null; await voice.start()`, "session_missing", "Sign in", nil, 1},
		"a limit":             {`await voice.hear('Hello.')`, "quota_exhausted", "Genug für heute.", []spoil{refuse(429, "quota_exhausted", "3600")}, 1},
		"a policy":            {`await voice.hear('Hello.')`, "token_type_not_allowed", "may not", []spoil{refuse(403, "token_type_not_allowed", "")}, 1},
		"an operator's fault": {`await voice.hear('Hello.')`, "vendor_refused", "went wrong", []spoil{refuse(503, "vendor_refused", "60")}, 1},
		"no microphone given": {`const real = navigator.mediaDevices.getUserMedia; navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError')); await voice.start(); navigator.mediaDevices.getUserMedia = real`, "microphone_refused", "Allow", nil, 0},
		"no microphone there": {`const real = navigator.mediaDevices.getUserMedia; navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotFoundError')); await voice.start(); navigator.mediaDevices.getUserMedia = real`, "microphone_missing", "no microphone", nil, 0},
		"a worklet away":      {`const real = AudioWorklet.prototype.addModule; AudioWorklet.prototype.addModule = () => Promise.reject(new DOMException('no', 'AbortError')); await voice.start(); AudioWorklet.prototype.addModule = real`, "network", "no connection", nil, 0},
		"no address":          {`voice.baseUrl = 'http://'; await voice.start(); voice.baseUrl = null`, "invalid_request", "went wrong", nil, 0},
	} {
		s.w.spoil(tt.spoils...)
		got := eval[told](s, `
			events.length = 0
			voice.getSession = () => jwt
			voice.labels = {quota_exhausted: 'Genug für heute.', speak: 'Sprechen'}
			`+tt.before+`
			const {code, isTyped} = events.find(({name}) => name === 'error')
			return {code, isTyped, name: part('speak-button').innerText, words: part('error').innerText}`)
		if got.Code != tt.code || !got.IsTyped || !strings.Contains(got.Words, tt.words) || got.Name != "Sprechen" {
			t.Errorf("%s: %+v", name, got)
		}
		s.w.wantAsked(t, tt.asked, tt.asked)
	}

	// The next turn clears it; a disabled one has none.
	s.w.spoil()
	if got := eval[string](s, `
		voice.getSession = () => jwt
		await voice.hear('Hello.')
		const cleared = part('error').innerText
		voice.disabled = true
		await voice.start()
		part('speak-button').click()
		return cleared + voice.state + part('speak-button').ariaDisabled`); got != "idletrue" {
		t.Errorf("it shows %s", got)
	}
	s.w.wantAsked(t, 1, 1)
	s.wantObeyed(t)
}

func TestTheElementIsAccessibleInBothThemes(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile(npmDir + "/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatal("packages from npm are not installed; make deps installs them")
	}
	d := startDev(t)
	s := &guest{browser: openBrowser(t), d: d, w: d.wire()}
	s.load(fmt.Sprintf(`<!doctype html><html lang="en"><title>A page of somebody's</title><script type="module" src="%s/sdk/farebox-voice.js"></script>
		<main><h1>Embedded</h1><farebox-voice></farebox-voice></main>`, s.w.url))
	eval[bool](s, watch+helpers)
	s.run(chromedp.Evaluate[chromedp.Void](string(axe) + ";undefined"))
	colours := map[string]string{}
	for _, theme := range []string{"light", "dark"} {
		// At rest, while it listens, and after an error.
		for _, step := range []string{
			``,
			`voice.start(); await until(() => part('partial').textContent.includes('so far'))`,
			`await voice.stop(); voice.getSession = () => null; await voice.start()`,
		} {
			broken := eval[[]string](s, fmt.Sprintf(`
				window.voice = document.querySelector('farebox-voice')
				voice.getSession = () => jwt
				document.documentElement.style.colorScheme = %[1]q
				document.body.style.background = %[1]q === 'dark' ? 'black' : 'white'
				document.body.style.color = %[1]q === 'dark' ? 'white' : 'black'
				%[2]s
				const {violations} = await axe.run()
				return violations.map(({id, nodes}) => id + ' ' + nodes.map(({html, failureSummary}) => html + failureSummary).join())`, theme, step))
			for _, violation := range broken {
				t.Errorf("%s, after %q: %s", theme, step, violation)
			}
		}
		colours[theme] = eval[string](s, `return getComputedStyle(voice).backgroundColor + getComputedStyle(part('speak-button')).backgroundColor`)
	}
	if colours["light"] == colours["dark"] {
		t.Errorf("both themes are %s", colours["light"])
	}
	// The page's own look, from outside.
	if got := eval[string](s, `
		voice.style.setProperty('--farebox-accent', 'rgb(1, 2, 3)')
		const rule = new CSSStyleSheet()
		rule.replaceSync('farebox-voice::part(speak-button) { border-radius: 77px }')
		document.adoptedStyleSheets = [rule]
		const {backgroundColor, borderRadius} = getComputedStyle(part('speak-button'))
		return backgroundColor + borderRadius`); got != "rgb(1, 2, 3)77px" {
		t.Errorf("the page's own look came out as %s", got)
	}
}
