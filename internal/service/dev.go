//go:build !release

package service

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"farebox/handlers"
	"farebox/internal/config"
	"farebox/internal/dev"
	"farebox/internal/httpserver"
	"farebox/internal/localguard"
	"farebox/internal/sandbox"
	"farebox/internal/secret"
)

const sandboxName = "sandbox"

// Dev runs everything in one process until ctx ends: the sandbox vendor, an
// embedded Redis, and, where sessions are not signed elsewhere, a demo sign-in.
// It never takes a real key.
func Dev(ctx context.Context, cfg *config.Config, build Build, listenAll bool, stdout, stderr io.Writer) error {
	log := newLogger(cfg.Log, stderr)
	var guard localguard.Guard
	if listenAll {
		_, port, _ := net.SplitHostPort(cfg.Listen)
		cfg.Listen = net.JoinHostPort("", port)
		guard.Hosts = networkAddresses()
	}
	vendor, vendorGroup, err := listenSandbox(cfg, guard, log)
	if err != nil {
		return err
	}
	signIn := !cfg.Session.SignedElsewhere()
	completeForDev(cfg, vendorGroup.Addr(sandboxName))
	keys, err := newKeySource(cfg.Session, log)
	if err != nil {
		return err
	}
	s, err := open(cfg, build, keys, log, stderr, func(public *handlers.Config) {
		public.Addresses = addressOfCaller
		public.Guard = guard.Check
		public.Origins = append(public.Origins, localOrigins{guard})
		public.Routes = devRoutes(cfg, vendor, signIn)
	})
	if err != nil {
		return err
	}
	defer s.close()
	s.ops = guard.Wrap(s.ops, nil)
	group, err := httpserver.Listen(log, s.listeners(cfg, nil)...)
	if err != nil {
		return err
	}
	dev.Greet(stdout, dev.Greeting{
		Page: cfg.Web.Page, SignIn: signIn, Public: group.Addr(publicName), Ops: group.Addr(opsName),
		Sandbox: vendorGroup.Addr(sandboxName), EmbeddedRedis: cfg.Redis.Embedded, Hosts: guard.Hosts,
		Phone: forPhone(guard.Hosts, outbound()), Terminal: isTerminal(stdout),
	})

	vendorContext, stopVendor := context.WithCancel(context.WithoutCancel(ctx))
	vendorDone := make(chan error, 1)
	go func() { vendorDone <- vendorGroup.Run(vendorContext, httpserver.Drain{}) }()
	err = s.run(ctx, cfg, group)
	stopVendor()
	<-vendorDone
	return err
}

// Sandbox runs only the stand-in for the vendor until ctx ends.
func Sandbox(ctx context.Context, cfg *config.Config, stdout, stderr io.Writer) error {
	log := newLogger(cfg.Log, stderr)
	_, group, err := listenSandbox(cfg, localguard.Guard{}, log)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "the sandbox vendor answers at http://%s (control: /_sandbox/)\n", group.Addr(sandboxName))
	return group.Run(ctx, httpserver.Drain{Timeout: cfg.ShutdownTimeout})
}

// listenSandbox makes a sandbox vendor and binds its address.
func listenSandbox(cfg *config.Config, guard localguard.Guard, log *slog.Logger) (*sandbox.Sandbox, *httpserver.Group, error) {
	vendor, err := sandbox.New(sandbox.Config{TokenLifetime: cfg.Vendor.TokenLifetime, Now: time.Now, Log: log, Guard: guard})
	if err != nil {
		return nil, nil, err
	}
	group, err := httpserver.Listen(log, httpserver.Listener{
		Name: sandboxName, Setting: "FAREBOX_SANDBOX_LISTEN", Addr: cfg.SandboxListen, Handler: vendor.Handler(),
	})
	return vendor, group, err
}

// completeForDev fills in what dev makes up anew at each start.
func completeForDev(cfg *config.Config, sandboxAddr string) {
	cfg.Vendor.BaseURL = &url.URL{Scheme: "http", Host: sandboxAddr}
	// A file that is followed could come to hold a real key.
	cfg.Vendor.APIKeyFile = ""
	if len(cfg.Vendor.APIKeys) == 0 {
		cfg.Vendor.APIKeys = []secret.Text{secret.New("sandbox")}
	}
	if len(cfg.Secrets) == 0 {
		cfg.Secrets = []secret.Text{secret.New(rand.Text() + rand.Text())}
	}
	if cfg.Session.SignedElsewhere() {
		cfg.Web.Page = false // it could sign nobody in
	} else {
		cfg.Session.HS256Secret = secret.New(rand.Text() + rand.Text())
	}
}

// devRoutes has the demo sign-in only for sessions that dev makes itself: with a
// secret that was given, anyone could have sessions made for wherever else it is
// good.
func devRoutes(cfg *config.Config, vendor *sandbox.Sandbox, signIn bool) []handlers.Route {
	routes := []handlers.Route{{Pattern: "/_sandbox/*", Handler: vendor.Control()}}
	if signIn {
		routes = append(routes, handlers.Route{Pattern: "/dev/session", Handler: &dev.SignIn{
			Issuer: cfg.Session.Issuer, Audiences: cfg.Session.Audiences,
			Key: cfg.Session.HS256Secret, Cookie: cfg.Session.Cookie, Now: time.Now,
		}})
	}
	redeem := vendor.Redeem()
	for _, pattern := range vendor.RedeemPatterns() {
		if pattern[len(pattern)-1] == '/' {
			pattern += "*"
		}
		routes = append(routes, handlers.Route{Pattern: pattern, Handler: redeem})
	}
	return routes
}

// addressOfCaller has tokens redeemed where the caller found this server.
func addressOfCaller(r *http.Request) (base, webSocketBase string) {
	suffix := ""
	if r.TLS != nil {
		suffix = "s"
	}
	return "http" + suffix + "://" + r.Host, "ws" + suffix + "://" + r.Host
}

// localOrigins are all origins that the guard calls local.
type localOrigins struct{ guard localguard.Guard }

func (o localOrigins) Matches(origin string) bool { return o.guard.AllowsOrigin(origin) }
func (o localOrigins) Wildcard() bool             { return false }

// networkAddresses are this machine's own addresses that a phone can reach.
func networkAddresses() []string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	return reachable(addrs)
}

// reachable are those of a machine's addresses that others in its network can
// reach.
func reachable(addrs []net.Addr) []string {
	var hosts []string
	for _, addr := range addrs {
		prefix, err := netip.ParsePrefix(addr.String())
		if err == nil && !prefix.Addr().IsLoopback() && !prefix.Addr().IsLinkLocalUnicast() {
			hosts = append(hosts, prefix.Addr().String())
		}
	}
	return hosts
}

// forPhone is the one of hosts that a phone in the same network is likely to
// reach: outbound, else the first of IPv4. A machine has addresses of bridges
// and tunnels, too.
func forPhone(hosts []string, outbound string) string {
	if slices.Contains(hosts, outbound) {
		return outbound
	}
	for _, host := range hosts {
		if addr, err := netip.ParseAddr(host); err == nil && addr.Is4() {
			return host
		}
	}
	return ""
}

// outbound is this machine's address on its way to the world, "" where there is
// no such way. Nothing is sent: a datagram socket is connected, and closed.
func outbound() string {
	conn, err := net.Dial("udp4", "203.0.113.1:9")
	if err != nil {
		return ""
	}
	defer conn.Close()
	host, _, _ := net.SplitHostPort(conn.LocalAddr().String())
	return host
}
