package redisconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"farebox/internal/secret"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// Each call has a deadline of its own, far below this.
	dialTimeout = 2 * time.Second
	// connections to one server at most.
	connections = 64
	// noPipelinePool has batches go over the same connections: others beside them,
	// as the library would open, have buffers of 128 KiB, and are not bounded by
	// connections.
	noPipelinePool = -1
	// noRetries keeps the library from repeating what may have run: a repeated
	// write could hand one claim to two callers, or charge twice.
	noRetries = -1
)

// newClient returns the client for a URL that CheckURL found good.
func newClient(address secret.Text, mode Mode, files *tlsFiles) (redis.UniversalClient, error) {
	url := address.Reveal()
	switch mode {
	case Cluster:
		options, err := redis.ParseClusterURL(url)
		if err != nil {
			return nil, fmt.Errorf("REDIS_URL %w", errNoCluster)
		}
		files.addTo(options.TLSConfig)
		options.MaxRetries, options.DialerRetries, options.DialTimeout = noRetries, 1, dialTimeout
		options.ContextTimeoutEnabled, options.PoolSize = true, connections
		options.DisableIdentity = true // it takes rights of its own
		options.ReadOnly, options.RouteByLatency, options.RouteRandomly = false, false, false
		options.DisableRoutingPolicies = true // each command goes to its key's server
		options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
		return redis.NewClusterClient(options), nil
	case Sentinel:
		options, err := redis.ParseFailoverURL(url)
		if err != nil {
			return nil, fmt.Errorf("REDIS_URL %w", errNoSentinels)
		}
		files.addTo(options.TLSConfig)
		options.MaxRetries, options.DialerRetries, options.DialTimeout = noRetries, 1, dialTimeout
		options.ContextTimeoutEnabled, options.PoolSize = true, connections
		options.DisableIdentity = true
		options.PipelinePoolSize = noPipelinePool
		options.ReplicaOnly, options.RouteByLatency, options.RouteRandomly = false, false, false
		return redis.NewFailoverClient(options), nil
	default:
		options, err := redis.ParseURL(url)
		if err != nil {
			return nil, fmt.Errorf("REDIS_URL %w", errNoAddress)
		}
		files.addTo(options.TLSConfig)
		return newSingle(options), nil
	}
}

func newSingle(options *redis.Options) *redis.Client {
	options.MaxRetries, options.DialerRetries, options.DialTimeout = noRetries, 1, dialTimeout
	options.ContextTimeoutEnabled, options.PoolSize, options.MinIdleConns = true, connections, 1
	options.PipelinePoolSize = noPipelinePool
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewClient(options)
}

// tlsFiles are the contents of the settings' files.
type tlsFiles struct {
	authorities *x509.CertPool // nil: those of the system
	certificate []tls.Certificate
}

func readTLSFiles(cfg Config) (*tlsFiles, error) {
	files := &tlsFiles{}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, errors.New("FAREBOX_REDIS_CA_FILE cannot be read")
		}
		files.authorities = x509.NewCertPool()
		if !files.authorities.AppendCertsFromPEM(pem) {
			return nil, errors.New("FAREBOX_REDIS_CA_FILE holds no certificate")
		}
	}
	if cfg.CertFile != "" {
		certificate, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return nil, errors.New("FAREBOX_REDIS_CERT_FILE and FAREBOX_REDIS_KEY_FILE are no certificate with its key")
		}
		files.certificate = []tls.Certificate{certificate}
	}
	return files, nil
}

// addTo completes a TLS configuration; nil is a connection without TLS.
func (f *tlsFiles) addTo(config *tls.Config) {
	if config == nil {
		return
	}
	config.MinVersion = tls.VersionTLS12
	config.RootCAs, config.Certificates = f.authorities, f.certificate
}
