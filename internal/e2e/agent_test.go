package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	signedURLPath         = "/v1/convai/conversation/get-signed-url"
	conversationTokenPath = "/v1/convai/conversation/token"
	agentsPolicy          = `
tokens:
  realtime_scribe: {}
agents:
  agent_1:
    allow: 'sub != "eve"'
    per_user: 3/1h
`
)

// agentVendor makes agents' credentials and keeps what it was asked.
type agentVendor struct {
	*httptest.Server
	mu    sync.Mutex
	asked []url.URL
	keys  []string
}

func startAgentVendor(t *testing.T) *agentVendor {
	t.Helper()
	v := &agentVendor{}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		v.asked, v.keys = append(v.asked, *r.URL), append(v.keys, r.Header.Get("xi-api-key"))
		n := len(v.asked)
		v.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]string{
			"signed_url": fmt.Sprintf("ws://%s/v1/convai/conversation?agent_id=agent_1&conversation_signature=canary_%d", r.Host, n),
			"token":      fmt.Sprint("canary_", n), "conversation_id": fmt.Sprint("conv_", n), "internal": "the vendor's own",
		})
	}))
	t.Cleanup(v.Close)
	return v
}

// take is what was asked since the last time.
func (v *agentVendor) take() []url.URL {
	v.mu.Lock()
	defer v.mu.Unlock()
	asked := v.asked
	v.asked = nil
	return asked
}

func TestServeHandsOutAgentsCredentials(t *testing.T) {
	t.Parallel()
	v := startAgentVendor(t)
	g := &governed{serving: startServe(t, "ELEVENLABS_BASE_URL="+v.URL, "FAREBOX_LOG_LEVEL=debug",
		"FAREBOX_POLICY_FILE="+writeFile(t, filepath.Join(t.TempDir(), "policy.yaml"), agentsPolicy))}
	hashed := start(t, []string{"hash", "--sub", "ada"}, "FAREBOX_SECRET="+deploymentSecret, "FAREBOX_SESSION_ISSUER=https://issuer.example")
	hashed.wait()
	hash := strings.TrimSpace(hashed.text())
	get := func(path, sub, key string) answer {
		h := http.Header{"Authorization": {"Bearer " + g.session(sub, nil)}}
		if key != "" {
			h["Idempotency-Key"] = []string{key}
		}
		return do(t, http.MethodGet, g.url+path, h, "")
	}

	first := get(signedURLPath+"?agent_id=agent_1&include_conversation_id=false&participant_name=eve", "ada", "k1")
	in, _ := first.body["expires_in"].(float64)
	if address, _ := first.body["signed_url"].(string); first.status != 200 || len(first.body) != 3 || in < 890 || in > 900 ||
		!strings.HasPrefix(address, "ws://"+strings.TrimPrefix(v.URL, "http://")+"/") || first.header.Get("Cache-Control") != "no-store" {
		t.Errorf("a signed URL: %d %s %v", first.status, first.raw, first.header)
	}
	again := get(signedURLPath+"?agent_id=agent_1&include_conversation_id=false&participant_name=eve", "ada", "k1")
	if again.body["signed_url"] != first.body["signed_url"] || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("again: %d %s", again.status, again.raw)
	}
	second := get(conversationTokenPath+"?agent_id=agent_1&participant_name=eve", "ada", "")
	if second.status != 200 || second.body["token"] != "canary_2" || second.body["conversation_id"] != "conv_2" || len(second.body) != 2 {
		t.Errorf("a token: %d %s", second.status, second.raw)
	}
	asked := v.take()
	want := []string{
		signedURLPath + "?agent_id=agent_1&include_conversation_id=true",
		conversationTokenPath + "?agent_id=agent_1&participant_name=" + hash,
	}
	if len(asked) != 2 || asked[0].String() != want[0] || asked[1].String() != want[1] {
		t.Errorf("the vendor was asked %v, want %v", asked, want)
	}

	for name, tt := range map[string]struct {
		path, sub string
		status    int
		code      string
	}{
		"an agent that is not named": {signedURLPath + "?agent_id=agent_2", "ada", 403, "agent_not_allowed"},
		"whom the agent is not for":  {conversationTokenPath + "?agent_id=agent_1", "eve", 403, "agent_not_allowed"},
		"no agent":                   {conversationTokenPath, "ada", 400, "invalid_request"},
	} {
		if a := get(tt.path, tt.sub, ""); a.status != tt.status || a.body["code"] != tt.code {
			t.Errorf("%s: %d %s", name, a.status, a.raw)
		}
	}
	if a := do(t, http.MethodHead, g.url+signedURLPath+"?agent_id=agent_1", http.Header{"Authorization": {"Bearer " + g.session("ada", nil)}}, ""); a.status != 405 {
		t.Errorf("HEAD: %d", a.status)
	}
	if asked := v.take(); len(asked) != 0 {
		t.Errorf("the vendor was asked for nothing: %v", asked)
	}
	if a := get(signedURLPath+"?agent_id=agent_1", "ada", ""); a.status != 200 {
		t.Errorf("the third of 3: %d %s", a.status, a.raw)
	}
	if a := get(conversationTokenPath+"?agent_id=agent_1", "ada", ""); a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("the fourth of 3: %d %s", a.status, a.raw)
	}

	if text := g.text(); strings.Contains(text, "canary_") || strings.Contains(text, "agent_2") || strings.Contains(text, "the vendor's own") ||
		!strings.Contains(text, `"type":"signed_url","agent":"agent_1","outcome":"ok","source":"replay"`) ||
		!strings.Contains(text, `"type":"conversation_token","agent":"agent_1","outcome":"ok","source":"mint","sub_hash":"`+hash+`"`) {
		t.Errorf("the log and the audit:\n%s", text)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if slices.ContainsFunc(v.keys, func(key string) bool { return key != "key" }) {
		t.Errorf("the keys: %q", v.keys)
	}
}

func TestDevHasAgentsCredentialsWithAPolicyFile(t *testing.T) {
	t.Parallel()
	d := startDev(t, "FAREBOX_POLICY_FILE="+writeFile(t, filepath.Join(t.TempDir(), "policy.yaml"), agentsPolicy))
	h := http.Header{"Authorization": {"Bearer " + d.signIn("ada")}}
	signed := do(t, http.MethodGet, d.url+signedURLPath+"?agent_id=agent_1", h, "")
	address, _ := signed.body["signed_url"].(string)
	if u, err := url.Parse(address); err != nil || signed.status != 200 || u.Query().Get("agent_id") != "agent_1" || u.Query().Get("conversation_id") == "" {
		t.Errorf("a signed URL: %d %s", signed.status, signed.raw)
	}
	if a := do(t, http.MethodGet, d.url+conversationTokenPath+"?agent_id=agent_1", h, ""); a.status != 200 || a.body["token"] == "" || a.body["conversation_id"] == "" {
		t.Errorf("a token: %d %s", a.status, a.raw)
	}
	for _, want := range []struct {
		fault  string
		status int
		code   string
	}{
		{"not_found", 502, "vendor_error"}, {"no_token", 502, "vendor_error"}, {"odd_token", 502, "vendor_error"}, {"redirect", 502, "vendor_error"},
		{"scope_missing", 503, "vendor_refused"}, // the last, since the key is set aside for it
	} {
		fault := want.fault
		for operation, path := range map[string]string{"signed_url": signedURLPath, "conversation_token": conversationTokenPath} {
			if a := do(t, http.MethodPost, d.sandbox+"/_sandbox/faults", nil, fmt.Sprintf(`{"operation":%q,"fault":%q,"times":1}`, operation, fault)); a.status != 204 {
				t.Fatalf("%s of %s: %d %s", fault, operation, a.status, a.raw)
			}
			// Each has its own caller, so that the limit does not come in between.
			h := http.Header{"Authorization": {"Bearer " + d.signIn(operation+fault)}}
			if a := do(t, http.MethodGet, d.url+path+"?agent_id=agent_1", h, ""); a.status != want.status || a.body["code"] != want.code {
				t.Errorf("%s of %s: %d %s", fault, operation, a.status, a.raw)
			}
		}
	}
}
