//go:build real

package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a real headless Chromium with one page open.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string // what the page's console complained of
}

// openBrowser starts one; with names, it finds each of them, "name:port" for one
// port of it, at an address.
func openBrowser(t *testing.T, names ...[2]string) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is not installed; make deps installs it")
	}
	rules := make([]string, len(names))
	for i, name := range names {
		rules[i] = "MAP " + name[0] + " " + name[1]
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		// A microphone that hums, and no question about it.
		chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.Flag("host-resolver-rules", strings.Join(rules, ",")), chromedp.Flag("ignore-certificate-errors", len(names) > 0),
	)...)
	t.Cleanup(stop)
	ctx, closePage := chromedp.NewContext(allocator)
	t.Cleanup(closePage)
	b := &browser{t: t, ctx: ctx}
	// The first action starts the browser; its context must outlive all others.
	b.run(chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
		_, err := cdp.Call(ctx, page, log.Enable, cdp.Empty{})
		return err
	}))
	bounded, cancel := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	b.ctx = bounded
	t.Cleanup(func() {
		page, _ := chromedp.Run(bounded, chromedp.Evaluate[string](`document.documentElement.outerHTML`)) // if it is still there
		if found := secrets.find([]byte(page)); found != "" {
			t.Errorf("the page shows %s", found)
		}
	})
	entries := chromedp.Events(bounded, log.EntryAdded)
	go func() {
		for e, err := range entries {
			if err != nil {
				return
			}
			if e.Entry.Level == "error" {
				b.complain(e.Entry.Text)
			}
		}
	}()
	thrown := chromedp.Events(bounded, runtime.ExceptionThrown)
	go func() {
		for e, err := range thrown {
			if err != nil {
				return
			}
			b.complain(e.ExceptionDetails.Text)
		}
	}()
	return b
}

func (b *browser) complain(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, text)
}

func (b *browser) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.fatal(err)
	}
}

// read runs an action that has a value.
func read[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.fatal(err)
	}
	return value
}

func (b *browser) fatal(err error) {
	b.t.Helper()
	page, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.t.Fatalf("%v; the page shows:\n%s\nand complained: %v", err, page, b.problems)
}

// calm fails the test where the page has complained.
func (b *browser) calm() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, what := range b.problems {
		b.t.Errorf("the page complained: %s", what)
	}
}

// id finds an element by its data-testid.
func id(name string) chromedp.CSS { return chromedp.CSS(fmt.Sprintf(`[data-testid=%q]`, name)) }

func (b *browser) click(name string) {
	b.t.Helper()
	b.run(chromedp.Click(id(name), chromedp.NodeEnabled))
}

// shows waits until an element's text holds words, and returns it.
func (b *browser) shows(selector chromedp.CSS, words string) string {
	b.t.Helper()
	return read(b, chromedp.Poll[string](
		fmt.Sprintf(`(() => { const e = document.querySelector(%q); return e && e.innerText.includes(%q) ? e.innerText : null })()`, selector, words),
		chromedp.WithPollingTimeout(40*time.Second)))
}

func (b *browser) signIn(url, name string) {
	b.t.Helper()
	b.run(chromedp.Navigate(url+"/"),
		chromedp.SetValue(id("sign-in-name"), name))
	b.click("sign-in-button")
	b.shows(id("signed-in"), name)
}

func TestThePageFromSignInToCommittedTranscriptAndRefusedReuse(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := openBrowser(t)
	b.run(chromedp.Navigate(d.url + "/"))
	b.shows(id("dev-note"), "sandbox")
	b.signIn(d.url, "ada")

	b.click("speak-sample")
	b.shows(id("transcript-partial"), "This is the farebox sandbox")
	committed := b.shows(id("transcript-committed"), "It heard")
	if !strings.Contains(committed, "This is the farebox sandbox. It heard") || !strings.Contains(committed, "seconds of audio") {
		t.Errorf("committed: %q", committed)
	}
	b.run(chromedp.WaitVisible(chromedp.CSS(`[data-testid=ticket][data-state=used]`)))

	// The whole token stands nowhere on the page.
	page := read(b, chromedp.Evaluate[string](`document.documentElement.outerHTML`))
	if i := strings.Index(page, "sutkn_sandbox_"); i >= 0 && len(strings.FieldsFunc(page[i:], func(r rune) bool {
		return !(r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
	})[0]) > 20 {
		t.Errorf("a whole token is shown: %.60s", page[i:])
	}

	b.run(chromedp.Click(chromedp.CSS(`[data-testid=ticket][data-state=used] [data-testid=ticket-try-again]`)))
	b.run(chromedp.WaitVisible(chromedp.CSS(`[data-testid=ticket][data-state=refused]`)))
	b.shows(`[data-testid=ticket][data-state=refused]`, "")

	b.calm()
}

func TestThePageHearsAMicrophoneAndSpeaks(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := openBrowser(t)
	b.signIn(d.url, "ada")
	b.click("speak-mic")
	b.shows(id("transcript-partial"), "seconds so far")
	b.click("speak-stop")
	if text := b.shows(id("transcript-committed"), "It heard"); strings.Contains(text, "silence") {
		t.Errorf("the microphone's hum was not heard: %q", text)
	}
	b.click("speech-play")
	read(b, chromedp.Poll[bool](`document.querySelector('[data-testid=speech-status]').dataset.state === 'done'`, chromedp.WithPollingTimeout(40*time.Second)))
	b.calm()
}

func TestThePageTellsErrorsInWords(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := openBrowser(t)
	b.signIn(d.url, "ada")
	names := read(b, chromedp.Evaluate[[]string](`[...document.querySelectorAll('[data-testid^=provoke-]')].map(e => e.dataset.testid)`))
	if len(names) < 3 {
		t.Fatalf("only %v can be provoked", names)
	}
	for _, name := range names {
		code := read(b, chromedp.Evaluate[string](fmt.Sprintf(`document.querySelector('[data-testid=%s] code').innerText.split(' ').pop()`, name)))
		b.click(name)
		words := read(b, chromedp.Poll[string](fmt.Sprintf(`(() => { const e = document.querySelector('[data-testid=error][data-code=%s]'); return e && e.innerText.length > 20 ? e.innerText : null })()`, code), chromedp.WithPollingTimeout(40*time.Second)))
		if strings.Contains(words, "undefined") || strings.Contains(words, "!") {
			t.Errorf("%s says: %s", code, words)
		}
	}
	b.shows(id("signed-in"), "ada")
	b.confined()
}

func TestThePageFitsAPhoneInBothThemes(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := openBrowser(t)
	backgrounds := map[string]string{}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{320, 360, 640, 1024, 1280} {
			b.run(chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
				_, err := cdp.Call(ctx, page, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
				})
				return err
			}),
				chromedp.EmulateViewport(width, 800), chromedp.Navigate(d.url+"/"))
			over := read(b, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`))
			if over > 0 {
				t.Errorf("at %d px, %s, the page is %d px too wide", width, scheme, over)
			}
			backgrounds[scheme] = read(b, chromedp.Evaluate[string](`getComputedStyle(document.body).backgroundColor + getComputedStyle(document.documentElement).backgroundColor`))
		}
	}
	if backgrounds["light"] == backgrounds["dark"] {
		t.Errorf("both themes have the background %s", backgrounds["light"])
	}
	unnamed := read(b, chromedp.Evaluate[[]string](`[...document.querySelectorAll('button, input, textarea, select, a')].filter(e => !(e.innerText || e.getAttribute('aria-label') || e.labels?.length || e.title)).map(e => e.outerHTML)`))
	for _, control := range unnamed {
		t.Errorf("a control without a name: %s", control)
	}
}

// fault has the sandbox fail at an operation for some times.
func (d *dev) fault(operation, kind string, times int) {
	d.t.Helper()
	body := fmt.Sprintf(`{"operation":%q,"fault":%q,"times":%d}`, operation, kind, times)
	if a := do(d.t, http.MethodPost, d.sandbox+"/_sandbox/faults", http.Header{"Content-Type": {"application/json"}}, body); a.status != http.StatusNoContent {
		d.t.Fatalf("the fault %s at %s: %d %s", kind, operation, a.status, a.raw)
	}
}

// ticket finds the tickets of a type in a state.
func ticket(tokenType, state string) chromedp.CSS {
	return chromedp.CSS(fmt.Sprintf(`[data-testid=ticket][data-type=%s][data-state=%s]`, tokenType, state))
}

// within finds an element by its data-testid in what another selector finds.
func within(outer chromedp.CSS, name string) chromedp.CSS { return outer + " " + id(name) }

// sees waits until an expression of the page's is true.
func (b *browser) sees(expression string) {
	b.t.Helper()
	read(b, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(40*time.Second)))
}

// press clicks once nothing is being printed: what moves is missed.
func (b *browser) press(selector chromedp.CSS) {
	b.t.Helper()
	b.sees(`document.getAnimations().every((a) => !(a instanceof CSSAnimation))`)
	b.run(chromedp.Click(selector))
}

// fails waits for the page to show a problem of this code.
func (b *browser) fails(code string) string {
	b.t.Helper()
	return b.shows(chromedp.CSS(fmt.Sprintf(`[data-testid=error][data-code=%s]`, code)), "")
}

// confined fails the test where the page wanted what its policy forbids.
func (b *browser) confined() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, what := range b.problems {
		if strings.Contains(what, "Content Security Policy") || strings.Contains(what, "Trusted") {
			b.t.Errorf("the page broke its policy: %s", what)
		}
	}
}

func TestThePagePrintsTheTicketOutOfTheSlotWhereItIsSeen(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	for _, size := range [][2]int64{{1280, 720}, {390, 844}} {
		b := openBrowser(t)
		b.run(chromedp.EmulateViewport(size[0], size[1]))
		b.signIn(d.url, "ada")
		for _, tokenType := range []string{"realtime_scribe", "batch_scribe", "tts_websocket"} {
			// Pressed without the driver's scrolling, at the top of the page.
			b.run(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`scrollTo(0, 0); document.querySelector(%q).click()`, id("machine-"+tokenType))))
			b.run(chromedp.WaitVisible(ticket(tokenType, "fresh")))
			b.sees(fmt.Sprintf(`(() => { const {top, bottom} = document.querySelector(%q).getBoundingClientRect(); return top >= 0 && bottom <= innerHeight })()`, ticket(tokenType, "fresh")))
			if gap := read(b, chromedp.Evaluate[float64](fmt.Sprintf(`document.querySelector(%q).getBoundingClientRect().top - document.querySelector('#slot').getBoundingClientRect().bottom`, ticket(tokenType, "fresh")))); gap > 0 {
				t.Errorf("at %v a ticket lies %.0f px below the slot", size, gap)
			}
		}
		if over := read(b, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`)); over > 0 {
			t.Errorf("at %v with tickets, the page is %d px too wide", size, over)
		}
		b.calm()
	}
}

func TestThePageStopKeepsTheFocus(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := openBrowser(t)
	b.signIn(d.url, "ada")
	const focused = `document.activeElement.dataset.testid ?? ''`
	b.click("speak-mic")
	b.shows(id("transcript-partial"), "seconds so far")
	b.run(chromedp.Focus(id("speak-stop")))
	b.click("speak-stop")
	if on := read(b, chromedp.Evaluate[string](focused)); on != "speak-stop" {
		t.Errorf("after Stop the focus is on %q", on)
	}
	b.shows(id("transcript-committed"), "It heard")
	b.sees(`document.querySelector('[data-testid=speak-mic]').ariaDisabled === 'false'`)
	if on := read(b, chromedp.Evaluate[string](focused)); on != "speak-stop" {
		t.Errorf("after the last words the focus is on %q", on)
	}

	b.click("speech-play")
	b.sees(`document.querySelector('[data-testid=speech-status]').dataset.state === 'playing'`)
	b.click("speech-stop")
	b.shows(id("speech-status"), "Stopped.")
	if on := read(b, chromedp.Evaluate[string](focused)); on != "speech-stop" {
		t.Errorf("after Stop the focus is on %q", on)
	}
	b.calm()
}

func TestThePageGivesEveryoneTheirOwnTicket(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := openBrowser(t)
	b.signIn(d.url, "ada")
	b.click("machine-tts_websocket")
	b.shows(within(ticket("tts_websocket", "fresh"), "ticket-owner"), "ada")

	b.click("sign-in-again")
	b.run(chromedp.SetValue(id("sign-in-name"), "ben"))
	b.click("sign-in-button")
	b.shows(id("signed-in"), "ben")
	b.click("speech-play")
	b.shows(within(ticket("tts_websocket", "used"), "ticket-owner"), "ben")
	b.shows(within(ticket("tts_websocket", "fresh"), "ticket-owner"), "ada")

	b.press(within(ticket("tts_websocket", "fresh"), "ticket-try"))
	b.fails("not_yours")
	b.shows(within(ticket("tts_websocket", "fresh"), "ticket-owner"), "ada")
	b.calm()
}

func TestThePageBringsTheSignInBackWhenTheSessionIsOver(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := openBrowser(t)
	b.run(chromedp.Navigate(d.url + "/"))
	setCookie := func(claims string) {
		t.Helper()
		b.sees(fmt.Sprintf(`fetch('dev/session', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(%s)}).then((a) => a.ok)`, claims))
	}
	setCookie(`{sub: 'ada'}`)
	b.run(chromedp.Navigate(d.url + "/"))
	b.shows(id("signed-in"), "ada")

	// Somebody else's session that runs out is not the visitor's.
	b.click("provoke-session-over")
	b.fails("session_expired")
	b.shows(id("signed-in"), "ada")

	setCookie(`{sub: 'ada', iat: 1790000000, exp: 1790000060}`)
	b.click("machine-batch_scribe")
	b.fails("session_expired")
	b.run(chromedp.WaitVisible(id("sign-in-name")), chromedp.WaitNotVisible(id("signed-in")))
	b.click("error-sign-in")
	if on := read(b, chromedp.Evaluate[string](`document.activeElement.dataset.testid ?? ''`)); on != "sign-in-name" {
		t.Errorf("the way back in leads to %q", on)
	}
	b.run(chromedp.SetValue(id("sign-in-name"), "ada"))
	b.click("sign-in-button")
	b.shows(id("signed-in"), "ada")
	b.click("machine-batch_scribe")
	b.run(chromedp.WaitVisible(ticket("batch_scribe", "fresh")))
	b.confined()
}

func TestThePageTakesAVendorsOtherErrorForNoRefusedTicket(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := openBrowser(t)
	b.signIn(d.url, "ada")
	for _, kind := range []string{"quota_exceeded", "unaccepted_terms"} {
		for operation, button := range map[string]string{"speech": "speech-play", "scribe": "speak-sample"} {
			d.fault(operation, kind, 1)
			b.click(button)
			if words := b.fails(kind); strings.Contains(words, "did not take the ticket") {
				t.Errorf("%s at %s says: %s", kind, operation, words)
			}
			b.sees(`document.querySelector('[data-testid=` + button + `]').ariaDisabled === 'false'`)
		}
	}
	if refused := read(b, chromedp.Evaluate[int](`document.querySelectorAll('[data-testid=ticket][data-state=refused]').length`)); refused > 0 {
		t.Errorf("%d tickets are shown as refused", refused)
	}

	// What passes, the SDK cures with another ticket.
	d.fault("scribe", "queue_overflow", 1)
	b.click("speak-sample")
	b.shows("#speak-status", "Done.")

	// A used ticket that the vendor has not judged is not refused, as promised
	// or not; one that it has judged is.
	b.click("file-sample")
	used := ticket("batch_scribe", "used")
	b.run(chromedp.WaitVisible(used))
	for kind, code := range map[string]string{"credits_exhausted": "quota_exceeded", "scope_missing": "missing_permissions", "server_error": "vendor_away", "html": "vendor_odd", "rate_limited": "rate_limited_vendor"} {
		d.fault("transcribe", kind, 1)
		b.press(within(used, "ticket-try-again"))
		b.fails(code)
		b.shows(used, "The vendor could not be asked.")
	}
	b.press(within(used, "ticket-try-again"))
	b.shows(ticket("batch_scribe", "refused"), "Refused, as promised.")
	b.confined()
}

func TestThePageRaisesNoAlarmOverAnExpiredTicketThatIsStillTaken(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := openBrowser(t)
	b.signIn(d.url, "ada")
	b.click("machine-realtime_scribe")
	b.run(chromedp.WaitVisible(ticket("realtime_scribe", "fresh")))
	// The page's clock runs ahead of the vendor's.
	b.run(chromedp.Evaluate[chromedp.Void](`{ const now = Date.now; Date.now = () => now() + 16 * 60 * 1000 }`))
	b.run(chromedp.WaitVisible(ticket("realtime_scribe", "expired")))
	b.press(within(ticket("realtime_scribe", "expired"), "ticket-try-again"))
	if words := b.shows(ticket("realtime_scribe", "used"), "clock runs behind"); strings.Contains(words, "second time") {
		t.Errorf("it says: %s", words)
	}
	b.press(within(ticket("realtime_scribe", "used"), "ticket-try-again"))
	b.shows(ticket("realtime_scribe", "refused"), "Refused, as promised.")
	b.calm()
}

func TestThePageAsksAgainWithTheSameKeyWhereTheAnswerWasLost(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := openBrowser(t)
	b.signIn(d.url, "ada")
	b.run(chromedp.Evaluate[chromedp.Void](`{
		const real = fetch
		window.keys = []
		window.fetch = async (url, init) => {
			const answer = await real(url, init)
			keys.push(new Headers(init.headers).get('Idempotency-Key'))
			if (keys.length === 1) throw new TypeError('cut')
			return answer
		}
	}`))
	b.click("machine-realtime_scribe")
	b.shows(ticket("realtime_scribe", "fresh"), "the same as before")
	if keys := read(b, chromedp.Evaluate[[]string](`keys`)); len(keys) != 2 || keys[0] == "" || keys[0] != keys[1] {
		t.Errorf("the keys are %q", keys)
	}
	b.calm()
}

func TestThePageShowsOneExchangeAtATime(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := openBrowser(t)
	b.signIn(d.url, "ada")
	b.click("speak-sample")
	b.run(chromedp.WaitVisible(ticket("realtime_scribe", "used")))
	b.shows(id("exchange-request"), "realtime_scribe")
	b.shows("#socket-part", "with ticket 1")

	// The socket of an older ticket has nothing to do with the last request.
	b.click("machine-tts_websocket")
	b.shows(id("exchange-request"), "tts_websocket")
	b.run(chromedp.WaitNotVisible(chromedp.CSS("#socket-part")))
	b.press(within(ticket("realtime_scribe", "used"), "ticket-try-again"))
	b.shows("#socket-part", "with ticket 1")
	b.run(chromedp.WaitNotVisible(id("exchange-request")))
	b.calm()

	d.signal(syscall.SIGTERM)
	d.wait()
	b.click("machine-batch_scribe")
	b.fails("network")
	b.shows(id("exchange-response"), "No answer")
}
