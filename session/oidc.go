package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// OIDCConfig is what NewOIDC needs. Issuer, Now and Log are required.
type OIDCConfig struct {
	Issuer    string            // as in the tokens; https, save on loopback
	Transport http.RoundTripper // nil for one of its own
	Now       func() time.Time
	Log       *slog.Logger
	Refresh   time.Duration // as in JWKSConfig
}

// NewOIDC returns a source that finds the issuer's key set by OpenID Connect
// Discovery 1.0, each time it loads it. The caller closes it.
func NewOIDC(cfg OIDCConfig) (*JWKS, error) {
	if err := checkAddress(cfg.Issuer); err != nil {
		return nil, fmt.Errorf("session: the issuer: %w", err)
	}
	return newJWKS(JWKSConfig{Transport: cfg.Transport, Now: cfg.Now, Log: cfg.Log, Refresh: cfg.Refresh},
		func(ctx context.Context, client *http.Client) (string, error) {
			return discover(ctx, client, cfg.Issuer)
		})
}

func discover(ctx context.Context, client *http.Client, issuer string) (string, error) {
	// It checks that the document is the issuer's own (4.3).
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), issuer)
	var mismatch *oidc.IssuerMismatchError
	switch {
	case errors.As(err, &mismatch):
		return "", errors.New("the issuer's discovery document names another issuer")
	case err != nil:
		return "", errors.New("the issuer's discovery document cannot be had")
	}
	var document struct {
		JWKS string `json:"jwks_uri"`
	}
	if err := provider.Claims(&document); err != nil {
		return "", errors.New("the issuer's discovery document is malformed")
	}
	if err := checkAddress(document.JWKS); err != nil {
		return "", fmt.Errorf("the issuer's key set: %w", err)
	}
	return document.JWKS, nil
}
