//go:build real

package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// npmDir holds what the tests take from npm; make deps fills it.
const npmDir = "testdata/npm"

// workshop is a folder with the packages from npm and the SDK, packed and
// unpacked as npm does it.
func workshop(t *testing.T) string {
	t.Helper()
	modules, err := filepath.Abs(npmDir + "/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(modules); err != nil {
		t.Fatal("packages from npm are not installed; make deps installs them")
	}
	dir := t.TempDir()
	sdk, err := filepath.Abs("../../web/sdk")
	if err != nil {
		t.Fatal(err)
	}
	tarball := strings.TrimSpace(command(t, dir, "npm", "pack", "--silent", sdk))
	unpacked := filepath.Join(dir, "node_modules", "@farebox")
	if err := os.MkdirAll(unpacked, 0o755); err != nil {
		t.Fatal(err)
	}
	command(t, unpacked, "tar", "-xzf", filepath.Join(dir, tarball))
	if err := os.Rename(filepath.Join(unpacked, "package"), filepath.Join(unpacked, "sdk")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(modules)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if err := os.Symlink(filepath.Join(modules, entry.Name()), filepath.Join(dir, "node_modules", entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"vendors.jsx", "types.ts", "mint.mjs"} {
		data, err := os.ReadFile(filepath.Join(npmDir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// command runs a program and returns what it printed.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = dir
	var problems strings.Builder
	c.Stderr = &problems
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", name, err, out, problems.String())
	}
	return string(out)
}

func TestTheSDKIsAPackageOfNpm(t *testing.T) {
	t.Parallel()
	dir := workshop(t)
	got := command(t, dir, "node", "--input-type=module", "-e",
		`import * as sdk from '@farebox/sdk'; console.log(Object.keys(sdk).sort().join(), new sdk.FareboxError({code: 'network'}) instanceof Error)`)
	if strings.TrimSpace(got) != "FareboxError,createFarebox true" {
		t.Errorf("the package exports %s", got)
	}
	files, err := filepath.Glob(dir + "/node_modules/@farebox/sdk/*")
	if err != nil || len(files) != 7 {
		t.Errorf("the package holds %v, %v", files, err)
	}
	// A server that renders pages may import the element; it makes none.
	got = command(t, dir, "node", "--input-type=module", "-e", `import { FareboxVoice } from '@farebox/sdk/voice'; console.log(FareboxVoice.formAssociated)`)
	if strings.TrimSpace(got) != "true" {
		t.Errorf("the element on a server: %s", got)
	}
}

func TestTheSDKsTypesHold(t *testing.T) {
	t.Parallel()
	dir := workshop(t)
	command(t, dir, "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess",
		"--skipLibCheck", "--target", "es2024", "--module", "nodenext", "--lib", "es2024,dom,dom.iterable", "--types", "", "types.ts")
	command(t, dir, "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--target", "es2024", "--module", "nodenext",
		"--lib", "es2024,dom", "--types", "", "node_modules/@farebox/sdk/farebox.d.ts", "node_modules/@farebox/sdk/farebox-voice.d.ts")
}

// openVendors shows a page with the vendor's clients, bundled with the SDK.
func openVendors(t *testing.T) *guest {
	t.Helper()
	dir := workshop(t)
	bundle := command(t, dir, "node_modules/esbuild/bin/esbuild", "vendors.jsx", "--bundle", "--format=iife", "--global-name=vendors",
		"--jsx=automatic", "--log-level=error", "--preserve-symlinks", `--define:process.env.NODE_ENV="development"`)
	d := startDev(t)
	s := &guest{browser: openBrowser(t), d: d, w: d.wire()}
	s.load("<!doctype html><title>The vendor's clients</title><body><script>" + strings.ReplaceAll(bundle, "</script", `<\/script`) + "</script>")
	eval[bool](s, listen)
	eval[bool](s, `window.service = {baseUrl: base, getSession: () => jwt}; return true`)
	return s
}

func TestTheVendorsClientTranscribesOnTokensOfTheSDK(t *testing.T) {
	t.Parallel()
	s := openVendors(t)
	s.w.spoil()
	const say = `
		speakInto(live)
		return (await told('committed_transcript')).text`
	if text := eval[string](s, `window.live = listen(vendors.connectClient(service)); await live.ready;`+say); !strings.Contains(text, "It heard 1.0 seconds") {
		t.Errorf("it heard %q", text)
	}
	s.w.wantAsked(t, 1, 1)
	if text := eval[string](s, `
		const late = new Promise((resolve) => live.on('committed_transcript', resolve)) // on the socket that is there
		speakInto(live)
		return (await late).text`); !strings.Contains(text, "It heard") {
		t.Errorf("a late listener heard %q", text)
	}

	s.w.cut()
	if text := eval[string](s, `await told('accepted', 2); log.length = 0;`+say); !strings.Contains(text, "It heard 1.0 seconds") {
		t.Errorf("after a drop it heard %q", text)
	}
	s.w.wantAsked(t, 2, 2)

	// Closed, and refused at first.
	s.w.spoil(amend(map[string]any{"token": "sutkn_used"}))
	eval[bool](s, `
		live.close()
		await told('ended')
		log.length = 0
		window.live = listen(vendors.connectClient(service))
		await live.ready
		return true`)
	s.w.wantAsked(t, 2, 2)
	if names := s.told(); !strings.HasPrefix(strings.Join(names, " "), "auth_error error reconnecting ") {
		t.Errorf("it told %v", names)
	}
	s.wantSockets(t, 4)
}

func TestTheVendorsHookTranscribesInReactsStrictMode(t *testing.T) {
	t.Parallel()
	s := openVendors(t)
	s.w.spoil()
	eval[bool](s, `window.root = vendors.mount(service); return true`)
	const shown = `document.querySelector('main p')`
	s.sees(shown + `?.dataset.status === 'connected' && ` + shown + `.dataset.mounts === '2'`)
	s.w.wantAsked(t, 1, 1)
	s.wantSockets(t, 1)
	eval[bool](s, `speakInto(live); return true`)
	s.sees(shown + `.innerText.includes('It heard 1.0 seconds')`)

	eval[bool](s, `window.again = new Promise((resolve) => live.on('accepted', resolve)); return true`)
	s.w.cut()
	eval[bool](s, `await again; speakInto(live); return true`)
	s.sees(shown + `.innerText.match(/It heard/g).length === 2`)
	s.w.wantAsked(t, 2, 2)
	eval[bool](s, `root.unmount(); return true`)
	s.wantSockets(t, 2)
}

func TestTheElementInReactsStrictModeTakesOneToken(t *testing.T) {
	t.Parallel()
	s := openVendors(t)
	s.w.spoil()
	eval[bool](s, `window.root = vendors.mountVoice(service); return true`)
	const shown = `document.querySelector('main output')`
	s.sees(shown + `?.dataset.state === 'listening' && ` + shown + `.dataset.mounts === '2'`)
	s.w.wantAsked(t, 1, 1)
	s.wantSockets(t, 1)
	s.sees(`document.querySelector('farebox-voice').shadowRoot.querySelector('[part=partial]').textContent.includes('so far')`)
	eval[bool](s, `document.querySelector('farebox-voice').stop(); return true`)
	s.sees(shown + `.innerText.includes('It heard') && ` + shown + `.dataset.state === 'idle'`)

	eval[bool](s, `
		window.voice = document.querySelector('farebox-voice')
		voice.start()
		while (voice.state !== 'listening') await new Promise((resolve) => setTimeout(resolve, 5))
		root.unmount()
		while (voice.state !== 'idle') await new Promise((resolve) => setTimeout(resolve, 5))
		return true`)
	s.w.wantAsked(t, 2, 2)
	s.wantSockets(t, 2)
	s.calm()
}

func TestTheVendorsServerLibraryMintsFromTheSandbox(t *testing.T) {
	t.Parallel()
	dir := workshop(t)
	d := startDev(t)
	type result struct {
		Token   string
		Classes []string
		Status  int
		Detail  any
	}
	mint := func(tokenType string) (got result) {
		t.Helper()
		printed := command(t, dir, "node", "mint.mjs", d.sandbox, tokenType, "any-key")
		if err := json.Unmarshal([]byte(printed), &got); err != nil {
			t.Fatalf("%q: %v", printed, err)
		}
		return got
	}
	for _, tokenType := range []string{"realtime_scribe", "batch_scribe", "tts_websocket"} {
		if got := mint(tokenType); got.Token == "" {
			t.Errorf("%s: %+v", tokenType, got)
		}
	}
	if got := openScribe(t, "ws"+strings.TrimPrefix(d.sandbox, "http"), "token", mint("realtime_scribe").Token); got != "session_started" {
		t.Errorf("its token: %s", got)
	}

	// The vendor's errors are its own classes, with what the vendor said.
	for fault, want := range map[string]result{
		"key_invalid":       {Classes: []string{"ElevenLabsError"}, Status: 401, Detail: "invalid_api_key"},
		"scope_missing":     {Classes: []string{"ElevenLabsError"}, Status: 401, Detail: "missing_permissions"},
		"credits_exhausted": {Classes: []string{"ElevenLabsError"}, Status: 401, Detail: "quota_exceeded"},
		"plan_too_low":      {Classes: []string{"ElevenLabsError"}, Status: 402, Detail: "payment_required"},
		"too_many_at_once":  {Classes: []string{"ElevenLabsError"}, Status: 429, Detail: "too_many_concurrent_requests"},
		"validation":        {Classes: []string{"ElevenLabsError", "UnprocessableEntityError"}, Status: 422},
		"server_error":      {Classes: []string{"ElevenLabsError"}, Status: 500},
	} {
		d.fault("mint", fault, 1)
		got := mint("realtime_scribe")
		if !slices.Equal(got.Classes, want.Classes) || got.Status != want.Status || got.Detail == nil || want.Detail != nil && !strings.Contains(fmt.Sprint(got.Detail), want.Detail.(string)) {
			t.Errorf("%s: %+v", fault, got)
		}
	}
}
