//go:build real

package e2e_test

import (
	"context"
	cryptorand "crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// example is a running example, with the farebox dev that its one command
// started beside it.
type example struct {
	*process
	dir          string
	url, farebox string
	keyFile      string // where a back end keeps its key
}

// newExample chooses where an example will be found.
func newExample(t *testing.T, name string) *example {
	t.Helper()
	dir := filepath.Join("../../examples", name)
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	installed, _ := os.ReadFile(filepath.Join(dir, "node_modules/.farebox-lock"))
	if err == nil && string(lock) != string(installed) {
		t.Fatal("packages from npm are not installed; make deps installs them")
	}
	return &example{
		process: &process{t: t}, dir: dir, keyFile: filepath.Join(t.TempDir(), "key.json"),
		url: "http://localhost:" + freePort(t), farebox: "http://localhost:" + freePort(t),
	}
}

// start runs the one command that examples/README.md names.
func (e *example) start(env ...string) {
	e.t.Helper()
	port := func(url string) string { return url[strings.LastIndex(url, ":")+1:] }
	cmd := exec.Command("npm", "start")
	cmd.Dir = e.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + e.t.TempDir(), "npm_config_update_notifier=false", "FAREBOX=" + binary,
		"PORT=" + port(e.url), "FAREBOX_LISTEN=127.0.0.1:" + port(e.farebox), "FAREBOX_OPS_LISTEN=127.0.0.1:0", "FAREBOX_SANDBOX_LISTEN=127.0.0.1:0", "FAREBOX_LOG_LEVEL=warn",
	}, env...)
	e.process = launch(e.t, cmd)
}

// freePort is below those that the system gives to whoever asks for any.
func freePort(t *testing.T) string {
	t.Helper()
	for {
		port := strconv.Itoa(20000 + rand.IntN(10000))
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		_ = listener.Close()
		return port
	}
}

// open shows the example, once it answers.
func (e *example) open() *browser {
	e.t.Helper()
	e.answers(e.farebox + "/health/ready")
	e.answers(e.url)
	b := openBrowser(e.t)
	b.run(chromedp.Navigate(e.url + "/"))
	return b
}

func (e *example) answers(url string) {
	e.t.Helper()
	for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		a, err := try(e.t.Context(), http.MethodGet, url, nil, "")
		switch {
		case err == nil && a.status == http.StatusOK:
			return
		case time.Now().After(deadline):
			e.t.Fatalf("%s does not answer: %d, %v", url, a.status, err)
		}
		select {
		case <-e.done:
			e.t.Fatal("it ended")
		default:
		}
	}
}

// endsWhole interrupts as a terminal does, and waits until nobody is left who
// could print.
func (e *example) endsWhole() {
	e.t.Helper()
	if err := syscall.Kill(-e.cmd.Process.Pid, syscall.SIGINT); err != nil {
		e.t.Fatal(err)
	}
	e.wait()
	for _, url := range []string{e.url, e.farebox} {
		if a, err := try(e.t.Context(), http.MethodGet, url, nil, ""); err == nil {
			e.t.Errorf("%s still answers: %d", url, a.status)
		}
	}
}

// button finds a button by its words.
func button(words string) chromedp.JSPath {
	return chromedp.JSPath(fmt.Sprintf(`[...document.querySelectorAll('button')].find((button) => button.innerText === %q) ?? null`, words))
}

func (b *browser) pushes(words string) {
	b.t.Helper()
	b.run(chromedp.Click(button(words), chromedp.NodeEnabled))
}

// fills signs in by the form that is shown.
func (b *browser) fills(fields map[string]string) {
	b.t.Helper()
	for name, value := range fields {
		b.run(chromedp.SetValue(chromedp.CSS(fmt.Sprintf(`input[name=%s]`, name)), value))
	}
	b.pushes("Sign in")
}

// transcribes speaks until the last words are committed.
func (b *browser) transcribes() {
	b.t.Helper()
	b.pushes("Start")
	b.shows("main", "seconds so far")
	b.pushes("Stop")
	if text := b.shows("ol", "It heard"); strings.Contains(text, "silence") {
		b.t.Errorf("the microphone's hum was not heard: %q", text)
	}
}

func TestTheHTMLExampleTranscribesFromItsOneCommand(t *testing.T) {
	t.Parallel()
	e := newExample(t, "html")
	e.start(append(toolchain(), "FAREBOX=")...) // it builds farebox, too
	b := e.open()
	b.fills(map[string]string{"name": "ada"})
	b.transcribes()
	b.calm()
	e.endsWhole()
}

// toolchain is what Go needs of the environment.
func toolchain() []string {
	return slices.DeleteFunc(os.Environ(), func(pair string) bool {
		return !strings.HasPrefix(pair, "GO") && !strings.HasPrefix(pair, "HOME=")
	})
}

func TestAnExampleEndsWhereItsFareboxDoes(t *testing.T) {
	t.Parallel()
	occupied, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = occupied.Close() })
	e := newExample(t, "html")
	e.start("FAREBOX_LISTEN=" + occupied.Addr().String())
	if status := e.wait(); status == 0 || !strings.Contains(e.text(), "FAREBOX_LISTEN") {
		t.Errorf("status %d, and it printed %s", status, e.text())
	}
}

func TestTheReactExampleTakesOneTokenInStrictModeAndAnotherAfterADrop(t *testing.T) {
	t.Parallel()
	e := newExample(t, "react")
	w := (&dev{process: e.process, url: e.farebox}).wire()
	e.start("FAREBOX_URL=" + w.url)
	b := e.open()
	b.fills(map[string]string{"name": "ada"})
	b.pushes("Start")
	b.shows(".partial", "seconds so far")
	w.wantAsked(t, 1, 1)

	// The words begin anew on the next socket.
	b.run(chromedp.Evaluate[chromedp.Void](`{
		window.began = false
		const partial = document.querySelector('.partial')
		new MutationObserver(() => { began ||= !partial.innerText.includes('seconds') }).observe(partial, {characterData: true, childList: true, subtree: true})
	}`))
	w.cut()
	b.sees(`began`)
	w.wantAsked(t, 2, 2)
	b.shows(".partial", "seconds so far")
	b.pushes("Stop")
	if text := b.shows("ol", "It heard"); strings.Contains(text, "silence") {
		t.Errorf("the microphone's hum was not heard: %q", text)
	}
	b.shows("[role=status]", "Stopped.")
	(&guest{d: &dev{sandbox: e.farebox}}).wantSockets(t, 2)
	e.endsWhole()
}

func TestTheBackEndExamplesVouchForTheirUsersUntilTheySignOut(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"express", "next"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newExample(t, name)
			e.start("FAREBOX_SESSION_ISSUER="+e.url, "FAREBOX_SESSION_JWKS_URL="+e.url+"/.well-known/jwks.json", "SESSION_KEY_FILE="+e.keyFile)
			b := e.open()
			if name == "next" {
				b.sees(`Object.keys(document.querySelector('form')).some((key) => key.startsWith('__reactProps'))`)
			}
			b.fills(map[string]string{"name": "ada", "password": "wrong"})
			b.shows("[role=alert]", "do not go together")
			b.fills(map[string]string{"name": "ada", "password": "demo"})
			b.transcribes()

			cookie := e.cookie(b)
			session := read(b, chromedp.Poll[string](`fetch('/api/voice-session', {method: 'POST'}).then((answer) => answer.json()).then(({session}) => session)`))
			e.wantShort(session, cookie)
			if a := mint(t, e.farebox, scribePath, session, ""); a.status != http.StatusOK {
				t.Errorf("farebox: %d %s", a.status, a.raw)
			}
			if a := mint(t, e.farebox, scribePath, e.expired(session), ""); a.body["code"] != "session_expired" {
				t.Errorf("an expired session: %d %s", a.status, a.raw)
			}
			for from, want := range map[string]int{"same-origin": 200, "cross-site": 403, "same-site": 403, "": 403} {
				if status := e.vouches(cookie, from); status != want {
					t.Errorf("asked by %q: %d, want %d", from, status, want)
				}
			}
			if status := e.vouches("session=x", "same-origin"); status != http.StatusUnauthorized {
				t.Errorf("without a session: %d", status)
			}

			b.pushes("Sign out")
			b.run(chromedp.WaitVisible(chromedp.CSS("input[name=password]")))
			if a := mint(t, e.farebox, scribePath, session, ""); a.body["code"] != "session_revoked" {
				t.Errorf("after the sign-out: %d %s", a.status, a.raw)
			}
			if status := e.vouches(cookie, "same-origin"); status != http.StatusUnauthorized {
				t.Errorf("after the sign-out the old cookie gets %d", status)
			}
			e.endsWhole()
		})
	}
}

func TestABackEndExamplePublishesNothingOfAKeyThatIsOfAnotherKind(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(cryptorand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for algorithm, key := range map[string]any{"RS256": rsaKey, "HS256": []byte("a secret of somebody's, shared with nobody")} {
		data, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: "k1", Algorithm: algorithm})
		if err != nil {
			t.Fatal(err)
		}
		file := writeFile(t, filepath.Join(t.TempDir(), "key.json"), string(data))
		for name, module := range map[string]string{"express": "./session-key.js", "next": "./lib/session-key.js"} {
			printed := command(t, newExample(t, name).dir, "node", "--input-type=module", "--eval", fmt.Sprintf(`
				process.env.SESSION_KEY_FILE = %q
				const {sessionKey} = await import(%q)
				console.log(await sessionKey().then(({publicJwk}) => Object.keys(publicJwk).join(' '), () => 'refused'))`, file, module))
			if strings.TrimSpace(printed) != "refused" {
				t.Errorf("of a key for %s, %s publishes %s", algorithm, name, printed)
			}
		}
	}
}

// vouches is what a back end answers who asks it for a JWT.
func (e *example) vouches(cookie, from string) int {
	e.t.Helper()
	header := http.Header{"Cookie": {cookie}}
	if from != "" {
		header["Sec-Fetch-Site"] = []string{from}
	}
	return do(e.t, http.MethodPost, e.url+"/api/voice-session", header, "").status
}

// cookie is the browser's, which scripts cannot read.
func (e *example) cookie(b *browser) string {
	e.t.Helper()
	if seen := read(b, chromedp.Evaluate[string](`document.cookie`)); seen != "" {
		e.t.Errorf("scripts read the cookie %q", seen)
	}
	var all []*network.Cookie
	b.run(chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
		got, err := cdp.Call(ctx, page, network.GetCookies, network.GetCookiesParams{URLs: []string{e.url}})
		all = got.Cookies
		return err
	}))
	if len(all) != 1 || !all[0].HTTPOnly || all[0].SameSite != network.CookieSameSiteLax || all[0].Path != "/" {
		e.t.Fatalf("the cookies are %+v", all)
	}
	return all[0].Name + "=" + all[0].Value
}

// wantShort checks what a session says, and that it gives nothing of the cookie
// away.
func (e *example) wantShort(session, cookie string) {
	e.t.Helper()
	c := claimsOf(e.t, session)
	issued, _ := c["iat"].(float64)
	expires, _ := c["exp"].(float64)
	sid, _ := c["sid"].(string)
	if c["iss"] != e.url || c["aud"] != "farebox" || c["sub"] != "user-ada" || expires-issued != 300 || sid == "" || strings.Contains(cookie, sid) {
		e.t.Errorf("the session says %v", c)
	}
}

// expired is session as it would be an hour later, signed with the back end's
// own key.
func (e *example) expired(session string) string {
	e.t.Helper()
	info, err := os.Stat(e.keyFile)
	if err != nil || info.Mode().Perm() != 0o600 {
		e.t.Fatalf("the key: %v, %v", info, err)
	}
	data, err := os.ReadFile(e.keyFile)
	if err != nil {
		e.t.Fatal(err)
	}
	var key jose.JSONWebKey
	if err := json.Unmarshal(data, &key); err != nil {
		e.t.Fatal(err)
	}
	claims := claimsOf(e.t, session)
	claims["iat"], claims["exp"] = time.Now().Add(-time.Hour).Unix(), time.Now().Add(-55*time.Minute).Unix()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["kid"] = key.KeyID
	raw, err := token.SignedString(key.Key)
	if err != nil {
		e.t.Fatal(err)
	}
	return raw
}

func claimsOf(t *testing.T, raw string) jwt.MapClaims {
	t.Helper()
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(raw, claims); err != nil {
		t.Fatal(err)
	}
	return claims
}
