package preflight_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"farebox/internal/preflight"
	"farebox/internal/secret"
)

// severalKeys is a vendor that knows keys canary-1 and so on, each with what its
// subscription says; "" is one that may not tell.
func severalKeys(t *testing.T, refuse func(key, path string) (int, string), subscriptions ...string) preflight.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("xi-api-key")
		var n int
		if _, err := fmt.Sscanf(key, "canary-%d", &n); err != nil {
			t.Errorf("asked with %q", key)
		}
		if status, body := refuse(key, r.URL.Path); status != 0 {
			says(status, body)(w, r)
			return
		}
		switch subscription := subscriptions[n-1]; {
		case r.URL.Path == "/v1/models":
			_, _ = io.WriteString(w, `[]`)
		case r.URL.Path != "/v1/user":
			_, _ = io.WriteString(w, `{"token":"`+vendorsToken+`"}`)
		case subscription == "":
			says(401, `{"detail":{"status":"missing_permissions"}}`)(w, r)
		default:
			_, _ = io.WriteString(w, `{"subscription":`+subscription+`}`)
		}
	}))
	t.Cleanup(server.Close)
	cfg := config(t, server.URL)
	cfg.APIKeys = nil
	for i := range subscriptions {
		cfg.APIKeys = append(cfg.APIKeys, secret.New(fmt.Sprint("canary-", i+1)))
	}
	return cfg
}

func TestEachKeyOfARingIsCheckedByItsPosition(t *testing.T) {
	t.Parallel()
	cfg := severalKeys(t, func(key, path string) (int, string) {
		switch {
		case key == "canary-2" && strings.HasSuffix(path, "tts_websocket"):
			return 401, `{"detail":{"status":"missing_permissions","message":"the permission text_to_speech is missing"}}`
		case key == "canary-3":
			return 401, `{"detail":{"status":"quota_exceeded"}}`
		default:
			return 0, ""
		}
	}, "", "", "")
	results, told := run(t, cfg)
	for name, status := range map[string]preflight.Status{
		"vendor_key_1": preflight.OK, "mint_batch_scribe_1": preflight.OK, "mint_realtime_scribe_1": preflight.OK, "mint_tts_websocket_1": preflight.OK,
		"vendor_key_2": preflight.OK, "mint_batch_scribe_2": preflight.OK, "mint_realtime_scribe_2": preflight.OK, "mint_tts_websocket_2": preflight.Fail,
		"vendor_key_3": preflight.Fail, "mint_batch_scribe_3": preflight.Fail, "mint_realtime_scribe_3": preflight.Fail, "mint_tts_websocket_3": preflight.Fail,
		"vendor_workspace": preflight.OK,
	} {
		if results[name].Status != status {
			t.Errorf("%s: %+v", name, results[name])
		}
	}
	if r := results["mint_tts_websocket_2"]; !strings.Contains(r.Detail, "lacks the permission") {
		t.Errorf("%+v", r)
	}
	if strings.Contains(told, "canary") {
		t.Errorf("a key was told:\n%s", told)
	}
}

func TestKeysOfDifferentWorkspacesAreWarnedOf(t *testing.T) {
	t.Parallel()
	const one, other = `{"tier":"pro","next_character_count_reset_unix":1738356858}`, `{"tier":"pro","next_character_count_reset_unix":1738356999}`
	for name, tt := range map[string]struct {
		subscriptions []string
		status        preflight.Status
		says          []string
	}{
		"one workspace":                {[]string{one, one}, preflight.OK, []string{"are one"}},
		"two":                          {[]string{one, one, other}, preflight.Warn, []string{"key 3: another subscription than key 1"}},
		"two, beside one that is mute": {[]string{"", one, other}, preflight.Warn, []string{"key 3: another subscription than key 2", "key 1 does not tell"}},
		"one that is mute":             {[]string{one, ""}, preflight.OK, []string{"cannot be told", "key 2 does not tell", "user_read"}},
		"one beside those that agree":  {[]string{one, "", one}, preflight.OK, []string{"are one", "key 2 does not tell"}},
		"no time of renewal":           {[]string{`{"tier":"free"}`, `{"tier":"free"}`}, preflight.OK, []string{"cannot be told"}},
	} {
		results, _ := run(t, severalKeys(t, func(string, string) (int, string) { return 0, "" }, tt.subscriptions...))
		r := results["vendor_workspace"]
		if r.Status != tt.status || (r.Mend != "") != (tt.status == preflight.Warn) {
			t.Errorf("%s: %+v", name, r)
		}
		for _, words := range tt.says {
			if !strings.Contains(r.Detail, words) {
				t.Errorf("%s: %q lacks %q", name, r.Detail, words)
			}
		}
	}
}
