//go:build real

package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// documented is a file that docs/mobile.md has people copy.
func documented(t *testing.T, name string) string {
	t.Helper()
	guide, err := os.ReadFile("../../docs/mobile.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```\\w+ file=" + regexp.QuoteMeta(name) + "\n(.*?)```").FindSubmatch(guide)
	if found == nil {
		t.Fatalf("docs/mobile.md has no %s", name)
	}
	return string(found[1])
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// app is a program around a file of docs/mobile.md. It asks FAREBOX for a token
// with the session SESSION, renewed RENEWED, keeps keys below its folder, notes
// there how many seconds it pauses, and prints the answer, or ends with status 1.
type app struct {
	dir     string
	command []string
}

// appsOf are the apps that run here.
func appsOf(t *testing.T) map[string]func(*testing.T) app {
	t.Helper()
	script := compiled(t)
	return map[string]func(*testing.T) app{
		"shell":        shellApp,
		"React Native": func(t *testing.T) app { return scriptApp(t, script) },
	}
}

func shellApp(t *testing.T) app {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "farebox.sh", documented(t, "farebox.sh"))
	write(t, dir, "app.sh", `
session() { if [ "${1:-}" = renew ]; then echo "$RENEWED"; else echo "$SESSION"; fi; }
sleep() { echo "$1" >>pauses; command sleep "$1"; }
FAREBOX_ATTEMPT=attempt
. ./farebox.sh
if [ "${1:-}" = used ]; then farebox_used; else farebox_token realtime_scribe; fi
`)
	return app{dir, []string{"sh", "-eu", "app.sh"}}
}

// compiled is React Native's file as JavaScript.
func compiled(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	types, err := os.ReadFile(npmDir + "/react-native.d.ts")
	if err != nil {
		t.Fatal(err)
	}
	compiler, err := filepath.Abs(npmDir + "/node_modules/typescript/bin/tsc")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "react-native.d.ts", string(types))
	write(t, dir, "farebox.ts", documented(t, "farebox.ts"))
	command(t, dir, compiler, "--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess",
		"--target", "es2022", "--module", "es2022", "--lib", "es2022", "--types", "", "farebox.ts", "react-native.d.ts")
	script, err := os.ReadFile(filepath.Join(dir, "farebox.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}

func scriptApp(t *testing.T, script string) app {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "package.json", `{"type": "module"}`)
	write(t, dir, "farebox.js", "import { setTimeout } from './timer.js'\n"+script)
	write(t, dir, "timer.js", `
import { appendFileSync } from 'node:fs'
const limit = 12000
export const setTimeout = (run, time) => {
  if (time < limit) appendFileSync('pauses', time / 1000 + '\n')
  return globalThis.setTimeout(run, time)
}
`)
	write(t, dir, "app.js", `
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Farebox } from './farebox.js'
const { FAREBOX, SESSION, RENEWED } = process.env
const attempts = {
  async getItem(name) { return existsSync(name) ? readFileSync(name, 'utf8') : null },
  async setItem(name, key) { writeFileSync(name, key) },
  async removeItem(name) { rmSync(name) },
}
const farebox = new Farebox({ baseUrl: FAREBOX, attempts, session: async (renew) => renew ? RENEWED : SESSION })
if (process.argv[2] === 'used') await farebox.used('realtime_scribe')
else try {
  console.log(JSON.stringify(await farebox.token('realtime_scribe')))
} catch (error) {
  console.error(JSON.stringify({ ...error, code: error.code }))
  process.exitCode = 1
}
`)
	return app{dir, []string{"node", "app.js"}}
}

// ask runs the app. A token is nil where it printed none; said is what it
// complained of.
func (a app) ask(ctx context.Context, t *testing.T, w *wire, session, renewed string, args ...string) (token map[string]any, said string) {
	t.Helper()
	c := exec.CommandContext(ctx, a.command[0], append(a.command[1:], args...)...)
	c.Dir = a.dir
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "FAREBOX=" + w.url, "SESSION=" + session, "RENEWED=" + renewed}
	// With all that it has started.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	var out, complaints bytes.Buffer
	c.Stdout, c.Stderr = &out, &complaints
	if err := c.Run(); err == nil && len(args) == 0 {
		if err := json.Unmarshal(out.Bytes(), &token); err != nil {
			t.Fatalf("it printed %q: %v", out.String(), err)
		}
	}
	return token, complaints.String()
}

// pauses are the seconds that it paused.
func (a app) pauses(t *testing.T) (all []float64) {
	t.Helper()
	noted, _ := os.ReadFile(filepath.Join(a.dir, "pauses")) // none for none
	for _, line := range strings.Fields(string(noted)) {
		seconds, err := strconv.ParseFloat(line, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, seconds)
	}
	return all
}

func TestDocumentedAppsAskAgainUnderOneKeyForWhatPassesAndForNothingElse(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	expired, _ := do(t, http.MethodPost, d.url+"/dev/session", http.Header{"Content-Type": {"application/json"}}, `{"sub":"ada","exp":1790000000}`).body["session"].(string)
	const good = "" // one of the caller's own
	for name, tt := range map[string]struct {
		spoils           []spoil
		session, renewed string
		requests         int
		pauses           [][2]float64 // each from, to
		code             string       // of what it fails with
	}{
		"nothing in the way":          {nil, good, good, 1, nil, ""},
		"a lost answer":               {[]spoil{lose}, good, good, 2, [][2]float64{{0, 0.4}}, ""},
		"half an answer":              {[]spoil{truncate}, good, good, 2, [][2]float64{{0, 0.4}}, ""},
		"429":                         {[]spoil{refuse(429, "rate_limited", "1")}, good, good, 2, [][2]float64{{1, 1.4}}, ""},
		"503, then 409":               {[]spoil{refuse(503, "overloaded", "1"), refuse(409, "request_in_progress", "1")}, good, good, 3, [][2]float64{{1, 1.4}, {1, 1.8}}, ""},
		"a proxy's 502":               {[]spoil{answerWith(502, "", "text/html", "<h1>Bad gateway</h1>")}, good, good, 2, [][2]float64{{0, 0.4}}, ""},
		"a Retry-After out of reach":  {[]spoil{refuse(429, "quota_exhausted", "3600")}, good, good, 1, nil, "quota_exhausted"},
		"what does not pass":          {[]spoil{refuse(403, "token_type_not_allowed", "")}, good, good, 1, nil, "token_type_not_allowed"},
		"a key that was reused":       {[]spoil{refuse(422, "idempotency_key_reused", "")}, good, good, 1, nil, "idempotency_key_reused"},
		"a session that has expired":  {nil, expired, good, 2, nil, ""},
		"a renewal that is no better": {nil, expired, expired, 2, nil, "session_expired"},
		"a session that is none":      {nil, "x.y.z", good, 1, nil, "session_invalid"},
	} {
		for kind, make := range appsOf(t) {
			t.Run(kind+": "+name, func(t *testing.T) {
				t.Parallel()
				a, w := make(t), d.wire()
				w.spoil(tt.spoils...)
				token, said := a.ask(t.Context(), t, w, cmp.Or(tt.session, d.signIn(t.Name())), cmp.Or(tt.renewed, d.signIn(t.Name())))
				if (token != nil) != (tt.code == "") || !strings.Contains(said, tt.code) {
					t.Errorf("it got %v and said %s", token, said)
				}
				w.wantAsked(t, tt.requests, 1)
				pauses := a.pauses(t)
				if len(pauses) != len(tt.pauses) {
					t.Fatalf("it paused %v", pauses)
				}
				for i, between := range tt.pauses {
					if pauses[i] < between[0] || pauses[i] > between[1] {
						t.Errorf("it paused %v, want each within %v", pauses, tt.pauses)
					}
				}
			})
		}
	}
}

func TestADocumentedAppThatIsKilledGetsItsTokenUnderTheKeptKey(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	for kind, make := range appsOf(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			a, w, session := make(t), d.wire(), d.signIn(kind)
			ctx, kill := context.WithCancel(t.Context())
			// It is killed after its token was made, before it hears of it.
			w.spoil(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
				kill()
				lose(rw, r, next)
			})
			if token, _ := a.ask(ctx, t, w, session, ""); token != nil {
				t.Fatal("it was not killed")
			}
			first, said := a.ask(t.Context(), t, w, session, "")
			if first == nil {
				t.Fatal(said)
			}
			again, _ := a.ask(t.Context(), t, w, session, "")
			if again["token"] != first["token"] {
				t.Error("asked again, before it was used, it is another token")
			}
			w.wantAsked(t, 3, 1)
			a.ask(t.Context(), t, w, session, "", "used")
			next, said := a.ask(t.Context(), t, w, session, "")
			if next == nil || next["token"] == first["token"] {
				t.Errorf("after it was used: %v %s", next, said)
			}
			w.wantAsked(t, 4, 2)
			if got := openScribe(t, "ws"+strings.TrimPrefix(w.url, "http"), next["token_parameter"].(string), next["token"].(string)); got != "session_started" {
				t.Errorf("the token: %s", got)
			}
		})
	}
}

// What is printed for a try by hand works as it stands.
func TestTheDocumentedTryPrintsATokenThatWorksOnce(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	a := shellApp(t)
	write(t, a.dir, "try.sh", documented(t, "try.sh"))
	c := exec.Command("sh", "try.sh")
	c.Dir, c.Env = a.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + a.dir, "FAREBOX=" + d.url}
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := answer{status: 200, raw: string(out), body: map[string]any{}}
	if err := json.Unmarshal(out, &got.body); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	wantWorksOnce(t, got)
	if _, err := os.Stat(filepath.Join(a.dir, ".farebox-attempt")); err == nil {
		t.Error("the key is still there")
	}
}
