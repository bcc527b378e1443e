//go:build real

package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// violations are what axe-core finds wrong with the page as it stands.
func (b *browser) violations() []string {
	b.t.Helper()
	axe, err := os.ReadFile(npmDir + "/node_modules/axe-core/axe.min.js")
	if err != nil {
		b.t.Fatal("packages from npm are not installed; make deps installs them")
	}
	b.run(chromedp.Evaluate[chromedp.Void](string(axe) + "\n;void 0"))
	return read(b, chromedp.Evaluate[[]string](`axe.run(document, {resultTypes: ['violations']}).then(({violations, passes}) =>
		passes.length < 10 ? ['it looked at nothing'] : violations.flatMap(({id, help, nodes}) => nodes.map(({target, failureSummary}) => [id, help, target, failureSummary].join(' | '))))`, chromedp.EvalAwaitPromise))
}

func TestThePageHasNoAccessibilityViolation(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	for _, scheme := range []string{"light", "dark"} {
		b := openBrowser(t)
		b.theme(scheme)
		b.run(chromedp.Navigate(d.url + "/"))
		b.shows(id("service-state"), "In service")
		for _, what := range b.violations() {
			t.Errorf("%s, signed out: %s", scheme, what)
		}
		b.showTickets(d.url)
		b.run(chromedp.SetValue(id("agent-id"), "agent_123"))
		b.click("agent-get")
		b.fails("agent_not_allowed")
		for _, what := range b.violations() {
			t.Errorf("%s, signed in, with tickets and a problem: %s", scheme, what)
		}
		// An expired ticket is faded, and still read.
		b.run(chromedp.Evaluate[chromedp.Void](`{ const now = Date.now; Date.now = () => now() + 16 * 60 * 1000 }`))
		b.run(chromedp.WaitVisible(ticket("tts_websocket", "expired")))
		for _, what := range b.violations() {
			t.Errorf("%s, with an expired ticket: %s", scheme, what)
		}
	}
}

func TestThePageStandsStillWhileItLoads(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := openBrowser(t)
	for _, who := range []string{"signed out", "signed in"} {
		if who == "signed in" {
			b.signIn(d.url, "ada")
		}
		for _, width := range []int64{360, 1280} {
			b.run(chromedp.EmulateViewport(width, 800), chromedp.Navigate(d.url+"/"))
			b.shows(id("service-state"), "In service")
			shift := read(b, chromedp.Evaluate[float64](`new Promise((done) => {
				let sum = 0
				new PerformanceObserver((list) => list.getEntries().forEach((entry) => { sum += entry.value })).observe({type: 'layout-shift', buffered: true})
				requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(sum))))
			})`, chromedp.EvalAwaitPromise))
			if shift > 0.001 {
				t.Errorf("%s, at %d px, the layout shifted by %f", who, width, shift)
			}
			foreign := read(b, chromedp.Evaluate[[]string](`performance.getEntriesByType('resource').map(({name}) => name).filter((name) => !name.startsWith(location.origin + '/'))`))
			if len(foreign) > 0 {
				t.Errorf("it loaded %v", foreign)
			}
		}
	}
	b.calm()
}

// WCAG 2.2, 1.4.4 and 1.4.10.
func TestThePageFitsWhenItIsZoomed(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	for name, zoom := range map[string]struct {
		width int64
		scale float64
		text  string
	}{
		"320 px":                 {320, 1, ""},
		"1280 px at 200 %":       {640, 2, ""},
		"640 px, text at 200 %":  {640, 1, "200%"},
		"1280 px, text at 200 %": {1280, 1, "200%"},
	} {
		b := openBrowser(t)
		b.theme("light")
		b.run(chromedp.EmulateViewport(zoom.width, 800, chromedp.EmulateScale(zoom.scale)))
		b.showTickets(d.url)
		b.click("provoke-agent")
		b.fails("agent_not_allowed")
		cut := read(b, chromedp.Evaluate[[]string](fmt.Sprintf(`(() => {
			document.documentElement.style.fontSize = %q
			const outside = ({left, right}) => left < 0 || right > innerWidth + 1
			const isMeant = (element) => element.closest('.unseen, .skip, .specimens') || element.matches('.owner')
			return [...document.querySelectorAll('body *')].filter((element) => !isMeant(element) && element.checkVisibility() &&
				(outside(element.getBoundingClientRect()) || getComputedStyle(element).overflowX !== 'visible' && element.scrollWidth > element.clientWidth + 1))
				.map((element) => element.outerHTML.slice(0, 120))
		})()`, zoom.text)))
		for _, what := range cut {
			t.Errorf("%s: cut off: %s", name, what)
		}
		if over := read(b, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`)); over > 0 {
			t.Errorf("%s: the page is %d px too wide", name, over)
		}
	}
}

func TestThePageNeedsNoMouse(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := openBrowser(t)
	b.run(chromedp.Navigate(d.url + "/"))
	b.shows(id("service-state"), "In service")
	const focus = `document.activeElement.dataset.testid ?? document.activeElement.id`
	// tabTo goes on by the Tab key until the focus is there, and looks at every
	// stop on the way.
	tabTo := func(name string) {
		t.Helper()
		for range 60 {
			b.run(chromedp.KeyEvent("\t"))
			on := read(b, chromedp.Evaluate[string](focus))
			if !read(b, chromedp.Evaluate[bool](`document.activeElement.matches(':focus-visible') && getComputedStyle(document.activeElement).outlineStyle !== 'none'`)) {
				t.Errorf("the focus on %q is not seen", on)
			}
			if on == name {
				return
			}
		}
		t.Fatalf("the Tab key never comes to %s", name)
	}
	tabTo("sign-in-name")
	b.run(chromedp.KeyEvent("\r"))
	b.shows(id("signed-in"), "ada")
	tabTo("machine-tts_websocket")
	b.run(chromedp.KeyEvent(" "))
	b.run(chromedp.WaitVisible(ticket("tts_websocket", "fresh")))
	b.sees(`document.querySelector('#news').textContent.includes('Ticket 1, Speech, for ada: Fresh.')`)
	tabTo("ticket-try")
	b.run(chromedp.KeyEvent("\r"))
	b.run(chromedp.WaitVisible(ticket("tts_websocket", "used")))
	b.run(chromedp.KeyEvent("\r"))
	b.shows(ticket("tts_websocket", "refused"), "Refused, as promised.")
	if on := read(b, chromedp.Evaluate[string](focus)); on != "ticket-try-again" {
		t.Errorf("after the refusal the focus is on %q", on)
	}
	for _, name := range []string{"speak-mic", "speech-play", "file-send", "agent-get", "provoke-too-many"} {
		tabTo(name)
	}
	b.calm()
}

func TestThePageUsesEachKindOfFreshTicketOnce(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := openBrowser(t)
	b.theme("light")
	b.signIn(d.url, "ada")
	for _, kind := range []string{"realtime_scribe", "batch_scribe", "tts_websocket"} {
		b.click("machine-" + kind)
		b.run(chromedp.WaitVisible(ticket(kind, "fresh")))
		b.press(within(ticket(kind, "fresh"), "ticket-try"))
		b.run(chromedp.WaitVisible(ticket(kind, "used")))
		b.press(within(ticket(kind, "used"), "ticket-try-again"))
		b.shows(ticket(kind, "refused"), "Refused, as promised. It was good for one ride.")
	}
	b.confined()
}

func TestThePageGetsTheAddressOfAnAgentThatThePolicyNames(t *testing.T) {
	t.Parallel()
	d := startDev(t, "FAREBOX_POLICY_FILE="+writeFile(t, filepath.Join(t.TempDir(), "policy.yaml"), agentsPolicy))
	b := openBrowser(t)
	b.signIn(d.url, "ada")
	b.run(chromedp.SetValue(id("agent-id"), "agent_2"))
	b.click("agent-get")
	if words := b.fails("agent_not_allowed"); !strings.Contains(words, "policy") || !strings.Contains(words, "agent_not_allowed") {
		t.Errorf("the refusal says: %s", words)
	}
	b.shows(id("agent-status"), `agents: {"agent_2": {}}`)
	b.run(chromedp.SetValue(id("agent-id"), "agent_1"))
	b.click("agent-get")
	b.shows(id("agent-status"), "Ticket 1 is the address of one conversation with agent_1")
	b.shows(ticket("signed_url", "fresh"), "left")
	b.shows(id("exchange-request"), "GET /v1/convai/conversation/get-signed-url?agent_id=agent_1")
	b.shows(id("exchange-response"), `"signed_url": "`)
	if page := read(b, chromedp.Evaluate[string](`document.documentElement.outerHTML`)); strings.Contains(page, "conversation_signature") {
		t.Error("the whole address is shown")
	}
	// A policy without it refuses a kind of ticket, too.
	b.click("machine-tts_websocket")
	b.fails("token_type_not_allowed")
	b.confined()
}

func TestThePageTellsTheStateOfTheService(t *testing.T) {
	t.Parallel()
	d := startDev(t, "FAREBOX_DRAIN_DELAY=5m")
	b := openBrowser(t)
	b.run(chromedp.Navigate(d.url + "/"))
	b.shows(id("service-state"), "In service")
	const look = `void window.dispatchEvent(new Event('online'))`
	d.signal(syscall.SIGTERM)
	for do(t, http.MethodGet, d.url+"/health/ready", nil, "").status == http.StatusOK {
	}
	b.run(chromedp.Evaluate[chromedp.Void](look))
	b.shows(id("service-state"), "Out of service")
	b.shows(id("service-note"), "takes nobody just now")
	_ = d.cmd.Process.Kill()
	<-d.done
	b.run(chromedp.Evaluate[chromedp.Void](look))
	b.shows(id("service-state"), "Out of reach")
	b.sees(`document.querySelector('#news').textContent.startsWith('Out of reach.')`)
	b.confined()
}

// online takes the network away from the page, or gives it back.
func (b *browser) online(isOnline bool) {
	b.t.Helper()
	b.run(chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
		if _, err := cdp.Call(ctx, page, network.OverrideNetworkState, network.OverrideNetworkStateParams{
			Offline: !isOnline, DownloadThroughput: -1, UploadThroughput: -1,
		}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, page, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
			MatchedNetworkConditions: []*network.Conditions{{Offline: !isOnline, DownloadThroughput: -1, UploadThroughput: -1}},
		})
		return err
	}))
}

func TestThePageSaysThatItIsOfflineAndComesBack(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := openBrowser(t)
	b.signIn(d.url, "ada")
	b.online(false)
	b.shows(id("service-state"), "You are offline")
	b.shows(id("service-note"), "Nothing can be printed until you are back.")
	b.click("machine-batch_scribe")
	b.fails("network")
	b.shows(id("exchange-response"), "No answer")
	b.online(true)
	b.shows(id("service-note"), "Back in service.")
	b.click("machine-batch_scribe")
	b.run(chromedp.WaitVisible(ticket("batch_scribe", "fresh")))
	b.confined()
}

func TestThePageGoesOnAfterADropAndSaysWhenTheSessionIsOver(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	w := d.wire()
	b := openBrowser(t)
	b.signIn(w.url, "ada")
	b.run(chromedp.Navigate(w.url + "/")) // where the cookie alone speaks
	b.shows(id("signed-in"), "ada")
	b.click("speak-mic")
	b.shows(id("transcript-partial"), "seconds so far")

	w.cut()
	b.run(chromedp.WaitVisible(ticket("realtime_scribe", "used")), chromedp.WaitVisible(ticket("realtime_scribe", "in-use")))
	b.shows("#speak-status", "Listening.")

	b.sees(`fetch('dev/session', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({sub: 'ada', iat: 1790000000, exp: 1790000060})}).then((a) => a.ok)`)
	w.cut()
	if words := b.fails("session_expired"); !strings.Contains(words, "Sign in again") {
		t.Errorf("it says: %s", words)
	}
	b.run(chromedp.WaitNotVisible(id("signed-in")), chromedp.WaitVisible(id("sign-in-name")))
	b.sees(`document.querySelector('[data-testid=speak-mic]').ariaDisabled === 'false'`)
	if in := read(b, chromedp.Evaluate[int](`document.querySelectorAll('[data-testid=ticket][data-state=in-use]').length`)); in != 0 {
		t.Errorf("%d tickets are said to be in use", in)
	}
	b.confined()
}

func TestThePageInServeSendsToTheLoginAndBackUnderAPathPrefix(t *testing.T) {
	t.Parallel()
	h := build(t)
	var service atomic.Pointer[url.URL] // known once it listens; nobody asks before
	strip := http.StripPrefix("/voice", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(service.Load()) }})
	mux := http.NewServeMux()
	mux.Handle("/voice", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { strip.ServeHTTP(w, r) }))
	mux.Handle("/voice/", strip)
	var returnTo atomic.Value
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		back := r.URL.Query().Get("return_to")
		returnTo.Store(back)
		http.SetCookie(w, &http.Cookie{Name: "session", Value: h.session("ada", nil), Path: "/", HttpOnly: true})
		http.Redirect(w, r, back, http.StatusSeeOther)
	})
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	r := h.serve("FAREBOX_PUBLIC_URL="+site.URL+"/voice", "FAREBOX_LOGIN_URL="+site.URL+"/login?app=1", "FAREBOX_SESSION_COOKIE=session")
	address, err := url.Parse(r.url)
	if err != nil {
		t.Fatal(err)
	}
	service.Store(address)

	b := openBrowser(t)
	b.run(chromedp.Navigate(site.URL + "/voice"))
	b.shows(id("service-state"), "In service")
	b.run(chromedp.WaitNotVisible(id("signed-in")))
	b.click("machine-batch_scribe")
	b.fails("session_missing")
	b.run(chromedp.WaitVisible(id("error-sign-in")))
	b.click("sign-in-link")
	b.run(chromedp.WaitVisible(id("signed-in"))) // on another document
	b.shows(id("signed-in"), "ada")
	if returnTo.Load() != site.URL+"/voice" {
		t.Errorf("the login was told to return to %v", returnTo.Load())
	}
	b.run(chromedp.WaitNotVisible(id("sign-in-link")))
	for _, address := range []string{"/voice", "/voice/"} {
		b.run(chromedp.Navigate(site.URL + address))
		b.shows(id("signed-in"), "ada")
		b.click("speak-sample")
		b.shows(id("transcript-committed"), "It heard")
		b.run(chromedp.WaitVisible(ticket("realtime_scribe", "used")))
		b.shows(id("exchange-request"), "POST /voice/v1/single-use-token/realtime_scribe")
	}
	if found := read(b, chromedp.Evaluate[int](`document.querySelectorAll('[data-testid=dev-note], #provoke').length`)); found != 0 {
		t.Error("serve shows what only dev has")
	}
	b.confined()
}
