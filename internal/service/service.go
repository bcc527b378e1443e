// Package service wires the rooms of farebox into the programs that its
// commands run. It decides nothing itself.
package service

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"farebox/handlers"
	"farebox/internal/config"
	"farebox/internal/dispenser"
	"farebox/internal/health"
	"farebox/internal/httpserver"
	"farebox/internal/identity"
	"farebox/internal/policy"
	"farebox/internal/preflight"
	"farebox/internal/redisconn"
	"farebox/internal/revocation"
	"farebox/internal/telemetry"
	"farebox/session"
	vendorclient "farebox/vendor_client"
	"farebox/web"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"golang.org/x/term"
)

// Serve runs the production service until ctx ends, and drains it.
func Serve(ctx context.Context, cfg *config.Config, build Build, stderr io.Writer) error {
	log := newLogger(cfg.Log, stderr)
	defer paceCollections()()
	boundMemory(memlimit.FromCgroup, log)
	if cfg.Redis.Embedded {
		log.Warn("REDIS_URL is memory: limits and replay hold for this one replica and are lost with it")
	}
	keys, err := newKeySource(cfg.Session, log)
	if err != nil {
		return err
	}
	s, err := open(cfg, build, keys, log, stderr, nil)
	if err != nil {
		return err
	}
	defer s.close()
	certificate, err := tlsConfig(cfg)
	if err != nil {
		return err
	}
	group, err := httpserver.Listen(log, s.listeners(cfg, certificate)...)
	if err != nil {
		return err
	}
	log.Info("farebox serves", "address", group.Addr(publicName), "operators", group.Addr(opsName), "vendor", cfg.Vendor.BaseURL.Host)
	if err := s.run(ctx, cfg, group); err != nil {
		log.Error("farebox ends", "error", err)
		return ErrLogged
	}
	return nil
}

// ErrLogged is a failure that the log tells of.
var ErrLogged = errors.New("the log says why")

const (
	publicName = "public"
	opsName    = "operators"
)

// service is everything between the listeners and the vendor.
type service struct {
	board       *health.Board
	ring        *keyring
	metrics     *telemetry.Metrics
	tracing     *telemetry.Tracing // nil where nothing is traced
	vendor      *vendorclient.Client
	memory      redisMemory
	dispenser   *dispenser.Dispenser
	revocations *revocation.List
	keys        session.KeySource
	keysLamp    *health.Lamp
	policy      handlers.Policy
	// policyFile is what policy follows; nil where there is no file.
	policyFile *policy.File
	public     http.Handler
	ops        http.Handler
	closers    []func()
}

// open builds a service. What is down at the start does not stop it. amend may
// add to the public endpoints' configuration.
func open(cfg *config.Config, build Build, keys session.KeySource, log *slog.Logger, auditTo io.Writer, amend func(*handlers.Config)) (_ *service, err error) {
	s := &service{board: health.NewBoard(time.Now, log), keys: keys}
	s.metrics = newMetrics(build)
	s.ops = handlers.NewOps(s.board, s.metrics.Handler(), profiles(cfg.PPROF)...)
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	audit, err := s.openAudit(cfg.AuditFile, auditTo, log)
	if err != nil {
		return nil, err
	}
	if err := s.openTracing(cfg, build, log); err != nil {
		return nil, err
	}
	s.keysLamp = s.board.Lamp("session_keys", true)
	s.observeKeys()
	hasher, err := identity.NewHasher(cfg.Secrets)
	if err != nil {
		return nil, err
	}
	if s.ring, err = openKeyring(cfg.Vendor, s.board, audit, log); err != nil {
		return nil, err
	}
	if err := s.openDispenser(cfg, hasher, log); err != nil {
		return nil, err
	}
	verifier, err := newVerifier(cfg.Session, keys, s.metrics)
	if err != nil {
		return nil, err
	}
	if err := s.openPolicy(cfg.PolicyFile, audit, log); err != nil {
		return nil, err
	}
	public := handlers.Config{
		Verifier: verifier, Policy: s.policy, Dispenser: s.dispenser, Agents: s.vendor, Hasher: hasher,
		Audit: audit, Observer: s.metrics, Board: s.board,
		Cookie: cfg.Session.Cookie, Header: cfg.Session.Header,
		Origins: origins(cfg.Web.AllowedOrigins), PublicURL: cfg.Web.PublicURL,
		TrustedProxies: cfg.Web.TrustedProxies, ClientIPHeader: cfg.Web.ClientIPHeader,
		Addresses:      func(*http.Request) (string, string) { return s.vendor.BaseURL(), s.vendor.WebSocketBaseURL() },
		RequestTimeout: cfg.Timing.RequestTimeout,
		Now:            time.Now, Log: log,
	}
	if public.Logout, err = s.openLogout(cfg); err != nil {
		return nil, err
	}
	if s.tracing != nil {
		public.Tracer = s.tracing
	}
	if amend != nil {
		amend(&public)
	}
	if cfg.Web.Page {
		if public.Page, err = web.New(pageOf(cfg, amend != nil)); err != nil {
			return nil, err
		}
	}
	s.addGauges(cfg)
	s.public, err = handlers.New(public)
	return s, err
}

// openLogout is nil where no logout tokens are taken.
func (s *service) openLogout(cfg *config.Config) (*handlers.Logout, error) {
	if cfg.Session.LogoutAudience == "" {
		return nil, nil
	}
	verifier, err := session.NewLogoutVerifier(session.LogoutConfig{
		Issuer: cfg.Session.Issuer, Audience: cfg.Session.LogoutAudience, SubjectClaim: cfg.Session.SubjectClaim,
		Leeway: cfg.Session.Leeway, Keys: s.keys, Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	return &handlers.Logout{Verifier: verifier, Revocations: s.revocations}, nil
}

// openDispenser opens the vendor's client, Redis, and what stands between.
func (s *service) openDispenser(cfg *config.Config, hasher *identity.Hasher, log *slog.Logger) (err error) {
	s.vendor, err = vendorclient.New(vendorclient.Config{
		BaseURL: cfg.Vendor.BaseURL, Keys: s.ring.Ring,
		Timeout: cfg.Vendor.Timeout, Concurrency: cfg.Vendor.Concurrency,
		UserAgent: "farebox", Observer: vendorObserver{s.metrics, s.tracing}, Now: time.Now, Log: log,
	})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, s.vendor.Close)
	redis, err := openRedis(cfg)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, func() { _ = redis.Close() })
	shards, err := openShards(cfg, redis, s.board, s.redisTracer(), redisTimeout(cfg), log)
	if err != nil {
		return err
	}
	pool := poolOf(cfg)
	s.memory = redisMemory{redis: preflight.Redis{Conn: redis, Prefix: cfg.Redis.Prefix, FixedOwner: pool.Owner}, log: log}
	if s.revocations, err = openRevocations(shards, hasher, cfg.Session.MaxLifetime+cfg.Session.Leeway, pool.Owner, log); err != nil {
		return err
	}
	s.dispenser, err = dispenser.New(dispenser.Config{
		Vendor: s.vendor, VendorHost: cfg.Vendor.BaseURL.Host, Keys: s.ring,
		Shards: shards, Revocations: s.revocations, RequireRevocations: cfg.Session.RequireRevocation,
		Secrets: cfg.Secrets, Hasher: hasher,
		TokenLifetime: cfg.Vendor.TokenLifetime, ReplayWindow: cfg.Timing.ReplayWindow,
		RequestTimeout: cfg.Timing.RequestTimeout, MintTimeout: cfg.Vendor.Timeout,
		Pool: pool, MintConcurrency: cfg.Vendor.Concurrency,
		VendorState: s.board.Lamp("vendor", false), PoolState: s.poolLamp(cfg), Discards: s.metrics,
		Now: time.Now, Log: log,
	})
	return err
}

// pageOf is what the page has to know.
func pageOf(cfg *config.Config, isDev bool) web.Config {
	if isDev {
		return web.Config{Dev: true}
	}
	page := web.Config{LoginURL: cfg.Web.LoginURL, VendorOrigins: vendorOrigins(cfg.Vendor.BaseURL)}
	if cfg.Web.PublicURL != nil {
		page.ReturnTo = cfg.Web.PublicURL.String()
	}
	return page
}

// poolOf is the pool that the settings ask for. Only the embedded Redis, which
// nobody can promote or restore, may have an identity of our own making.
func poolOf(cfg *config.Config) dispenser.Pool {
	pool := dispenser.Pool{Min: cfg.Pool.Min, Max: cfg.Pool.Max, MaxAge: cfg.Pool.MaxAge}
	if cfg.Redis.Embedded {
		pool.Owner = (rand.Text() + rand.Text())[:dispenser.OwnerSize]
	}
	return pool
}

// poolLamp is nil where there is no pool.
func (s *service) poolLamp(cfg *config.Config) dispenser.Observer {
	if cfg.Pool.Max == 0 {
		return nil
	}
	return s.board.Lamp("pool", false)
}

// slowestReader is how long a caller may take to read an answer, at most as
// large as the page's largest part.
const slowestReader = 30 * time.Second

func (s *service) listeners(cfg *config.Config, certificate *tls.Config) []httpserver.Listener {
	all := []httpserver.Listener{{
		Name: publicName, Setting: "FAREBOX_LISTEN", Addr: cfg.Listen, Handler: s.public, TLS: certificate,
		Limits: httpserver.Limits{Answer: cfg.Timing.RequestTimeout + slowestReader},
	}}
	if cfg.OpsListen != "" {
		all = append(all, httpserver.Listener{
			Name: opsName, Setting: "FAREBOX_OPS_LISTEN", Addr: cfg.OpsListen, Handler: s.ops,
		})
	}
	return all
}

// run serves until ctx ends, then drains: first requests, then mints that go
// on without their callers.
func (s *service) run(ctx context.Context, cfg *config.Config, group *httpserver.Group) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go s.dispenser.Run(background)
	go s.revocations.Run(background)
	go s.memory.warn(background)
	go s.watchKeys(background)
	go s.ring.watch(background)
	if s.policyFile != nil {
		go s.policyFile.Watch(background)
	}

	err := group.Run(ctx, httpserver.Drain{Begin: s.board.Drain, Delay: cfg.DrainDelay, Timeout: cfg.ShutdownTimeout})
	stop()
	rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.ShutdownTimeout)
	defer cancel()
	if closeErr := s.dispenser.Close(rest); err == nil {
		err = closeErr
	}
	return err
}

// watchKeys keeps the board's word on session keys true.
func (s *service) watchKeys(ctx context.Context) {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.observeKeys()
		}
	}
}

func (s *service) observeKeys() {
	if s.keys.Status().Usable {
		s.keysLamp.Up()
		return
	}
	s.keysLamp.Down("none loaded")
}

// keysAge tells how old the word on session keys is; before there is any, how
// long it has been missing.
func (s *service) keysAge(start time.Time) func() time.Duration {
	return func() time.Duration {
		status := s.keys.Status()
		switch {
		case !status.LoadedAt.IsZero():
			return time.Since(status.LoadedAt)
		case status.Usable:
			return 0 // there is nothing to load
		default:
			return time.Since(start)
		}
	}
}

// close ends what open opened, the last first.
func (s *service) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	if c, ok := s.keys.(io.Closer); ok {
		_ = c.Close()
	}
}

// newLogger returns the process' logger, which the Redis library writes to too.
func newLogger(cfg config.Log, w io.Writer) *slog.Logger {
	text := cfg.Format == "text" || cfg.Format == "" && isTerminal(w)
	log := telemetry.NewLogger(w, cfg.Level, text)
	redisconn.LogTo(log)
	return log
}

func isTerminal(w io.Writer) bool {
	file, isFile := w.(*os.File)
	return isFile && term.IsTerminal(int(file.Fd()))
}

func tlsConfig(cfg *config.Config) (*tls.Config, error) {
	if cfg.TLSCertFile == "" {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(cfg.TLSCertFile, cfg.TLSKeyFile)
	if err != nil {
		return nil, fmt.Errorf("FAREBOX_TLS_CERT_FILE and FAREBOX_TLS_KEY_FILE are no certificate with its key")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}, nil
}

func origins(allowed []config.Origin) []handlers.Origin {
	all := make([]handlers.Origin, len(allowed))
	for i, origin := range allowed {
		all[i] = origin
	}
	return all
}

// vendorOrigins are where the page redeems tokens; the base address may have a
// path, an origin has none.
func vendorOrigins(base *url.URL) []string {
	return []string{base.Scheme + "://" + base.Host, "ws" + strings.TrimPrefix(base.Scheme, "http") + "://" + base.Host}
}

func newKeySource(cfg config.Session, log *slog.Logger) (session.KeySource, error) {
	switch {
	case !cfg.HS256Secret.IsZero():
		return session.NewHS256(cfg.HS256Secret)
	case cfg.PublicKeyFile != "":
		keys, err := session.NewPEM(session.PEMConfig{Path: cfg.PublicKeyFile, Now: time.Now, Log: log})
		if err != nil {
			return nil, config.Faults{{Setting: "FAREBOX_SESSION_PUBLIC_KEY_FILE", Mend: strings.TrimPrefix(err.Error(), "session: ")}}
		}
		return keys, nil
	case cfg.JWKSURL != "":
		return session.NewJWKS(session.JWKSConfig{URL: cfg.JWKSURL, Now: time.Now, Log: log})
	default:
		return session.NewOIDC(session.OIDCConfig{Issuer: cfg.Issuer, Now: time.Now, Log: log})
	}
}

func newVerifier(cfg config.Session, keys session.KeySource, observer session.Observer) (*session.Verifier, error) {
	return session.NewVerifier(session.Config{
		Issuer: cfg.Issuer, Audiences: cfg.Audiences, RequiredClaims: cfg.RequiredClaims,
		SubjectClaim: cfg.SubjectClaim, SessionIDClaim: cfg.SessionIDClaim,
		Leeway: cfg.Leeway, MaxLifetime: cfg.MaxLifetime,
		Keys: keys, Now: time.Now, Observer: observer,
	})
}
