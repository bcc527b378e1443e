package vendorclient_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	vendorclient "farebox/vendor_client"
)

// agentCalls are both, by operation.
func agentCalls(b *bench) map[string]func(context.Context) (vendorclient.Credential, error) {
	return map[string]func(context.Context) (vendorclient.Credential, error){
		"signed_url": func(ctx context.Context) (vendorclient.Credential, error) { return b.SignedURL(ctx, "agent 1&x=2") },
		"conversation_token": func(ctx context.Context) (vendorclient.Credential, error) {
			return b.ConversationToken(ctx, "agent 1&x=2", "hash&y")
		},
	}
}

// signed is an address on the host that was asked, for conversations.
func signed(r *http.Request) string {
	return "ws://" + r.Host + "/v1/convai/conversation?agent_id=a&s=1"
}

func TestAgentsCredentialsAreAskedForAsTheVendorWantsToBeAsked(t *testing.T) {
	t.Parallel()
	for operation, want := range map[string]struct {
		path           string
		query          url.Values
		conversationID string
	}{
		"signed_url":         {"/v1/convai/conversation/get-signed-url", url.Values{"agent_id": {"agent 1&x=2"}, "include_conversation_id": {"true"}}, ""},
		"conversation_token": {"/v1/convai/conversation/token", url.Values{"agent_id": {"agent 1&x=2"}, "participant_name": {"hash&y"}}, "conv_1"},
	} {
		var got *http.Request
		b := start(t, func(w http.ResponseWriter, r *http.Request) {
			got = r
			answers(200, `{"token":"t.1","conversation_id":"conv_1","signed_url":"`+signed(r)+`"}`)(w, r)
		})
		before := time.Now()
		made, err := agentCalls(b)[operation](t.Context())
		if err != nil {
			t.Fatal(err)
		}
		value := "t.1"
		if operation == "signed_url" {
			value = signed(got)
		}
		if made.Value.Reveal() != value || made.ConversationID != want.conversationID || made.RequestedAt.Before(before) {
			t.Errorf("%s: %q, %+v", operation, made.Value.Reveal(), made)
		}
		if got.Method != http.MethodGet || got.URL.Path != want.path || got.URL.Query().Encode() != want.query.Encode() || got.ContentLength != 0 ||
			got.Header.Get("xi-api-key") != apiKey || got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Authorization") != "" {
			t.Errorf("%s: %s %s %v", operation, got.Method, got.URL, got.Header)
		}
	}
}

func TestAnAddressThatIsNotTheVendorsIsNotTaken(t *testing.T) {
	t.Parallel()
	const path = "/v1/convai/conversation?agent_id=a&s=1"
	for base, tests := range map[string]map[string]bool{
		"https://vendor.example": {
			"wss://vendor.example" + path:                       true,
			"wss://VENDOR.example:443" + path:                   true,
			"ws://vendor.example" + path:                        false,
			"https://vendor.example" + path:                     false,
			"javascript://vendor.example" + path:                false,
			"wss://vendor.example:8443" + path:                  false,
			"wss://evil.example" + path:                         false,
			"wss://vendor.example.evil.example" + path:          false,
			"wss://evil.example/wss://vendor.example" + path:    false,
			"wss://evil.example\\@vendor.example" + path:        false,
			"wss://vendor.example\\.evil.example" + path:        false,
			"wss://evil.example%2fvendor.example" + path:        false,
			"wss://user@vendor.example" + path:                  false,
			"wss://vendor.example" + path + "#x":                false,
			"wss:vendor.example" + path:                         false,
			"//vendor.example" + path:                           false,
			path:                                                false,
			"":                                                  false,
			"wss://vendor.example/" + strings.Repeat("x", 4096): false,
			"wss://vendor.example/a b":                          false,
		},
		"https://vendor.example:8443/base/": {
			"wss://vendor.example:8443" + path: true,
			"wss://vendor.example" + path:      false,
		},
		"http://127.0.0.1:8081": {
			"ws://127.0.0.1:8081" + path:  true,
			"wss://127.0.0.1:8081" + path: false,
			"ws://localhost:8081" + path:  false,
		},
	} {
		for address, good := range tests {
			b := start(t, answers(500, ""), func(c *vendorclient.Config) {
				c.BaseURL, _ = url.Parse(base)
				c.Transport = says(`{"signed_url":"` + strings.ReplaceAll(address, `\`, `\\`) + `"}`)
			})
			made, err := b.SignedURL(t.Context(), "a")
			var e *vendorclient.Error
			switch {
			case good && (err != nil || made.Value.Reveal() != address):
				t.Errorf("%s of %s: %v", address, base, err)
			case !good && (!errors.As(err, &e) || e.Kind != vendorclient.KindNoToken || !e.MayHaveMinted || !made.Value.IsZero()):
				t.Errorf("%s of %s was taken: %v", address, base, err)
			case !good && strings.Contains(err.Error()+b.log.String(), "evil"):
				t.Errorf("%s is in an error or the log", address)
			}
		}
	}
}

// says answers every call with one body.
type says string

func (s says) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	answers(200, string(s))(w, r)
	return w.Result(), nil
}

func TestAConversationsIDMayBeMissingOrOdd(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"token":"t"}`:                                "",
		`{"token":"t","conversation_id":null}`:         "",
		`{"token":"t","conversation_id":7}`:            "",
		`{"token":"t","conversation_id":"two\nlines"}`: "",
		`{"token":"t","conversation_id":"c"}`:          "c",
	} {
		made, err := start(t, answers(200, body)).ConversationToken(t.Context(), "a", "p")
		if err != nil || made.Value.Reveal() != "t" || made.ConversationID != want {
			t.Errorf("%s: %q, %v", body, made.ConversationID, err)
		}
	}
}

func TestAgentsCallsFailAsMintsDo(t *testing.T) {
	t.Parallel()
	for operation := range agentCalls(nil) {
		for name, tt := range map[string]struct {
			answer        http.HandlerFunc
			kind          vendorclient.Kind
			calls         int32
			mayHaveMinted bool
		}{
			"an agent that is unknown": {answers(404, `{"detail":{"status":"agent_not_found"}}`), vendorclient.KindUnexpectedStatus, 1, false},
			"a scope that is missing":  {answers(401, `{"detail":{"status":"missing_permissions"}}`), vendorclient.KindScopeMissing, 1, false},
			"a vendor that is busy":    {answers(429, `{"detail":{"status":"system_busy"}}`), vendorclient.KindBusy, 3, false},
			"a vendor that fails":      {answers(500, ``), vendorclient.KindServerError, 3, true},
			"the other's answer":       {answers(200, map[string]string{"signed_url": `{"token":"t"}`, "conversation_token": `{"signed_url":"ws://x"}`}[operation]), vendorclient.KindNoToken, 1, true},
			"text after the object":    {answers(200, `{"token":"t","signed_url":"ws://x"}{}`), vendorclient.KindNoToken, 1, true},
			"a redirect":               {answers(302, ``, "Location", "/v1/models"), vendorclient.KindRedirected, 1, false},
		} {
			b := start(t, tt.answer)
			_, err := agentCalls(b)[operation](t.Context())
			var e *vendorclient.Error
			if !errors.As(err, &e) || e.Kind != tt.kind || e.Operation != operation || e.MayHaveMinted != tt.mayHaveMinted || b.calls.Load() != tt.calls {
				t.Errorf("%s, %s: %v after %d calls", operation, name, err, b.calls.Load())
			}
		}
	}
}
