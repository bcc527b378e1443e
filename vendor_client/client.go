// Package vendorclient asks ElevenLabs for single-use tokens, and for credentials of
// its agents, with API keys that never leave the server.
//
// A key goes nowhere but into the xi-api-key header of a call to the
// configured host: no redirect is followed, and no error or log line holds it
// or a word of the vendor's answer.
package vendorclient

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"farebox/internal/localguard"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// Config is what a Client needs. Fields are required unless said otherwise.
type Config struct {
	BaseURL     *url.URL      // https, save on loopback; no user, query or fragment
	Keys        *Ring         // the API keys; the caller owns it
	Timeout     time.Duration // of one call; a Mint may make several
	Concurrency int           // calls under way at once
	UserAgent   string        // may be empty
	Now         func() time.Time
	Log         *slog.Logger

	// Observer is told of calls; nil where nobody is.
	Observer Observer
	// Transport carries the calls, without a client that would follow redirects;
	// nil for one of the Client's own.
	Transport http.RoundTripper
	// Sleep waits for d or until ctx ends; nil for the real thing.
	Sleep func(ctx context.Context, d time.Duration) error
}

const (
	maxAttempts = 3
	// queueFactor times Concurrency calls may wait for their turn.
	queueFactor = 64
	// The breaker opens after so many failures in a row, for so long.
	breakerFailures = 5
	breakerDelay    = 2 * time.Second
)

// Client calls the vendor. It is safe for concurrent use.
type Client struct {
	cfg           Config
	base          string        // without a slash at the end
	webSocketBase string        // likewise
	slots         chan struct{} // calls under way
	queue         chan struct{} // those and the waiting
	breaker       circuitbreaker.CircuitBreaker[any]
}

// New returns a Client. It calls nobody.
func New(cfg Config) (*Client, error) {
	switch {
	case cfg.BaseURL == nil || cfg.Keys == nil || cfg.Timeout <= 0 || cfg.Concurrency <= 0 || cfg.Now == nil || cfg.Log == nil:
		return nil, errors.New("vendorclient: a required field is missing")
	case cfg.BaseURL.Host == "" || cfg.BaseURL.User != nil || cfg.BaseURL.RawQuery != "" || cfg.BaseURL.Fragment != "":
		return nil, errors.New("vendorclient: the base address must be a host, without user, query or fragment")
	case cfg.BaseURL.Scheme != "https" && !(cfg.BaseURL.Scheme == "http" && localguard.Loopback(cfg.BaseURL.Hostname())):
		return nil, errors.New("vendorclient: the base address must be https, save on loopback")
	}
	if cfg.Transport == nil {
		cfg.Transport = newTransport(cfg.Concurrency)
	}
	if cfg.Observer == nil {
		cfg.Observer = unobserved{}
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	base := strings.TrimRight(cfg.BaseURL.String(), "/")
	return &Client{
		cfg:           cfg,
		base:          base,
		webSocketBase: "ws" + strings.TrimPrefix(base, "http"),
		slots:         make(chan struct{}, cfg.Concurrency),
		queue:         make(chan struct{}, cfg.Concurrency*(1+queueFactor)),
		breaker: circuitbreaker.NewBuilder[any]().
			WithFailureThreshold(breakerFailures).WithSuccessThreshold(1).WithDelay(breakerDelay).Build(),
	}, nil
}

// BaseURL is where tokens are redeemed over HTTP, without a slash at the end.
func (c *Client) BaseURL() string { return c.base }

// WebSocketBaseURL is where tokens are redeemed over WebSockets, without a slash
// at the end.
func (c *Client) WebSocketBaseURL() string { return c.webSocketBase }

// Close ends idle connections.
func (c *Client) Close() {
	if t, ok := c.cfg.Transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

func newTransport(concurrency int) *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment, // which leaves loopback out
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        concurrency,
		MaxIdleConnsPerHost: concurrency,
		IdleConnTimeout:     90 * time.Second,
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// backoff is the pause before attempt number n (from 1), with full jitter.
func backoff(n int) time.Duration {
	const first, last = 250 * time.Millisecond, 2 * time.Second
	return rand.N(min(first<<(n-1), last))
}
