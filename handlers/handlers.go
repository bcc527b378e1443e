// Package handlers is the HTTP edge: it translates between requests and the
// packages that decide, and maps every error to an answer in one place.
package handlers

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/health"
	"farebox/internal/identity"
	"farebox/internal/policy"
	"farebox/internal/telemetry"
	"farebox/session"
	"farebox/web"

	"github.com/labstack/echo/v4"
)

// Verifier makes a verified principal of a session JWT. VerifySuspect does so for
// an address from where much junk comes.
type Verifier interface {
	Verify(ctx context.Context, raw string) (*session.Principal, error)
	VerifySuspect(ctx context.Context, raw string) (*session.Principal, error)
}

// Policy decides who may have what, and how many. Errors are *policy.Refusal.
type Policy interface {
	DecideToken(caller policy.Caller, tokenType string) (policy.Decision, error)
	DecideAgent(caller policy.Caller, agentID string) (policy.Decision, error)
}

var (
	_ Policy = (*policy.Policy)(nil)
	_ Policy = (*policy.File)(nil)
)

// Dispenser hands out credentials.
type Dispenser interface {
	Dispense(ctx context.Context, req dispenser.Request) (dispenser.Grant, error)
}

// Auditor records what was handed out and refused.
type Auditor interface {
	Record(ctx context.Context, e telemetry.Entry)
}

// Origin is an allowed origin.
type Origin interface {
	// Matches reports whether an Origin header's value is allowed by it.
	Matches(origin string) bool
	// Wildcard origins hold for bearer callers only.
	Wildcard() bool
}

// Route is a further handler behind the public listener's edge. Pattern
// is Echo's: "/path" or "/path/*".
type Route struct {
	Pattern string
	Handler http.Handler
}

// Config is what the public endpoints need. Fields are required unless said
// otherwise.
type Config struct {
	Verifier  Verifier
	Policy    Policy
	Dispenser Dispenser
	Agents    Agents
	Hasher    *identity.Hasher
	Audit     Auditor
	Observer  Observer // nil: nobody is told
	Tracer    Tracer   // nil: nothing is traced
	Board     *health.Board
	Page      *web.Page // nil: no page
	Logout    *Logout   // nil: no back-channel logout

	Cookie    string   // cookie that may carry the session; "" for none
	Header    string   // header of a login proxy that may carry it; "" for none
	Origins   []Origin // for CORS and cookie callers
	PublicURL *url.URL // the address that browsers use, where it is not the Host header's; nil for none

	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed; none for nobody's
	ClientIPHeader string         // that the platform sets with the client's address; "" for none

	// Addresses says where a token is redeemed, for the caller of r.
	Addresses      func(r *http.Request) (base, webSocketBase string)
	RequestTimeout time.Duration

	Guard  func(*http.Request) string // why a request is refused, or ""; nil for none
	Routes []Route                    // further ones

	Now func() time.Time
	Log *slog.Logger
}

type server struct {
	Config
	origins   origins
	failures  *failures
	routes    map[string]func(ctx context.Context, status int, took time.Duration) // told of answers, by route
	published map[string]http.Handler                                              // readable from every origin, by path
}

// New returns the handler of the public listener.
func New(cfg Config) (http.Handler, error) {
	if cfg.Verifier == nil || cfg.Policy == nil || cfg.Dispenser == nil || cfg.Agents == nil || cfg.Hasher == nil || cfg.Audit == nil ||
		cfg.Board == nil || cfg.Addresses == nil || cfg.RequestTimeout <= 0 || cfg.Now == nil || cfg.Log == nil {
		return nil, errors.New("handlers: a required field is missing")
	}
	if cfg.Observer == nil {
		cfg.Observer = unobserved{}
	}
	published, err := web.Published()
	if err != nil {
		return nil, err
	}
	s := &server{Config: cfg, origins: origins{list: cfg.Origins, public: cfg.PublicURL}, failures: newFailures(cfg.Now), published: published}
	e := newEcho()
	e.IPExtractor = clients{proxies: cfg.TrustedProxies, header: cfg.ClientIPHeader}.address
	e.Use(s.edge)

	e.POST("/v1/single-use-token/:token_type", s.token)
	e.GET("/v1/convai/conversation/get-signed-url", s.signedURL)
	e.GET("/v1/convai/conversation/token", s.conversationToken)
	e.GET("/health/live", s.live)
	e.HEAD("/health/live", s.live)
	e.GET("/health/ready", s.ready)
	e.HEAD("/health/ready", s.ready)
	if cfg.Logout != nil {
		e.POST("/backchannel-logout", s.logout)
	}
	for path, handler := range published {
		e.GET(path, echo.WrapHandler(handler))
		e.HEAD(path, echo.WrapHandler(handler))
	}
	if cfg.Page != nil {
		e.GET("/", s.page)
		e.HEAD("/", s.page)
		e.GET("/assets/*", echo.WrapHandler(cfg.Page.Assets()))
		e.HEAD("/assets/*", echo.WrapHandler(cfg.Page.Assets()))
	}
	for _, route := range cfg.Routes {
		e.Any(route.Pattern, echo.WrapHandler(route.Handler))
	}
	s.observeRoutes(e)
	return e, nil
}

// newEcho is an Echo that believes no forwarding header and prints nothing.
func newEcho() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = echo.ExtractIPDirect()
	return e
}
