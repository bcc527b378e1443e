package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// serve runs a server as the service would mount the page, and returns its
// address.
func serve(t *testing.T, cfg Config, v Visitor) string {
	t.Helper()
	page := newPage(t, cfg)
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) { page.ServeIndex(w, r, v) })
	mux.Handle("/assets/", page.Assets())
	published, err := Published()
	if err != nil {
		t.Fatal(err)
	}
	for path, handler := range published {
		mux.Handle(path, handler)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func newPage(t *testing.T, cfg Config) *Page {
	t.Helper()
	page, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// send asks without the transport's own gzip.
func send(t *testing.T, method, address string, header http.Header) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		r.Header = header
	}
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// elements are all elements of a document.
func elements(t *testing.T, document string) []*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	var all []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			all = append(all, n)
		}
	}
	return all
}

func attribute(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// byTestID finds the element that carries a test hook.
func byTestID(t *testing.T, document, id string) *html.Node {
	t.Helper()
	for _, n := range elements(t, document) {
		if value, _ := attribute(n, "data-testid"); value == id {
			return n
		}
	}
	return nil
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

var variants = map[string]struct {
	cfg Config
	v   Visitor
}{
	"dev, nobody signed in":      {Config{Dev: true}, Visitor{}},
	"dev, signed in":             {Config{Dev: true}, Visitor{SignedIn: true, Subject: "ada"}},
	"serve, a login":             {Config{LoginURL: "https://login.example.com/start?app=1"}, Visitor{}},
	"serve, no login, signed in": {Config{VendorOrigins: []string{"https://api.elevenlabs.io"}}, Visitor{SignedIn: true, Subject: "ada"}},
}

func TestThePageHasNothingInline(t *testing.T) {
	t.Parallel()
	for name, variant := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, body := send(t, http.MethodGet, serve(t, variant.cfg, variant.v)+"/", nil)
			for _, n := range elements(t, body) {
				if _, hasSource := attribute(n, "src"); n.Data == "script" && (!hasSource || n.FirstChild != nil) {
					t.Errorf("a script in the page: %q", textOf(n))
				}
				if n.Data == "style" {
					t.Errorf("a style sheet in the page: %q", textOf(n))
				}
				for _, a := range n.Attr {
					if a.Key == "style" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(strings.ToLower(a.Val), "javascript:") {
						t.Errorf("<%s> has %s=%q", n.Data, a.Key, a.Val)
					}
				}
			}
		})
	}
}

func TestThePageWorksUnderAPathPrefix(t *testing.T) {
	t.Parallel()
	for name, variant := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serve(t, variant.cfg, variant.v)
			_, body := send(t, http.MethodGet, base+"/", nil)
			seen := 0
			for _, n := range elements(t, body) {
				for _, key := range []string{"href", "src", "action"} {
					target, ok := attribute(n, key)
					if !ok || strings.HasPrefix(target, "#") || target == variant.cfg.LoginURL {
						continue
					}
					seen++
					u, err := url.Parse(target)
					if err != nil || u.IsAbs() || u.Host != "" || strings.HasPrefix(u.Path, "/") {
						t.Errorf("<%s %s=%q> is not relative", n.Data, key, target)
						continue
					}
					if response, _ := send(t, http.MethodGet, base+"/"+target, nil); response.StatusCode != http.StatusOK {
						t.Errorf("%s: status %d", target, response.StatusCode)
					}
				}
			}
			if seen < 5 {
				t.Errorf("only %d addresses found in the page", seen)
			}
		})
	}
}

// A proxy may hand over /voice and /voice/ alike.
func TestThePagesAddressesBeginWithThePublicAddresssPath(t *testing.T) {
	t.Parallel()
	for public, want := range map[string]string{
		"": "", "https://voice.example.com": "", "https://voice.example.com/": "",
		"https://example.com/voice": "/voice/", "https://example.com/voice/": "/voice/", "https://example.com/a/b%20c": "/a/b%20c/",
	} {
		response, body := send(t, http.MethodGet, serve(t, Config{ReturnTo: public}, Visitor{})+"/", nil)
		got, policy := "", "'none'"
		for _, n := range elements(t, body) {
			if n.Data == "base" {
				got, _ = attribute(n, "href")
			}
		}
		if want != "" {
			policy = "'self'"
		}
		if got != want || directives(response.Header.Get("Content-Security-Policy"))["base-uri"][0] != policy {
			t.Errorf("%q: addresses begin with %q, want %q; policy %s", public, got, want, response.Header.Get("Content-Security-Policy"))
		}
	}
}

func TestEveryCodeHasWords(t *testing.T) {
	t.Parallel()
	types, err := files.ReadFile("sdk/farebox.d.ts")
	if err != nil {
		t.Fatal(err)
	}
	_, union, _ := strings.Cut(string(types), "export type FareboxErrorCode =")
	union, _, _ = strings.Cut(union, "\n\n")
	codes := regexp.MustCompile(`\| '([a-z_]+)'`).FindAllStringSubmatch(union, -1)
	if len(codes) < 24 {
		t.Fatalf("only %d codes found", len(codes))
	}
	for _, code := range codes {
		if !regexp.MustCompile(`(?m)^  ` + code[1] + `: \['[^']+', `).MatchString(sources(t)["problem.js"]) {
			t.Errorf("there are no words for %s", code[1])
		}
	}
}

func TestThePageSaysWhoAndWhere(t *testing.T) {
	t.Parallel()
	hidden := func(n *html.Node) bool { _, ok := attribute(n, "hidden"); return ok }

	t.Run("dev says that the vendor is the sandbox and offers the demo sign-in", func(t *testing.T) {
		t.Parallel()
		_, body := send(t, http.MethodGet, serve(t, Config{Dev: true}, Visitor{})+"/", nil)
		note := byTestID(t, body, "dev-note")
		if note == nil || !strings.Contains(textOf(note), "sandbox") {
			t.Error("the note about the sandbox is missing")
		}
		if byTestID(t, body, "sign-in-button") == nil {
			t.Error("the demo sign-in is missing")
		}
		if who := byTestID(t, body, "signed-in"); who == nil || !hidden(who) {
			t.Error("somebody is said to be signed in")
		}
	})
	t.Run("serve neither claims a sandbox nor offers its tricks", func(t *testing.T) {
		t.Parallel()
		_, body := send(t, http.MethodGet, serve(t, Config{LoginURL: "https://login.example.com/"}, Visitor{})+"/", nil)
		for _, id := range []string{"dev-note", "sign-in-button"} {
			if byTestID(t, body, id) != nil {
				t.Errorf("%s is on the page", id)
			}
		}
		if strings.Contains(body, `id="provoke"`) || strings.Contains(body, "data-dev") {
			t.Error("the page offers what only dev has")
		}
	})
	t.Run("a visitor's name and the login's address are text, whatever they hold", func(t *testing.T) {
		t.Parallel()
		const subject, login, back = `<img src=x onerror=alert(1)>"' data-dev='`, `https://login.example.com/?a="><script>x</script>&b=1`, `https://voice.example.com/a"b`
		_, body := send(t, http.MethodGet, serve(t, Config{LoginURL: login, ReturnTo: back}, Visitor{SignedIn: true, Subject: subject})+"/", nil)
		if who := byTestID(t, body, "signed-in"); who == nil || hidden(who) || !strings.Contains(textOf(who), subject) {
			t.Error("the visitor's name is not shown as it is")
		}
		link := byTestID(t, body, "sign-in-link")
		if link == nil {
			t.Fatal("there is no link to the login")
		}
		if href, _ := attribute(link, "href"); !strings.HasPrefix(href, "https://login.example.com/?a=") || strings.ContainsAny(href, `"<>`) {
			t.Errorf("the login's address is %q", href)
		}
		if value, _ := attribute(link, "data-return-to"); value != back {
			t.Errorf("the way back is %q", value)
		}
		for _, n := range elements(t, body) {
			if _, hasHandler := attribute(n, "onerror"); hasHandler || n.Data == "body" && n.Attr[0].Key == "data-dev" {
				t.Errorf("text became markup: <%s>", n.Data)
			}
		}
	})
}

func TestEveryHookOfTheScriptsIsOnThePage(t *testing.T) {
	t.Parallel()
	_, body := send(t, http.MethodGet, serve(t, Config{Dev: true}, Visitor{})+"/", nil)
	_, login := send(t, http.MethodGet, serve(t, Config{LoginURL: "https://login.example.com/"}, Visitor{})+"/", nil)
	ids := map[string]bool{}
	for _, n := range append(elements(t, body), elements(t, login)...) {
		if id, ok := attribute(n, "id"); ok {
			ids[id] = true
		}
	}
	asked := 0
	for name, content := range sources(t) {
		for _, match := range regexp.MustCompile(`byId\('([^']+)'\)`).FindAllStringSubmatch(content, -1) {
			asked++
			if !ids[match[1]] {
				t.Errorf("%s asks for #%s, which the page does not have", name, match[1])
			}
		}
	}
	if asked < 30 {
		t.Errorf("only %d elements asked for", asked)
	}
}

func TestNewRefusesWhatIsNoAddress(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"a script as login":               {LoginURL: "javascript:alert(1)"},
		"a login without a host":          {LoginURL: "/login"},
		"a login with a password":         {LoginURL: "https://u:p@login.example.com/"},
		"a way back that is no URL":       {ReturnTo: "voice.example.com"},
		"a vendor that ends a directive":  {VendorOrigins: []string{"https://a.example.com; script-src *"}},
		"a vendor that is all of them":    {VendorOrigins: []string{"https://*"}},
		"a vendor with a path":            {VendorOrigins: []string{"https://api.example.com/v1"}},
		"a vendor without a scheme":       {VendorOrigins: []string{"api.example.com"}},
		"a vendor by another scheme":      {VendorOrigins: []string{"data://api.example.com"}},
		"a vendor that adds a header":     {VendorOrigins: []string{"https://a.example.com\r\nX: y"}},
		"a second vendor that is no host": {VendorOrigins: []string{"https://api.example.com", "wss://"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := New(cfg); err == nil {
				t.Error("it was taken")
			}
		})
	}
}
