package config

import (
	"net/netip"
	"slices"
	"time"

	"farebox/internal/redisconn"
	"farebox/internal/secret"
)

// setting is one environment variable.
type setting struct {
	Name       string
	Secret     bool // has a …_FILE form, and is never shown
	Default    string
	devDefault string    // where dev's differs
	commands   []Command // that read it
	requiredBy []Command
	ask        string // what to set where it is required and missing
	read       func(c *Config, value string) error
}

func (s setting) defaultFor(command Command) string {
	if command == Dev && s.devDefault != "" {
		return s.devDefault
	}
	return s.Default
}

var (
	servingCommands = []Command{Serve, Dev}
	redisCommands   = []Command{Serve, Dev, Revoke}
	serveOnly       = []Command{Serve}
)

// Names are all names that Load knows, the …_FILE forms included.
func Names() []string {
	var names []string
	for _, s := range settings {
		names = append(names, s.Name)
		if s.Secret {
			names = append(names, s.Name+"_FILE")
		}
	}
	return names
}

var settings = []setting{
	{
		Name: "ELEVENLABS_API_KEY", Secret: true, commands: []Command{Serve, Dev, Sandbox}, requiredBy: serveOnly,
		ask:  "create a key that may create single-use tokens, and set it here or by ELEVENLABS_API_KEY_FILE",
		read: readInto(func(c *Config, v []secret.Text) { c.Vendor.APIKeys = v }, parseAPIKeys),
	},
	{
		Name: "ELEVENLABS_BASE_URL", Default: "https://api.elevenlabs.io", commands: serveOnly,
		read: readInto(func(c *Config, u *httpURL) { c.Vendor.BaseURL = u.URL }, parseVendorURL),
	},
	{
		Name: "REDIS_URL", Secret: true, devDefault: "memory:", commands: redisCommands, requiredBy: []Command{Serve, Revoke},
		ask:  "set redis://, rediss:// or unix://, or for a single replica memory:",
		read: readRedisURL,
	},
	{
		Name: "FAREBOX_REDIS_MODE", Default: string(redisconn.Auto), commands: redisCommands,
		read: readInto(func(c *Config, v redisconn.Mode) { c.Redis.Mode = v }, readRedisMode),
	},
	{
		Name: "FAREBOX_REDIS_PREFIX", Default: "farebox", commands: redisCommands,
		read: readInto(func(c *Config, v string) { c.Redis.Prefix = v }, parsePrefix),
	},
	{Name: "FAREBOX_REDIS_CA_FILE", commands: redisCommands, read: readInto(func(c *Config, v string) { c.Redis.CAFile = v }, parseAuthorities)},
	{Name: "FAREBOX_REDIS_CERT_FILE", commands: redisCommands, read: readInto(func(c *Config, v string) { c.Redis.CertFile = v }, parseFile)},
	{Name: "FAREBOX_REDIS_KEY_FILE", commands: redisCommands, read: readInto(func(c *Config, v string) { c.Redis.KeyFile = v }, parseFile)},
	{
		Name: "FAREBOX_SECRET", Secret: true, commands: []Command{Serve, Dev, Revoke, Hash}, requiredBy: []Command{Serve, Revoke, Hash},
		ask:  "set 32 random bytes or more, for instance the output of: openssl rand -base64 32",
		read: readInto(func(c *Config, v []secret.Text) { c.Secrets = v }, parseSecrets),
	},
	{
		Name: "PORT", commands: []Command{Serve, Dev, Healthcheck},
		read: readPort,
	},
	{
		Name: "FAREBOX_LISTEN", Default: ":8080", devDefault: "127.0.0.1:8080", commands: []Command{Serve, Dev, Healthcheck},
		read: readListen,
	},
	{
		Name: "FAREBOX_OPS_LISTEN", Default: ":9090", devDefault: "127.0.0.1:9090", commands: []Command{Serve, Dev, Healthcheck},
		read: readInto(func(c *Config, v string) { c.OpsListen = v }, orOff(parseListen)),
	},
	{
		Name: "FAREBOX_SANDBOX_LISTEN", Default: "127.0.0.1:8081", commands: []Command{Dev, Sandbox},
		read: readInto(func(c *Config, v string) { c.SandboxListen = v }, parseListen),
	},
	{Name: "FAREBOX_SESSION_PROVIDER", commands: []Command{Serve, Revoke, Hash}, read: readProvider},
	{Name: "FAREBOX_SESSION_PROVIDER_ID", commands: []Command{Serve, Revoke, Hash}, read: readProviderID},
	{
		Name: "FAREBOX_SESSION_ISSUER", devDefault: "https://dev.farebox.invalid", commands: []Command{Serve, Dev, Revoke, Hash}, requiredBy: []Command{Serve, Revoke, Hash},
		ask:  "set the iss of your sessions, or none",
		read: readInto(func(c *Config, v string) { c.Session.Issuer = v }, orNone(parseText)),
	},
	{
		Name: "FAREBOX_SESSION_AUDIENCE", devDefault: "farebox", commands: servingCommands, requiredBy: serveOnly,
		ask:  "set the aud of your sessions, or none",
		read: readInto(func(c *Config, v []string) { c.Session.Audiences = v }, parseAudiences),
	},
	{
		Name: "FAREBOX_SESSION_REQUIRED_CLAIMS", commands: servingCommands,
		read: readInto(func(c *Config, v map[string][]string) { c.Session.RequiredClaims = v }, parseRequiredClaims),
	},
	{
		Name: "FAREBOX_SESSION_JWKS_URL", commands: servingCommands,
		read: readInto(func(c *Config, u *httpURL) { c.Session.JWKSURL = u.String() }, parseHTTPURL),
	},
	{Name: "FAREBOX_SESSION_PUBLIC_KEY_FILE", commands: servingCommands, read: readInto(func(c *Config, v string) { c.Session.PublicKeyFile = v }, parsePublicKeys)},
	{
		Name: "FAREBOX_SESSION_HS256_SECRET", Secret: true, commands: servingCommands,
		read: readInto(func(c *Config, v secret.Text) { c.Session.HS256Secret = v }, parseSecret),
	},
	{
		Name: "FAREBOX_SESSION_COOKIE", devDefault: "farebox_session", commands: servingCommands,
		read: readInto(func(c *Config, v string) { c.Session.Cookie = v }, parseToken),
	},
	{
		Name: "FAREBOX_SESSION_HEADER", commands: servingCommands,
		read: readInto(func(c *Config, v string) { c.Session.Header = v }, parseHeaderName),
	},
	{
		Name: "FAREBOX_SESSION_SUB_CLAIM", Default: "sub", commands: servingCommands,
		read: readInto(func(c *Config, v string) { c.Session.SubjectClaim = v }, parseText),
	},
	{
		Name: "FAREBOX_SESSION_SID_CLAIM", Default: "sid", commands: servingCommands,
		read: readInto(func(c *Config, v string) { c.Session.SessionIDClaim = v }, parseText),
	},
	{
		Name: "FAREBOX_SESSION_LEEWAY", Default: "5s", commands: redisCommands,
		read: readInto(func(c *Config, v time.Duration) { c.Session.Leeway = v }, parseDuration(0, time.Minute)),
	},
	{
		Name: "FAREBOX_SESSION_MAX_LIFETIME", Default: "24h", commands: redisCommands,
		read: readInto(func(c *Config, v time.Duration) { c.Session.MaxLifetime = v }, parseDuration(time.Minute, LongestSession)),
	},
	{
		Name: "FAREBOX_LOGOUT_AUDIENCE", commands: servingCommands,
		read: readInto(func(c *Config, v string) { c.Session.LogoutAudience = v }, parseText),
	},
	{
		Name: "FAREBOX_REQUIRE_REVOCATION", Default: "false", commands: servingCommands,
		read: readInto(func(c *Config, v bool) { c.Session.RequireRevocation = v }, parseTrueFalse),
	},
	{
		Name: "FAREBOX_ALLOWED_ORIGINS", commands: servingCommands,
		read: readInto(func(c *Config, v []Origin) { c.Web.AllowedOrigins = v }, parseOrigins),
	},
	{
		Name: "FAREBOX_PAGE", Default: "on", commands: servingCommands,
		read: readInto(func(c *Config, v bool) { c.Web.Page = v }, parseSwitch),
	},
	{
		Name: "FAREBOX_PUBLIC_URL", commands: serveOnly,
		read: readInto(func(c *Config, u *httpURL) { c.Web.PublicURL = u.URL }, parseHTTPURL),
	},
	{
		Name: "FAREBOX_LOGIN_URL", commands: serveOnly,
		read: readInto(func(c *Config, u *httpURL) { c.Web.LoginURL = u.String() }, parseHTTPURL),
	},
	{Name: "FAREBOX_POLICY_FILE", commands: servingCommands, read: readPolicyFile},
	{
		Name: "FAREBOX_POOL_MIN", Default: "1", commands: servingCommands,
		read: readInto(func(c *Config, v int) { c.Pool.Min = v }, parseNumber(0, 100_000)),
	},
	{
		Name: "FAREBOX_POOL_MAX", Default: "256", commands: servingCommands,
		read: readInto(func(c *Config, v int) { c.Pool.Max = v }, parseNumber(0, 100_000)),
	},
	{
		Name: "FAREBOX_POOL_MAX_AGE", Default: "9m", commands: servingCommands,
		read: readInto(func(c *Config, v time.Duration) { c.Pool.MaxAge = v }, parseDuration(time.Second, 24*time.Hour)),
	},
	{
		Name: "FAREBOX_REPLAY_WINDOW", Default: "60s", commands: servingCommands,
		read: readInto(func(c *Config, v time.Duration) { c.Timing.ReplayWindow = v }, parseDuration(time.Second, time.Hour)),
	},
	{
		Name: "FAREBOX_TOKEN_LIFETIME", Default: "15m", commands: []Command{Serve, Dev, Sandbox},
		read: readInto(func(c *Config, v time.Duration) { c.Vendor.TokenLifetime = v }, parseDuration(time.Second, 24*time.Hour)),
	},
	{
		Name: "FAREBOX_MINT_CONCURRENCY", Default: "8", commands: servingCommands,
		read: readInto(func(c *Config, v int) { c.Vendor.Concurrency = v }, parseNumber(1, 1024)),
	},
	{
		Name: "FAREBOX_MINT_TIMEOUT", Default: "5s", commands: servingCommands,
		read: readInto(func(c *Config, v time.Duration) { c.Vendor.Timeout = v }, parseDuration(10*time.Millisecond, time.Minute)),
	},
	{
		Name: "FAREBOX_REQUEST_TIMEOUT", Default: "10s", commands: servingCommands,
		read: readInto(func(c *Config, v time.Duration) { c.Timing.RequestTimeout = v }, parseDuration(10*time.Millisecond, time.Minute)),
	},
	{
		Name: "FAREBOX_TRUSTED_PROXIES", commands: servingCommands,
		read: readInto(func(c *Config, v []netip.Prefix) { c.Web.TrustedProxies = v }, parseProxies),
	},
	{
		Name: "FAREBOX_CLIENT_IP_HEADER", commands: servingCommands,
		read: readInto(func(c *Config, v string) { c.Web.ClientIPHeader = v }, parseClientIPHeader),
	},
	{Name: "FAREBOX_TLS_CERT_FILE", commands: []Command{Serve, Healthcheck}, read: readInto(func(c *Config, v string) { c.TLSCertFile = v }, parseFile)},
	{Name: "FAREBOX_TLS_KEY_FILE", commands: []Command{Serve, Healthcheck}, read: readInto(func(c *Config, v string) { c.TLSKeyFile = v }, parseFile)},
	{
		Name: "FAREBOX_DRAIN_DELAY", Default: "0s", commands: servingCommands,
		read: readInto(func(c *Config, v time.Duration) { c.DrainDelay = v }, parseDuration(0, 10*time.Minute)),
	},
	{
		Name: "FAREBOX_SHUTDOWN_TIMEOUT", Default: "20s", commands: []Command{Serve, Dev, Sandbox},
		read: readInto(func(c *Config, v time.Duration) { c.ShutdownTimeout = v }, parseDuration(0, 10*time.Minute)),
	},
	{
		Name: "FAREBOX_LOG_LEVEL", Default: "info", commands: []Command{Serve, Dev, Sandbox},
		read: readLogLevel,
	},
	{
		Name: "FAREBOX_LOG_FORMAT", commands: []Command{Serve, Dev, Sandbox},
		read: readInto(func(c *Config, v string) { c.Log.Format = v }, parseOneOf("json", "text")),
	},
	{
		Name: "FAREBOX_PPROF", Default: "false", commands: servingCommands,
		read: readInto(func(c *Config, v bool) { c.PPROF = v }, parseTrueFalse),
	},
	{Name: "FAREBOX_AUDIT_FILE", commands: redisCommands, read: readInto(func(c *Config, v string) { c.AuditFile = v }, parseAppendable)},
}

// usedBy reports whether command reads the setting of this name.
func usedBy(name string, command Command) bool {
	return slices.ContainsFunc(settings, func(s setting) bool {
		return s.Name == name && slices.Contains(s.commands, command)
	})
}
