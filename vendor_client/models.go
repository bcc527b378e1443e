package vendorclient

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Models asks the vendor once, with the ring's first key, for its list of models,
// which tells whether it accepts the key and costs nothing. An error is an *Error.
func (c *Client) Models(ctx context.Context) error {
	const most = 4 << 20 // the list is long, and only its beginning is looked at
	return c.look(ctx, "models", "/v1/models", func(body io.Reader) bool {
		// Something that stands between may answer 200 to anything.
		first, err := json.NewDecoder(io.LimitReader(body, most)).Token()
		return err == nil && first == json.Delim('[')
	})
}

// Workspace asks the vendor once, with the ring's first key, whose the key is. It
// returns a mark that keys of one workspace have in common, made of what is the
// workspace's own: its plan, and the moment at which its credits are renewed. ""
// is an answer that does not tell. An error is an *Error.
func (c *Client) Workspace(ctx context.Context) (mark string, err error) {
	err = c.look(ctx, "user", "/v1/user", func(body io.Reader) bool {
		var user struct {
			Subscription struct {
				Tier  string `json:"tier"`
				Reset int64  `json:"next_character_count_reset_unix"`
			} `json:"subscription"`
		}
		data, err := io.ReadAll(io.LimitReader(body, maxBody))
		if err != nil || json.Unmarshal(data, &user) != nil {
			return false
		}
		if user.Subscription.Reset != 0 {
			mark = fmt.Sprint(user.Subscription.Reset, " ", user.Subscription.Tier)
		}
		return true
	})
	return mark, err
}

// look makes one GET with the ring's first key, whatever the ring knows of it.
// good reads a success.
func (c *Client) look(ctx context.Context, operation, path string, good func(io.Reader) bool) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	failed := func(kind Kind, status int) error { return &Error{Operation: operation, Kind: kind, Status: status} }
	key := c.cfg.Keys.Keys()[0]
	request, err := c.request(ctx, key, http.MethodGet, path)
	if err != nil {
		return failed(KindUnreachable, 0)
	}
	answer, err := c.cfg.Transport.RoundTrip(request)
	switch {
	case err != nil && ctx.Err() != nil:
		return failed(KindTimeout, 0)
	case err != nil:
		return failed(KindUnreachable, 0)
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusSwitchingProtocols:
		return c.classify(operation, key, answer, nil)
	default:
		body, _ := io.ReadAll(io.LimitReader(answer.Body, maxBody))
		return c.classify(operation, key, answer, body)
	}
	if !good(answer.Body) {
		return failed(KindNoList, answer.StatusCode)
	}
	return nil
}
