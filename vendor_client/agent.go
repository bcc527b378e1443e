package vendorclient

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"farebox/internal/secret"
)

// SignedURLLifetime is how long a signed URL is good, from the call that made
// it.
const SignedURLLifetime = 15 * time.Minute

// Credential is what the vendor made for one conversation with an agent.
type Credential struct {
	Value secret.Text // the signed URL, or the token
	// ConversationID is of a conversation's token, where the vendor tells it.
	ConversationID string
	// RequestedAt is just before the call that made it was sent.
	RequestedAt time.Time
	Key         *Key // which it was made with
}

// SignedURL has the vendor sign an address at which one conversation with an
// agent can be opened. An address that is not on the vendor's own host is an
// error. It calls and fails as Mint does.
func (c *Client) SignedURL(ctx context.Context, agentID string) (Credential, error) {
	return c.obtain(ctx, order{
		operation: operationSignedURL, purpose: operationSignedURL, method: http.MethodGet,
		// Without a conversation of its own the address could be used again and again.
		path: "/v1/convai/conversation/get-signed-url?" + url.Values{"agent_id": {agentID}, "include_conversation_id": {"true"}}.Encode(),
		read: c.readSignedURL,
	})
}

// ConversationToken has the vendor make a token for one conversation of
// participant with an agent, by WebRTC. It calls and fails as Mint does.
func (c *Client) ConversationToken(ctx context.Context, agentID, participant string) (Credential, error) {
	return c.obtain(ctx, order{
		operation: operationConversationToken, purpose: operationConversationToken, method: http.MethodGet,
		path: "/v1/convai/conversation/token?" + url.Values{"agent_id": {agentID}, "participant_name": {participant}}.Encode(),
		read: func(body []byte) (Credential, bool) {
			made, ok := readToken(body)
			made.ConversationID, _ = member(body, "conversation_id")
			return made, ok
		},
	})
}

// readSignedURL reads {"signed_url":"…"}: an address for sockets on the host
// that was asked. Any other would have callers talk to a stranger.
func (c *Client) readSignedURL(body []byte) (Credential, bool) {
	value, ok := member(body, "signed_url")
	if !ok {
		return Credential{}, false
	}
	signed, err := url.Parse(value)
	if err != nil || signed.User != nil || signed.Fragment != "" {
		return Credential{}, false
	}
	base := url.URL{Scheme: "ws" + strings.TrimPrefix(c.cfg.BaseURL.Scheme, "http"), Host: c.cfg.BaseURL.Host}
	return Credential{Value: secret.New(value)}, signed.Scheme == base.Scheme && address(signed) == address(&base)
}

// address is where a socket's URL leads, its port spelt out.
func address(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "wss":
		port = "443"
	default:
		port = "80"
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}
