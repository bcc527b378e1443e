package sandbox_test

import (
	"strings"
	"testing"
)

func TestTheAPI(t *testing.T) {
	t.Parallel()
	v := start(t)
	tests := map[string]struct {
		method, path, key string
		status            int
		holds             string
	}{
		"models":                        {"GET", "/v1/models", "k", 200, `"model_id"`},
		"models without a key":          {"GET", "/v1/models", "", 401, `invalid_api_key`},
		"the user of a key":             {"GET", "/v1/user", "k", 200, `"next_character_count_reset_unix":`},
		"the user of no key":            {"GET", "/v1/user", "", 401, `invalid_api_key`},
		"a real key":                    {"GET", "/v1/models", "sk_abc", 401, `invalid_api_key`},
		"another type":                  {"POST", "/v1/single-use-token/x", "k", 422, `"loc"`},
		"another method":                {"GET", "/v1/single-use-token/realtime_scribe", "k", 405, `detail`},
		"a signed URL":                  {"GET", "/v1/convai/conversation/get-signed-url?agent_id=a", "k", 200, `ws://127.0.0.1`},
		"a signed URL for single use":   {"GET", "/v1/convai/conversation/get-signed-url?agent_id=a&include_conversation_id=true", "k", 200, `conversation_id`},
		"a signed URL without agent":    {"GET", "/v1/convai/conversation/get-signed-url", "k", 422, `detail`},
		"a signed URL for two agents":   {"GET", "/v1/convai/conversation/get-signed-url?agent_id=a&agent_id=b", "k", 422, `agent_id`},
		"a conversation token":          {"GET", "/v1/convai/conversation/token?agent_id=a&participant_name=p", "k", 200, `"conversation_id"`},
		"a signed URL for single maybe": {"GET", "/v1/convai/conversation/get-signed-url?agent_id=a&include_conversation_id=yes", "k", 422, `include_conversation_id`},
		"an empty key":                  {"POST", "/v1/single-use-token/realtime_scribe", " ", 401, `invalid_api_key`},
		"what it does not know":         {"GET", "/v1/voices", "k", 501, `sandbox`},
		"a path with an empty part":     {"GET", "//v1/models", "k", 501, `sandbox`},
		"a path that goes up":           {"GET", "/v1/x/../models", "k", 501, `sandbox`},
		"a path that lacks its end":     {"GET", "/v1/text-to-speech", "k", 501, `sandbox`},
		"a path with a slash too many":  {"GET", "/v1/models/", "k", 501, `sandbox`},
		"what it does not know of TTS":  {"POST", "/v1/text-to-speech/v", "k", 501, `sandbox`},
		"a socket's path without one":   {"GET", scribePath, "", 426, ``},
		"control that is not there":     {"GET", "/_sandbox/nothing", "", 404, `/_sandbox/faults`},
		"control by another method":     {"POST", "/_sandbox/settings", "", 405, `PUT`},
		"a lifetime that is none":       {"PUT", "/_sandbox/settings", "", 400, `error`},
		"a fault that nobody can read":  {"POST", "/_sandbox/faults", "", 400, `error`},
		"the state of the sandbox":      {"GET", "/_sandbox/", "", 200, `"token_lifetime_seconds":900`},
		"the faults that there are":     {"GET", "/_sandbox/faults", "", 200, `"credits_exhausted"`},
		"the record, which is not null": {"GET", "/_sandbox/calls", "", 200, `"calls":[`},
	}
	for name, tt := range tests {
		a := v.do(t, tt.method, tt.path, tt.key, "")
		if a.status != tt.status || !strings.Contains(a.raw, tt.holds) || a.header.Get("X-Farebox-Sandbox") != "true" {
			t.Errorf("%s: %d %s %v", name, a.status, a.raw, a.header)
		}
	}
}

func TestWhatFollowsTheAtInAKeyIsItsWorkspace(t *testing.T) {
	t.Parallel()
	v := start(t)
	renewal := func(key string) any {
		return v.do(t, "GET", "/v1/user", key, "").body["subscription"].(map[string]any)["next_character_count_reset_unix"]
	}
	if renewal("a@one") != renewal("b@one") || renewal("a") != renewal("b") || renewal("a@one") == renewal("a@two") || renewal("a@one") == renewal("a") {
		t.Error("workspaces are told apart otherwise")
	}
}
