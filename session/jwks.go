package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

// JWKSConfig is what a JWKS needs. URL, Now and Log are required.
type JWKSConfig struct {
	URL       string            // https, save on loopback
	Transport http.RoundTripper // nil for one of its own
	Now       func() time.Time
	Log       *slog.Logger
	// Refresh is how often the set is loaded anew, and so how long a removed
	// key is still good; 0 is 5 minutes.
	Refresh time.Duration
}

const (
	defaultRefresh = 5 * time.Minute
	// coolDown is the least time between two loads, however many unknown kids
	// come.
	coolDown = time.Second
	// longestWait is how long a request waits for a load.
	longestWait = time.Second
	// lastGoodFor is how long a set that cannot be renewed stays good.
	lastGoodFor = 24 * time.Hour
	// After a failed load the next is made sooner than Refresh.
	firstRetry, lastRetry = 2 * time.Second, time.Minute
)

// JWKS is a source of public keys that its issuer rotates. It loads the set
// ahead of time, and at once for a kid that it does not know. A load that
// fails leaves the last good set in place for up to 24 hours.
type JWKS struct {
	cfg    JWKSConfig
	client *http.Client
	locate func(ctx context.Context) (string, error) // where the set is

	ctx   context.Context // ends with Close
	stop  context.CancelFunc
	loops sync.WaitGroup

	mu       sync.Mutex
	keys     []setKey
	loadedAt time.Time // of keys
	triedAt  time.Time // when the last load ended
	lastErr  error     // of the last load
	flight   chan struct{}

	odd []string // what was wrong with keys of the last set; the flight's own
}

// NewJWKS returns a source that loads the set at cfg.URL, and begins to. That
// it cannot be reached is no error. The caller closes it.
func NewJWKS(cfg JWKSConfig) (*JWKS, error) {
	if err := checkAddress(cfg.URL); err != nil {
		return nil, fmt.Errorf("session: the key set: %w", err)
	}
	return newJWKS(cfg, func(context.Context, *http.Client) (string, error) { return cfg.URL, nil })
}

func newJWKS(cfg JWKSConfig, locate func(context.Context, *http.Client) (string, error)) (*JWKS, error) {
	switch {
	case cfg.Now == nil:
		return nil, errors.New("session: Now is missing")
	case cfg.Log == nil:
		return nil, errors.New("session: Log is missing")
	case cfg.Refresh < 0:
		return nil, errors.New("session: Refresh must not be negative")
	}
	if cfg.Refresh == 0 {
		cfg.Refresh = defaultRefresh
	}
	s := &JWKS{cfg: cfg, client: newFetcher(cfg.Transport)}
	s.locate = func(ctx context.Context) (string, error) { return locate(ctx, s.client) }
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.loops.Go(s.keepFresh)
	return s, nil
}

// Close ends the source's loads. Keys stay as they are.
func (s *JWKS) Close() error {
	s.mu.Lock()
	s.stop() // under the lock, so that no load begins while Wait waits
	s.mu.Unlock()
	s.loops.Wait()
	s.client.CloseIdleConnections()
	return nil
}

// Algorithms implements KeySource.
func (s *JWKS) Algorithms() []string { return asymmetric() }

// Status implements KeySource.
func (s *JWKS) Status() KeyStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := KeyStatus{Usable: s.usable(), LoadedAt: s.loadedAt}
	if s.lastErr != nil {
		status.LastError = s.lastErr.Error()
	}
	return status
}

// Keys implements KeySource. A token without a kid is taken only where a
// single key of the set fits its alg. For a key that is not there the set is
// loaded, at most once in the cool-down and for at most a second of the
// caller's time.
func (s *JWKS) Keys(ctx context.Context, alg, kid string) ([]Key, error) {
	if keys := s.find(alg, kid); keys != nil {
		return keys, nil
	}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	if keys := s.find(alg, kid); keys != nil {
		return keys, nil
	}
	return nil, invalid("signed by an unknown key")
}

func (s *JWKS) usable() bool {
	return len(s.keys) > 0 && s.cfg.Now().Sub(s.loadedAt) < lastGoodFor
}

func (s *JWKS) find(alg, kid string) []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.usable() {
		return nil
	}
	var named []Key
	for _, key := range s.keys {
		if kid == "" || key.kid == kid {
			named = append(named, key.Key)
		}
	}
	fit := fitting(named, alg)
	if kid == "" && len(fit) > 1 || len(fit) > maxKeys {
		return nil
	}
	return fit
}

// load makes sure that a load ended within the last coolDown, and fails where
// that load did, or takes too long.
func (s *JWKS) load(ctx context.Context) error {
	s.mu.Lock()
	if s.ctx.Err() != nil {
		defer s.mu.Unlock()
		return unavailable("the source is closed")
	}
	if s.flight == nil && s.cfg.Now().Sub(s.triedAt) < coolDown {
		defer s.mu.Unlock()
		return s.outcome()
	}
	flight := s.startLoad()
	s.mu.Unlock()

	timer := time.NewTimer(longestWait)
	defer timer.Stop()
	select {
	case <-flight:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.outcome()
	case <-timer.C:
		return unavailable("loading them takes too long")
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrKeysUnavailable, ctx.Err())
	}
}

// outcome is the last load's, for who asks for a key that is not there.
func (s *JWKS) outcome() error {
	if s.lastErr != nil {
		return unavailable(s.lastErr.Error())
	}
	return nil
}

// startLoad joins the load under way or starts one. s.mu is held.
func (s *JWKS) startLoad() chan struct{} {
	if s.flight != nil {
		return s.flight
	}
	flight := make(chan struct{})
	if s.ctx.Err() != nil { // closed: nothing is loaded any more
		close(flight)
		return flight
	}
	s.flight = flight
	s.loops.Go(func() {
		defer close(flight)
		keys, err := s.fetchSet()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.flight, s.triedAt, s.lastErr = nil, s.cfg.Now(), err
		if err == nil {
			s.keys, s.loadedAt = keys, s.triedAt
		}
	})
	return flight
}

func (s *JWKS) fetchSet() ([]setKey, error) {
	ctx, cancel := context.WithTimeout(s.ctx, fetchTimeout)
	defer cancel()
	address, err := s.locate(ctx)
	if err != nil {
		return nil, err
	}
	data, err := fetch(ctx, s.client, address)
	if err != nil {
		return nil, fmt.Errorf("the key set: %w", err)
	}
	keys, odd, err := parseSet(data)
	if len(odd) > 0 && !slices.Equal(odd, s.odd) {
		s.cfg.Log.Warn("session keys are left out", "reasons", odd)
	}
	s.odd = odd
	return keys, err
}

// keepFresh loads ahead of time until Close.
func (s *JWKS) keepFresh() {
	retry := firstRetry
	for {
		s.mu.Lock()
		flight := s.startLoad()
		s.mu.Unlock()
		<-flight
		pause := s.cfg.Refresh
		if status := s.Status(); status.LastError != "" && s.ctx.Err() == nil {
			s.cfg.Log.Warn("session keys could not be loaded", "error", status.LastError, "usable", status.Usable)
			pause = min(retry, s.cfg.Refresh)
			retry = min(retry*2, lastRetry)
		} else {
			retry = firstRetry
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-s.ctx.Done():
			timer.Stop()
			return
		}
	}
}
