// Package config is the only place that reads the environment. It turns
// settings into one typed Config and reports every fault at once, each with
// the setting's name and the mend, never with its value.
package config

import (
	"log/slog"
	"net/netip"
	"net/url"
	"time"

	"farebox/internal/redisconn"
	"farebox/internal/secret"
)

// Command is the command that settings are read for: which of them are
// required, and what their defaults are, depends on it.
type Command string

// The commands that read settings.
const (
	Serve       Command = "serve"
	Dev         Command = "dev"
	Sandbox     Command = "sandbox"
	Revoke      Command = "revoke"
	Hash        Command = "hash"
	Healthcheck Command = "healthcheck"
)

// Config is every setting, checked. Fields that a command does not use are zero.
type Config struct {
	Vendor  Vendor
	Redis   Redis
	Session Session
	Web     Web
	Timing  Timing
	Pool    Pool
	Log     Log
	Tracing Tracing

	// PolicyFile names a policy file that was good when it was looked at; ""
	// for none.
	PolicyFile string

	// AuditFile takes audit lines and could be appended to when it was looked at;
	// "" for the log.
	AuditFile string

	// Secrets key the hashes of identities and seal the answers kept for
	// replay: the first writes, all read.
	Secrets []secret.Text

	Listen        string // public listener, host:port
	OpsListen     string // operators' listener; "" for none
	PPROF         bool   // profiles on the operators' listener
	SandboxListen string // the sandbox vendor's listener

	TLSCertFile, TLSKeyFile string // serve TLS where set, both or neither

	DrainDelay      time.Duration // not ready this long before the listeners close
	ShutdownTimeout time.Duration // how long requests in flight get after that
}

// Vendor is how to reach the vendor.
type Vendor struct {
	APIKeys       []secret.Text // in the order in which they are to be used
	APIKeyFile    string        // the file that they came from; "" where they did not
	BaseURL       *url.URL
	TokenLifetime time.Duration
	Concurrency   int           // vendor calls under way at once
	Timeout       time.Duration // of one vendor call
}

// Redis is how to reach Redis.
type Redis struct {
	URL      secret.Text // checked, but whole: it may hold a password
	Mode     redisconn.Mode
	Embedded bool   // an embedded Redis instead of URL
	Prefix   string // first part of every key
	CAFile   string
	CertFile string
	KeyFile  string
}

// LongestSession is what FAREBOX_SESSION_MAX_LIFETIME may be at most.
const LongestSession = 90 * 24 * time.Hour

// Session is what makes a session JWT good.
type Session struct {
	Issuer         string              // "" where it is not checked
	Audiences      []string            // nil where they are not checked
	RequiredClaims map[string][]string // each must be there and equal to one of these
	SubjectClaim   string
	SessionIDClaim string
	Leeway         time.Duration
	MaxLifetime    time.Duration
	// LogoutAudience is the aud of back-channel logout tokens; "" for none.
	LogoutAudience string
	// RequireRevocation refuses sessions while Redis cannot be asked whether
	// they were ended.
	RequireRevocation bool

	// At most one of these is set; with none, keys come from OIDC discovery
	// of Issuer.
	JWKSURL       string
	PublicKeyFile string
	HS256Secret   secret.Text

	Cookie string // name of a cookie that may carry the JWT; "" for none
	Header string // name of a header that may carry it; "" for none
}

// SignedElsewhere reports whether a source of keys was set: then sessions are
// somebody else's to make.
func (s Session) SignedElsewhere() bool {
	return s.JWKSURL != "" || s.PublicKeyFile != "" || !s.HS256Secret.IsZero()
}

// Web is what concerns browsers.
type Web struct {
	AllowedOrigins []Origin
	Page           bool
	PublicURL      *url.URL // nil where not set
	LoginURL       string
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	ClientIPHeader string         // that the platform sets with the client's address; "" for none
}

// Timing bounds requests and replay.
type Timing struct {
	ReplayWindow   time.Duration
	RequestTimeout time.Duration
}

// Pool is how many tokens of each type are kept ready, across all replicas.
type Pool struct {
	Min, Max int // Max 0 is no pool
	MaxAge   time.Duration
}

// Log is what is logged, and how.
type Log struct {
	Level  slog.Level
	Format string // "json" or "text"; "" for text on a terminal, else json
}
