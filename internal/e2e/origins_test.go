//go:build real

package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// voiceAddress is where browsers find farebox in these tests.
const voiceAddress = "https://voice.example.com"

// openOrigins is serve at voiceAddress, and pages at any other name.
func openOrigins(t *testing.T, env ...string) (*house, *guest) {
	t.Helper()
	h := build(t)
	target, err := url.Parse(h.serve(env...).url)
	if err != nil {
		t.Fatal(err)
	}
	// What ends TLS in front of it.
	front := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})
	t.Cleanup(front.Close)
	pages := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!doctype html><title>A page of somebody's</title>")
	}))
	t.Cleanup(pages.Close)
	at := func(server *httptest.Server) string { return strings.TrimPrefix(server.URL, "https://") }
	return h, &guest{browser: openBrowser(t, [2]string{"voice.example.com", at(front)}, [2]string{"*", at(pages)})}
}

func TestPagesGetTokensByWhatTheirOriginIsAllowed(t *testing.T) {
	t.Parallel()
	h, s := openOrigins(t, "FAREBOX_ALLOWED_ORIGINS=https://app.example.com,https://*.preview.example.com", "FAREBOX_SESSION_COOKIE=session",
		"FAREBOX_PUBLIC_URL="+voiceAddress)
	session := h.session("ada", nil)
	s.run(chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
		yes := true
		_, err := cdp.Call(ctx, page, network.SetCookie, network.SetCookieParams{
			Name: "session", Value: session, URL: voiceAddress + "/", Secure: &yes, HTTPOnly: &yes, SameSite: network.CookieSameSiteNone,
		})
		return err
	}))
	for _, tt := range []struct {
		page, bearer, cookie string // the codes that its calls come to
	}{
		{voiceAddress, "none", "none"},
		{"https://app.example.com", "none", "none"},
		{"https://pr-7.preview.example.com", "none", "network"},
		{"https://preview.example.com", "network", "network"},
		{"https://a.b.preview.example.com", "network", "network"},
		{"https://evil.example", "network", "network"},
	} {
		s.run(chromedp.Navigate(tt.page + "/"))
		for kind, want := range map[string]string{"bearer": tt.bearer, "cookie": tt.cookie} {
			before := h.mints()
			got := eval[string](s, fmt.Sprintf(`
				const {createFarebox} = await import(%q)
				const way = {bearer: {getSession: () => %q}, cookie: {credentials: 'include'}}[%q]
				const farebox = createFarebox({baseUrl: %q, timeout: 3000, ...way})
				return farebox.token('batch_scribe').then(() => 'none', ({code}) => code)`, voiceAddress+"/sdk/farebox.js", session, kind, voiceAddress))
			if got != want {
				t.Errorf("%s by %s: %s, want %s", tt.page, kind, got, want)
			}
			if minted := h.mints() - before; minted != map[bool]int{true: 1}[want == "none"] {
				t.Errorf("%s by %s: %d tokens were made", tt.page, kind, minted)
			}
		}
	}
}

func TestAFrontEndOnAnotherPortWorksAgainstDev(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><title>A front end</title><script type="module" src="%s/sdk/farebox-voice.js"></script><farebox-voice id="voice"></farebox-voice>`, d.url)
	}))
	t.Cleanup(front.Close)
	// Where Vite serves, whatever port is free here.
	s := &guest{browser: openBrowser(t, [2]string{"localhost:5173", strings.TrimPrefix(front.URL, "http://")}), d: d}
	s.run(chromedp.Navigate("http://localhost:5173/"))
	got := eval[map[string]string](s, fmt.Sprintf(`
		const base = %q
		const {createFarebox} = await import(base + '/sdk/farebox.js')
		const answer = await fetch(base + '/dev/session', {method: 'POST', credentials: 'include', body: new URLSearchParams({sub: 'ada'})})
		const {session} = await answer.json()
		const code = (way) => createFarebox({baseUrl: base, timeout: 3000, ...way}).token('realtime_scribe').then(() => 'none', ({code}) => code)
		voice.getSession = () => session
		let failed = 'none'
		voice.addEventListener('error', ({detail}) => { failed = detail.code })
		await voice.hear('Hello there.')
		return {origin: location.origin, bearer: await code({getSession: () => session}), cookie: await code({credentials: 'include'}), element: failed}`, d.url))
	want := map[string]string{"origin": "http://localhost:5173", "bearer": "none", "cookie": "none", "element": "none"}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s: %q, want %q", name, got[name], value)
		}
	}
	s.calm()
}
