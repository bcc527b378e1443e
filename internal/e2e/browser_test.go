//go:build real

package e2e_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
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

func openBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is not installed; make deps installs it")
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		// A microphone that hums, and no question about it.
		chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
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
}

func TestThePageFitsAPhoneInBothThemes(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	b := openBrowser(t)
	backgrounds := map[string]string{}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{320, 360, 1280} {
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
