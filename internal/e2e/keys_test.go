//go:build real

package e2e_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// keyMark is how the sandbox calls an API key.
func keyMark(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])[:12]
}

// mintsWith is how many mints with a key the sandbox still has in its record.
func (h *house) mintsWith(key string) (n int) {
	h.t.Helper()
	calls := do(h.t, http.MethodGet, h.sandbox+"/_sandbox/calls", nil, "")
	for _, call := range strings.Split(calls.raw, `"seq"`) {
		if strings.Contains(call, `"operation":"mint"`) && strings.Contains(call, `"key":"`+keyMark(key)+`"`) {
			n++
		}
	}
	return n
}

// load asks a replica for tokens until the end of it, and has none fail.
func (h *house) load(r *replica) (stop func()) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	var callers sync.WaitGroup
	var served atomic.Int32
	for i := range 4 {
		callers.Go(func() {
			pace := time.NewTicker(150 * time.Millisecond) // the global limit is 50 a second
			defer pace.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				a := mint(h.t, r.url, scribePath, h.session(fmt.Sprint("user ", i, " ", n/5), nil), "")
				if a.status != 200 {
					h.t.Errorf("a request failed: %d %s", a.status, a.raw)
				}
				served.Add(1)
				<-pace.C
			}
		})
	}
	h.eventually("it is under way", func() bool { return served.Load() > 4 })
	return func() {
		h.t.Helper()
		now := served.Load()
		h.eventually("it goes on", func() bool { return served.Load() > now+8 })
		cancel()
		callers.Wait()
	}
}

func TestAKeyThatIsRefusedUnderLoadFailsNobodyAndComesBack(t *testing.T) {
	t.Parallel()
	h := build(t)
	const one, two = "canary-key-one", "canary-key-two"
	r := h.serve("ELEVENLABS_API_KEY="+one+","+two, "FAREBOX_POOL_MAX=6", "FAREBOX_POOL_MIN=2")
	readyz := func() string { return do(t, http.MethodGet, r.ops+"/readyz", nil, "").raw }
	usable := func() string {
		var lines []string
		for _, line := range strings.Split(do(t, http.MethodGet, r.ops+"/metrics", nil, "").raw, "\n") {
			if strings.HasPrefix(line, "farebox_key_usable") {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, " ")
	}
	stop := h.load(r)
	if h.mintsWith(one) == 0 || h.mintsWith(two) != 0 || usable() != `farebox_key_usable{key="1"} 1 farebox_key_usable{key="2"} 1` {
		t.Errorf("at first: %d and %d mints, %s", h.mintsWith(one), h.mintsWith(two), usable())
	}
	h.inject(`{"operation":"mint","fault":"credits_exhausted","key":"` + keyMark(one) + `"}`)
	h.eventually("the second key mints", func() bool { return h.mintsWith(two) > 5 })
	if now := readyz(); !strings.Contains(now, `"status":"degraded"`) || !strings.Contains(now, "key 1: credits_exhausted") {
		t.Errorf("readyz = %s", now)
	}
	if usable() != `farebox_key_usable{key="1"} 0 farebox_key_usable{key="2"} 1` {
		t.Errorf("metrics: %s", usable())
	}
	if a := do(t, http.MethodDelete, h.sandbox+"/_sandbox/faults", nil, ""); a.status != 204 {
		t.Fatalf("clear: %d", a.status)
	}
	h.eventually("the first key is usable again", func() bool { return strings.Contains(readyz(), `"status":"ready"`) })
	if usable() != `farebox_key_usable{key="1"} 1 farebox_key_usable{key="2"} 1` {
		t.Errorf("metrics: %s", usable())
	}
	stop()
	text := r.text()
	for line, want := range map[string]int{
		`"event":"key_set_aside"`: 1, `"event":"key_usable"`: 1,
		`"msg":"the vendor refuses an API key: it is set aside","key":1,"of":2`: 1, `"msg":"an API key is usable again","key":1`: 1,
	} {
		if got := strings.Count(text, line); got != want {
			t.Errorf("%d lines with %s, want %d", got, line, want)
		}
	}
	if strings.Contains(text, "canary") {
		t.Error("a key is in the log")
	}
}

func TestAFileOfKeysIsFollowedWithoutAFailedRequest(t *testing.T) {
	t.Parallel()
	h := build(t)
	root := t.TempDir()
	// As Kubernetes mounts a Secret.
	version := func(name, text string) {
		if err := os.Mkdir(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(root, name, "keys"), text)
		if err := os.Symlink(name, filepath.Join(root, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(root, "..data_tmp"), filepath.Join(root, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..1", "canary-old\n")
	path := filepath.Join(root, "keys")
	if err := os.Symlink("..data/keys", path); err != nil {
		t.Fatal(err)
	}
	r := h.serve("ELEVENLABS_API_KEY=", "ELEVENLABS_API_KEY_FILE="+path)
	stop := h.load(r)
	if h.mintsWith("canary-old") == 0 {
		t.Error("the first key is not used")
	}
	version("..2", "\n  canary-new\n canary-spare \n")
	swapped := time.Now()
	h.eventually("the new key mints", func() bool { return h.mintsWith("canary-new") > 0 })
	t.Logf("the new key was used %v after the file was swapped", time.Since(swapped))
	// What was under way with the old key ends; then it is used no more.
	h.eventually("the old key is left", func() bool {
		before := h.mintsWith("canary-old")
		more := h.mintsWith("canary-new")
		h.eventually("the new key mints on", func() bool { return h.mintsWith("canary-new") > more+5 })
		return h.mintsWith("canary-old") == before
	})
	version("..3", "canary-new,canary-new\n")
	r.printed(`the file of API keys is wrong: the keys before it stay in use.*holds a key twice`)
	ready := do(t, http.MethodGet, r.ops+"/readyz", nil, "")
	if ready.status != 200 || ready.body["status"] != "degraded" || !strings.Contains(ready.raw, `"reason":"the file is wrong"`) {
		t.Errorf("readyz = %d %s", ready.status, ready.raw)
	}
	version("..4", "canary-spare")
	r.printed(`(?s)stay in use.*the file of API keys has changed and is in use`)
	h.eventually("the last key mints", func() bool { return h.mintsWith("canary-spare") > 0 })
	if now := do(t, http.MethodGet, r.ops+"/readyz", nil, ""); now.body["status"] != "ready" {
		t.Errorf("readyz = %s", now.raw)
	}
	stop()
	text := r.text()
	if strings.Contains(text, "canary") || strings.Contains(text, root) {
		t.Errorf("a key or the file's place is shown:\n%s", text)
	}
	for event, want := range map[string]int{`"event":"api_keys_loaded","audit":true,"outcome":"ok"`: 2, `"event":"api_keys_loaded","audit":true,"outcome":"refused"`: 1} {
		if got := strings.Count(text, event); got != want {
			t.Errorf("%d audit lines of %s, want %d", got, event, want)
		}
	}
}

func TestCheckTriesEachKeyAndTellsWorkspacesApart(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.inject(`{"operation":"mint","fault":"scope_missing","token_type":"tts_websocket","key":"` + keyMark("canary-b@two") + `"}`)
	c := h.check("", nil, "ELEVENLABS_API_KEY=canary-a@one,canary-b@two")
	if c.status != 1 || c.stderr != "" || h.mints() != 6 {
		t.Errorf("status %d, %d mints\n%s\n%s", c.status, h.mints(), c.stdout, c.stderr)
	}
	for _, line := range []string{
		"ok    vendor_key_1", "ok    mint_tts_websocket_1", "ok    vendor_key_2", "ok    mint_batch_scribe_2",
		"fail  mint_tts_websocket_2  the key lacks the permission", "warn  vendor_workspace      key 2: another subscription than key 1",
	} {
		if !strings.Contains(c.stdout, line) {
			t.Errorf("it lacks %q:\n%s", line, c.stdout)
		}
	}
	if c := h.check("", nil, "ELEVENLABS_API_KEY=canary-a@one,canary-b@one"); !strings.Contains(c.stdout, "ok    vendor_workspace      the keys' subscriptions are one") {
		t.Errorf("status %d\n%s", c.status, c.stdout)
	}
}
