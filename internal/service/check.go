package service

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"farebox/internal/config"
	"farebox/internal/health"
	"farebox/internal/identity"
	"farebox/internal/policy"
	"farebox/internal/preflight"
	"farebox/internal/redisconn"
	"farebox/internal/revocation"
	"farebox/session"
	vendorclient "farebox/vendor_client"
)

// ErrNotReady is a check that found what keeps serve from serving; it was told.
var ErrNotReady = errors.New("something has to be mended")

// checker is what both kinds of check stand on. Nothing is logged: what there
// is to say is in the report.
type checker struct {
	cfg        *config.Config
	log        *slog.Logger
	keys       session.KeySource
	policy     *policy.Policy
	policyFile string
	redis      *redisconn.Conn
	fixedOwner string
}

// openChecker also returns what closes it.
func openChecker(cfg *config.Config) (_ *checker, closeAll func(), err error) {
	c := &checker{cfg: cfg, log: newLogger(config.Log{}, io.Discard), fixedOwner: poolOf(cfg).Owner}
	if c.policy, err = readPolicy(cfg.PolicyFile); err != nil {
		return nil, nil, err
	}
	if cfg.PolicyFile != "" {
		c.policyFile = filepath.Base(cfg.PolicyFile)
	}
	if c.redis, err = openRedis(cfg); err != nil {
		return nil, nil, err
	}
	if c.keys, err = newKeySource(cfg.Session, c.log); err != nil {
		_ = c.redis.Close()
		return nil, nil, err
	}
	return c, func() {
		_ = c.redis.Close()
		if closer, ok := c.keys.(io.Closer); ok {
			_ = closer.Close()
		}
	}, nil
}

// Check tries all that serve would need and reports to w: a line for each check
// as it is made, or all as one JSON document. An error is ErrNotReady where one
// has failed.
func Check(ctx context.Context, cfg *config.Config, asJSON bool, w io.Writer) error {
	c, closeAll, err := openChecker(cfg)
	if err != nil {
		return err
	}
	defer closeAll()
	tell := func(r preflight.Result) error { return r.WriteText(w) }
	if asJSON {
		tell = func(preflight.Result) error { return nil }
	}
	report, err := preflight.Run(ctx, preflight.Config{
		Vendor: vendorclient.Config{
			BaseURL: cfg.Vendor.BaseURL,
			Timeout: cfg.Vendor.Timeout, Concurrency: 1, UserAgent: "farebox", Now: time.Now, Log: c.log,
		},
		APIKeys: cfg.Vendor.APIKeys,
		Redis: preflight.Redis{
			Conn: c.redis, Prefix: cfg.Redis.Prefix, FixedOwner: c.fixedOwner,
			Sentinel: sentinel(cfg.Redis), PoolOff: cfg.Pool.Max == 0,
		},
		Keys: c.keys, KeysSetting: keysSetting(cfg.Session), Policy: c.policy, PolicyFile: c.policyFile,
	}, tell)
	if err == nil && asJSON {
		err = preflight.WriteJSON(w, report)
	}
	if err == nil && !report.OK {
		err = ErrNotReady
	}
	return err
}

// CheckSession explains to w what serve would make of the session of raw, a
// JWT. An error is ErrNotReady where it may have nothing.
func CheckSession(ctx context.Context, cfg *config.Config, raw string, asJSON bool, w io.Writer) error {
	c, closeAll, err := openChecker(cfg)
	if err != nil {
		return err
	}
	defer closeAll()
	judge, err := c.sessionConfig()
	if err != nil {
		return err
	}
	explained, err := preflight.Explain(ctx, judge, raw)
	if err != nil {
		return err
	}
	if asJSON {
		err = preflight.WriteJSON(w, explained)
	} else {
		err = explained.WriteText(w)
	}
	if err == nil && !explained.OK {
		err = ErrNotReady
	}
	return err
}

func (c *checker) sessionConfig() (preflight.SessionConfig, error) {
	hasher, err := identity.NewHasher(c.cfg.Secrets)
	if err != nil {
		return preflight.SessionConfig{}, err
	}
	verifier, err := newVerifier(c.cfg.Session, c.keys, nil)
	if err != nil {
		return preflight.SessionConfig{}, err
	}
	revocations, err := c.revocations(hasher)
	return preflight.SessionConfig{
		Verifier: verifier, Keys: c.keys, KeysSetting: keysSetting(c.cfg.Session), Policy: c.policy, PolicyFile: c.policyFile,
		Revocations: revocations, RequireRevocations: c.cfg.Session.RequireRevocation, Hasher: hasher, Now: time.Now,
	}, err
}

// revocations is nil where nobody but serve itself can know.
func (c *checker) revocations(hasher *identity.Hasher) (*revocation.List, error) {
	if c.cfg.Redis.Embedded {
		return nil, nil
	}
	shards, err := openShards(c.cfg, c.redis, health.NewBoard(time.Now, c.log), nil, preflight.RedisTimeout, c.log)
	if err != nil {
		return nil, err
	}
	return openRevocations(shards, hasher, c.cfg.Session.MaxLifetime+c.cfg.Session.Leeway, "", c.log)
}

// readPolicy reads the policy file once, or is the default policy for "".
func readPolicy(path string) (*policy.Policy, error) {
	if path == "" {
		return policy.Default(vendorclient.TokenTypeNames()...), nil
	}
	p, err := policy.ReadFile(path, vendorclient.TokenTypeNames())
	if faults := (policy.Faults{}); errors.As(err, &faults) {
		return nil, config.Faults{{Setting: "FAREBOX_POLICY_FILE", Mend: faults.Error()}}
	}
	return p, err
}

// sentinel reports whether the settings lead to Sentinels.
func sentinel(cfg config.Redis) bool {
	mode, err := redisconn.CheckURL(cfg.URL, cfg.Mode)
	return err == nil && !cfg.Embedded && mode == redisconn.Sentinel
}

// keysSetting is the setting that says where the session keys come from.
func keysSetting(cfg config.Session) string {
	switch {
	case !cfg.HS256Secret.IsZero():
		return "FAREBOX_SESSION_HS256_SECRET"
	case cfg.PublicKeyFile != "":
		return "FAREBOX_SESSION_PUBLIC_KEY_FILE"
	case cfg.JWKSURL != "":
		return "FAREBOX_SESSION_JWKS_URL"
	default:
		return "FAREBOX_SESSION_ISSUER"
	}
}

// SessionOf is the JWT that a command was given: raw itself, or where that is
// "-" what stdin holds.
func SessionOf(raw string, stdin io.Reader) (string, error) {
	if raw == "-" {
		const most = 64 << 10 // far beyond what a session may have
		data, err := io.ReadAll(io.LimitReader(stdin, most))
		if err != nil {
			return "", errors.New("standard input cannot be read")
		}
		raw = string(data)
	}
	return strings.TrimSpace(raw), nil
}
