package handlers

import (
	"context"
	"errors"
	"net/http"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/policy"
	"farebox/internal/problem"
	"farebox/internal/telemetry"
	vendorclient "farebox/vendor_client"

	"github.com/labstack/echo/v4"
)

// Agents has the vendor make credentials for conversations with its agents. It
// is safe for concurrent use.
type Agents interface {
	SignedURL(ctx context.Context, agentID string) (vendorclient.Credential, error)
	ConversationToken(ctx context.Context, agentID, participant string) (vendorclient.Credential, error)
}

var _ Agents = (*vendorclient.Client)(nil)

// What agents' credentials are called in the audit.
const (
	signedURLType         = "signed_url"
	conversationTokenType = "conversation_token"
)

// Handed are the names that all that is handed out has in the audit.
func Handed() []string {
	return append(vendorclient.TokenTypeNames(), signedURLType, conversationTokenType)
}

type signedURLBody struct {
	SignedURL string `json:"signed_url"`
	ExpiresAt string `json:"expires_at"` // RFC 3339, UTC, whole seconds
	ExpiresIn int64  `json:"expires_in"` // whole seconds, rounded down
}

// conversationTokenBody has no expiry, since the vendor does not say one.
type conversationTokenBody struct {
	Token          string `json:"token"`
	ConversationID string `json:"conversation_id,omitempty"`
}

// signedURL is GET /v1/convai/conversation/get-signed-url.
func (s *server) signedURL(c echo.Context) error {
	mint := func(ctx context.Context, agentID, _ string) (vendorclient.Credential, error) {
		return s.Agents.SignedURL(ctx, agentID)
	}
	a := arrivalOf(c)
	ask, err := askAgent(a, signedURLType, mint)
	grant, err := s.handOut(a, ask, err)
	if err != nil {
		return err
	}
	return a.JSON(http.StatusOK, signedURLBody{
		SignedURL: grant.Token.Reveal(), ExpiresAt: expiresAt(grant).Format(time.RFC3339), ExpiresIn: s.expiresIn(grant),
	})
}

// conversationToken is GET /v1/convai/conversation/token.
func (s *server) conversationToken(c echo.Context) error {
	a := arrivalOf(c)
	ask, err := askAgent(a, conversationTokenType, s.Agents.ConversationToken)
	grant, err := s.handOut(a, ask, err)
	if err != nil {
		return err
	}
	return a.JSON(http.StatusOK, conversationTokenBody{Token: grant.Token.Reveal(), ConversationID: grant.ConversationID})
}

// askAgent reads a request for what mint makes. Of the query only the agent
// counts: the rest goes nowhere, so that nobody can take another's name, or have
// an address signed for more than one use.
func askAgent(
	a *arrival, name string, mint func(ctx context.Context, agentID, participant string) (vendorclient.Credential, error),
) (ask, error) {
	asked := ask{name: name, mint: mint}
	query, err := parseQuery(a.Request())
	if err != nil {
		return asked, err
	}
	ids := query["agent_id"]
	if len(ids) != 1 || !policy.GoodAgentID(ids[0]) {
		return asked, malformed("The query must have agent_id once, of 1 to 128 visible ASCII characters.")
	}
	asked.agentID = ids[0]
	return asked, nil
}

func (s *server) decideAgent(caller policy.Caller, agentID string, entry *telemetry.Entry) (policy.Decision, error) {
	decision, err := s.Policy.DecideAgent(caller, agentID)
	// An id that nobody has named may be anything, and is not written down.
	var refused *policy.Refusal
	if !errors.As(err, &refused) || refused.Cause != policy.NotNamed {
		entry.Agent = agentID
	}
	if err != nil {
		return decision, forbidden(problem.AgentNotAllowed, err)
	}
	return decision, nil
}

// bespoke is what an agent's credential is made as.
func bespoke(ask ask, participant string) *dispenser.Bespoke {
	return &dispenser.Bespoke{
		// Both endpoints share an agent's limits.
		Name:     "agent:" + ask.agentID,
		Lifetime: vendorclient.SignedURLLifetime, // a token's is not known
		Mint: func(ctx context.Context) (vendorclient.Credential, error) {
			return ask.mint(ctx, ask.agentID, participant)
		},
	}
}
