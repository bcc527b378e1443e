package vendorclient

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
)

// Models asks the vendor once for its list of models, which tells whether it
// accepts the key and costs nothing. An error is an *Error.
func (c *Client) Models(ctx context.Context) error {
	const operation = "models"
	const most = 4 << 20 // the list is long, and only its beginning is looked at
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	failed := func(kind Kind, status int) error { return &Error{Operation: operation, Kind: kind, Status: status} }
	request, err := c.request(ctx, http.MethodGet, "/v1/models")
	if err != nil {
		return failed(KindUnreachable, 0)
	}
	answer, err := c.http.Do(request)
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
		return c.classify(operation, answer, nil)
	default:
		body, _ := io.ReadAll(io.LimitReader(answer.Body, maxBody))
		return c.classify(operation, answer, body)
	}
	// Something that stands between may answer 200 to anything.
	first, err := json.NewDecoder(io.LimitReader(answer.Body, most)).Token()
	if err != nil || first != json.Delim('[') {
		return failed(KindNoList, answer.StatusCode)
	}
	return nil
}
