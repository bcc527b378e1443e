package config

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"farebox/internal/localguard"
	"farebox/internal/redisconn"
	"farebox/internal/secret"
)

// Option changes what Load takes.
type Option func(*loader)

// ListenAll lets dev listen beyond loopback where on is true by the time of Load.
func ListenAll(on *bool) Option { return func(l *loader) { l.listenAll = *on } }

// Load reads the settings of command from environ, as of os.Environ, and the
// files that they name. An error is of type Faults and holds every fault.
func Load(environ []string, command Command, options ...Option) (*Config, error) {
	l := &loader{command: command, values: map[string]string{}}
	for _, option := range options {
		option(l)
	}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok && value != "" {
			l.values[name] = value
		}
	}
	l.refuseUnknown()
	l.portBecomesListen()
	if usedBy("FAREBOX_SESSION_PROVIDER", command) {
		l.applyProvider()
	}

	c := &Config{}
	for _, s := range settings {
		if !slices.Contains(s.commands, command) {
			continue
		}
		value, given := l.value(s)
		if !given {
			value = s.defaultFor(command)
		}
		if value == "" {
			if slices.Contains(s.requiredBy, command) && !l.faulty(s.Name) {
				l.fault(s.Name, "is required: "+s.ask)
			}
			continue
		}
		var several mends
		switch err := s.read(c, value); {
		case errors.As(err, &several):
			for _, mend := range several {
				l.fault(s.Name, mend)
			}
		case err != nil:
			l.fault(s.Name, err.Error())
		}
	}
	c.Vendor.APIKeyFile = l.values["ELEVENLABS_API_KEY_FILE"]
	l.checkTogether(c)
	if len(l.faults) > 0 {
		return nil, l.faults
	}
	return c, nil
}

// portBecomesListen lets PORT, which platforms set, stand for the port of
// FAREBOX_LISTEN where that is not given.
func (l *loader) portBecomesListen() {
	port := l.values["PORT"]
	if _, err := parsePort(port); err != nil || l.values["FAREBOX_LISTEN"] != "" {
		return
	}
	host := ""
	if l.command == Dev {
		host = "127.0.0.1"
	}
	l.values["FAREBOX_LISTEN"] = net.JoinHostPort(host, port)
}

type loader struct {
	command   Command
	listenAll bool
	values    map[string]string
	faults    Faults
}

func (l *loader) fault(setting, mend string) {
	l.faults = append(l.faults, Fault{Setting: setting, Mend: mend})
}

func (l *loader) faulty(setting string) bool {
	return slices.ContainsFunc(l.faults, func(f Fault) bool {
		return f.Setting == setting || f.Setting == setting+"_FILE"
	})
}

func (l *loader) given(name string) bool {
	return l.values[name] != "" || l.values[name+"_FILE"] != ""
}

// value is what was given for s, directly or by its file.
func (l *loader) value(s setting) (string, bool) {
	direct := l.values[s.Name]
	if !s.Secret {
		return direct, direct != ""
	}
	path := l.values[s.Name+"_FILE"]
	switch {
	case path == "":
		return direct, direct != ""
	case direct != "":
		l.fault(s.Name, "is given twice; set either it or "+s.Name+"_FILE")
		return "", false
	}
	text, err := readSecretFile(path)
	if err != nil {
		l.fault(s.Name+"_FILE", err.Error())
		return "", false
	}
	return text, true
}

// checkTogether reports faults that lie between settings.
func (l *loader) checkTogether(c *Config) {
	l.checkKeyPair("FAREBOX_TLS_CERT_FILE", c.TLSCertFile, "FAREBOX_TLS_KEY_FILE", c.TLSKeyFile)
	l.checkKeyPair("FAREBOX_REDIS_CERT_FILE", c.Redis.CertFile, "FAREBOX_REDIS_KEY_FILE", c.Redis.KeyFile)
	if l.command != Serve && slices.ContainsFunc(c.Vendor.APIKeys, func(key secret.Text) bool { return localguard.RealKey(key.Reveal()) }) {
		l.fault("ELEVENLABS_API_KEY", "looks like a real key, which has no business with the sandbox; unset it")
	}
	l.checkRedis(c)
	tlsToRedis := strings.HasPrefix(c.Redis.URL.Reveal(), "rediss:")
	if (c.Redis.CAFile != "" || c.Redis.CertFile != "") && !tlsToRedis && !l.faulty("REDIS_URL") {
		l.fault("REDIS_URL", "TLS files are set for Redis, so the address must begin with rediss://")
	}
	if l.command != Serve && l.command != Dev {
		return
	}
	l.readTracing(c)
	l.checkPool(c)
	if l.command == Dev && !l.listenAll {
		l.keepOnLoopback("FAREBOX_LISTEN", c.Listen, ", or start dev with --listen-all")
	}
	if l.command == Dev {
		l.keepOnLoopback("FAREBOX_OPS_LISTEN", c.OpsListen, "")
		l.keepOnLoopback("FAREBOX_SANDBOX_LISTEN", c.SandboxListen, "")
	}
	if c.Listen != "" && c.Listen == c.OpsListen && !strings.HasSuffix(c.Listen, ":0") {
		l.fault("FAREBOX_OPS_LISTEN", "is the same as FAREBOX_LISTEN; the operators' endpoints need a port of their own, or off")
	}
	l.checkSession(c)
}

// checkRedis asks that the address fits what is said to stand there.
func (l *loader) checkRedis(c *Config) {
	if c.Redis.Embedded && (c.Redis.Mode == redisconn.Cluster || c.Redis.Mode == redisconn.Sentinel) {
		l.fault("FAREBOX_REDIS_MODE", "goes with a server, and REDIS_URL is memory:")
	}
	if c.Redis.Embedded && !redisconn.HasEmbedded && l.command != Dev {
		l.fault("REDIS_URL", "is memory:, and this build for production has no embedded Redis; name a server, or take the build whose name ends in -dev")
	}
	if c.Redis.URL.IsZero() {
		return
	}
	if _, err := redisconn.CheckURL(c.Redis.URL, c.Redis.Mode); err != nil {
		l.fault("REDIS_URL", err.Error())
	}
}

// keepOnLoopback refuses an address that others in the network could reach.
func (l *loader) keepOnLoopback(name, address, orElse string) {
	host, _, err := net.SplitHostPort(address)
	if address != "" && err == nil && !localguard.Loopback(host) {
		l.fault(name, "is beyond loopback, where dev has no business; write 127.0.0.1:port"+orElse)
	}
}

// checkPool also bounds the window where there is no pool: a token that took its
// time to be made is as old as one that lay ready.
func (l *loader) checkPool(c *Config) {
	const atLeast = 5 * time.Minute
	if c.Vendor.TokenLifetime-c.Timing.ReplayWindow-c.Pool.MaxAge < atLeast &&
		!l.faulty("FAREBOX_TOKEN_LIFETIME") && !l.faulty("FAREBOX_REPLAY_WINDOW") && !l.faulty("FAREBOX_POOL_MAX_AGE") {
		l.fault("FAREBOX_POOL_MAX_AGE", "and FAREBOX_REPLAY_WINDOW together leave a token less than 5 minutes of its FAREBOX_TOKEN_LIFETIME; shorten one of them")
	}
	if c.Pool.Max > 0 && c.Pool.Min > c.Pool.Max && !l.faulty("FAREBOX_POOL_MIN") && !l.faulty("FAREBOX_POOL_MAX") {
		l.fault("FAREBOX_POOL_MIN", "is more than FAREBOX_POOL_MAX")
	}
}

// checkKeyPair asks for a certificate and its key, or neither.
func (l *loader) checkKeyPair(certificate, certFile, key, keyFile string) {
	if l.faulty(certificate) || l.faulty(key) {
		return
	}
	if (certFile == "") != (keyFile == "") {
		l.fault(certificate, "goes with "+key+"; set both or neither")
	} else if _, err := tls.LoadX509KeyPair(certFile, keyFile); certFile != "" && err != nil {
		l.fault(certificate, "and "+key+" are no certificate with its key")
	}
}

func (l *loader) checkSession(c *Config) {
	var sources []string
	for _, name := range []string{"FAREBOX_SESSION_JWKS_URL", "FAREBOX_SESSION_PUBLIC_KEY_FILE", "FAREBOX_SESSION_HS256_SECRET"} {
		if l.given(name) {
			sources = append(sources, name)
		}
	}
	if len(sources) > 1 && !l.faulty(sources[0]) {
		l.fault(sources[0], "is given beside "+strings.Join(sources[1:], " and ")+"; sessions have one source of keys")
	}
	if l.command == Dev && len(sources) == 0 {
		if c.Session.LogoutAudience != "" {
			l.fault("FAREBOX_LOGOUT_AUDIENCE", "is not for the sessions that dev makes itself; it goes with a source of keys, such as FAREBOX_SESSION_JWKS_URL")
		}
		return
	}
	if l.command == Dev {
		for _, name := range []string{"FAREBOX_SESSION_ISSUER", "FAREBOX_SESSION_AUDIENCE"} {
			if !l.given(name) {
				l.fault(name, "is required beside "+sources[0]+", since dev then makes no sessions itself")
			}
		}
	}
	pinned := l.given("FAREBOX_SESSION_PUBLIC_KEY_FILE") || l.given("FAREBOX_SESSION_HS256_SECRET")
	switch {
	case l.faulty("FAREBOX_SESSION_ISSUER"):
	case c.Session.Issuer == "" && !pinned:
		l.fault("FAREBOX_SESSION_ISSUER", "none is allowed only with FAREBOX_SESSION_PUBLIC_KEY_FILE or FAREBOX_SESSION_HS256_SECRET")
	case len(sources) == 0:
		if err := checkHTTPURL(c.Session.Issuer); err != nil {
			l.fault("FAREBOX_SESSION_ISSUER", "its keys are found by OIDC discovery, so it must be an address: "+err.Error()+"; or set another source of keys")
		}
	}
	if c.Session.LogoutAudience != "" && c.Session.Issuer == "" && !l.faulty("FAREBOX_SESSION_ISSUER") {
		l.fault("FAREBOX_LOGOUT_AUDIENCE", "needs FAREBOX_SESSION_ISSUER: a logout token is its issuer's word alone")
	}
	if len(c.Session.Audiences) == 0 && len(c.Session.RequiredClaims) == 0 &&
		!l.faulty("FAREBOX_SESSION_AUDIENCE") && !l.faulty("FAREBOX_SESSION_REQUIRED_CLAIMS") {
		l.fault("FAREBOX_SESSION_AUDIENCE", "none needs FAREBOX_SESSION_REQUIRED_CLAIMS, or any token of the issuer would do")
	}
}
