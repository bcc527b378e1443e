package handlers

import (
	"farebox/internal/dispenser"
	"farebox/internal/policy"
	"farebox/internal/problem"
	"farebox/internal/telemetry"
	vendorclient "farebox/vendor_client"

	"github.com/labstack/echo/v4"
)

// tokenBody is the answer's JSON.
type tokenBody struct {
	Token            string                 `json:"token"`
	TokenType        vendorclient.TokenType `json:"token_type"`
	ExpiresAt        string                 `json:"expires_at"` // RFC 3339, UTC, whole seconds
	ExpiresIn        int64                  `json:"expires_in"` // whole seconds, rounded down
	BaseURL          string                 `json:"base_url"`
	WebSocketBaseURL string                 `json:"websocket_base_url"`
	TokenParameter   string                 `json:"token_parameter"`
}

// token is POST /v1/single-use-token/{token_type}.
func (s *server) token(c echo.Context) error {
	return s.handOut(c, s.askToken, func(c echo.Context, grant dispenser.Grant) any {
		base, webSocketBase := s.Addresses(c.Request())
		at, in := s.expiry(grant)
		return tokenBody{
			Token: grant.Token.Reveal(), TokenType: grant.Type, ExpiresAt: at, ExpiresIn: in,
			BaseURL: base, WebSocketBaseURL: webSocketBase, TokenParameter: grant.Type.Parameter(),
		}
	})
}

func (s *server) askToken(c echo.Context, entry *telemetry.Entry) (ask, error) {
	tokenType, ok := vendorclient.ParseTokenType(c.Param("token_type"))
	if !ok {
		return ask{}, fail(problem.UnknownTokenType)
	}
	entry.Type = string(tokenType)
	if _, err := parseQuery(c.Request()); err != nil {
		return ask{}, err
	}
	return ask{
		decide: func(caller policy.Caller) (policy.Decision, error) {
			decision, err := s.Policy.DecideToken(caller, string(tokenType))
			if err != nil {
				return decision, forbidden(problem.TokenTypeNotAllowed, err)
			}
			return decision, nil
		},
		complete: func(req *dispenser.Request) { req.Type = tokenType },
	}, nil
}
