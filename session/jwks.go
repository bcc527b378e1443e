package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
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
	// coolDown is the least time from the begin of one load to that of the
	// next, however many unknown kids come. It is well below longestWait, so
	// that who comes at its begin still sees its end.
	coolDown = 500 * time.Millisecond
	// longestWait is how long a request waits, for the cool-down and the load
	// together.
	longestWait = time.Second
	// mostWaiting is how many requests wait at once. Those beyond are told to
	// come again, when the load that they asked for has been made.
	mostWaiting = 1024
	// lastGoodFor is how long a set that cannot be renewed stays good.
	lastGoodFor = 24 * time.Hour
	// After a failed load the next is made sooner than Refresh.
	firstRetry, lastRetry = 2 * time.Second, time.Minute
)

// JWKS is a source of public keys that its issuer rotates. It loads the set
// ahead of time, and soon for a kid that it does not know: a kid is called
// unknown only by a load that began after the question. A load that fails
// leaves the last good set in place for up to 24 hours.
type JWKS struct {
	cfg    JWKSConfig
	client *http.Client
	locate func(ctx context.Context) (string, error) // where the set is

	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	loop    sync.WaitGroup
	set     atomic.Pointer[keySet] // the last good one; nil before there is one
	waiting chan struct{}          // one element a request that waits
	wanted  chan struct{}          // that next be begun

	mu      sync.Mutex
	current *load // under way; nil for none
	next    *load // not begun
	beganAt time.Time
	lastErr error // of the last load

	odd []string // what was wrong with keys of the last set; the loop's own
}

// keySet is one set as it was loaded. It is immutable.
type keySet struct {
	keys     []setKey
	loadedAt time.Time
}

// load is one load of the set. err may be read once ended is closed.
type load struct {
	ended chan struct{}
	err   error
}

func newLoad() *load { return &load{ended: make(chan struct{})} }

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
	s := &JWKS{
		cfg: cfg, client: newFetcher(cfg.Transport),
		waiting: make(chan struct{}, mostWaiting), wanted: make(chan struct{}, 1), next: newLoad(),
	}
	s.locate = func(ctx context.Context) (string, error) { return locate(ctx, s.client) }
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.begin() // so that whoever asks from now on waits for it
	s.loop.Go(s.keepFresh)
	return s, nil
}

// Close ends the source's loads. Keys stay as they are.
func (s *JWKS) Close() error {
	s.stop()
	s.loop.Wait()
	s.client.CloseIdleConnections()
	return nil
}

// Algorithms implements KeySource.
func (s *JWKS) Algorithms() []string { return asymmetric() }

// Status implements KeySource.
func (s *JWKS) Status() KeyStatus {
	s.mu.Lock()
	lastErr := s.lastErr
	s.mu.Unlock()
	status := KeyStatus{Usable: s.usable() != nil}
	if set := s.set.Load(); set != nil {
		status.LoadedAt = set.loadedAt
	}
	if lastErr != nil {
		status.LastError = lastErr.Error()
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
	current, next, err := s.want()
	if err != nil {
		return nil, err
	}
	select {
	case s.waiting <- struct{}{}:
		defer func() { <-s.waiting }()
	default:
		return nil, pending("too many wait for that")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, longestWait, errTooLong)
	defer cancel()
	// What is under way may bring the key, but cannot tell that there is none:
	// it may have read the set before the key was added.
	if current != nil {
		if err := s.await(ctx, current); err != nil {
			return nil, err
		}
		if keys := s.find(alg, kid); keys != nil {
			return keys, nil
		}
	}
	if err := s.await(ctx, next); err != nil {
		return nil, err
	}
	if keys := s.find(alg, kid); keys != nil {
		return keys, nil
	}
	return nil, invalid("signed by an unknown key")
}

// Holds implements KeySource.
func (s *JWKS) Holds(alg string, thumbprint Thumbprint) bool {
	set := s.usable()
	return set != nil && slices.ContainsFunc(set.keys, func(k setKey) bool {
		return k.Thumbprint == thumbprint && slices.Contains(k.Algorithms, alg)
	})
}

// usable is the set, or nil where there is none that may be used.
func (s *JWKS) usable() *keySet {
	if set := s.set.Load(); set != nil && s.cfg.Now().Sub(set.loadedAt) < lastGoodFor {
		return set
	}
	return nil
}

func (s *JWKS) find(alg, kid string) []Key {
	set := s.usable()
	if set == nil {
		return nil
	}
	var named []Key
	for _, key := range set.keys {
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

// errTooLong is why a request stops waiting for a load.
var errTooLong = pending("that takes too long")

// want asks for a load that begins from now on, and returns it with the one
// under way. It is an error where the host has just failed.
func (s *JWKS) want() (current, next *load, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.wanted <- struct{}{}:
	default:
	}
	switch {
	case s.ctx.Err() != nil:
		return nil, nil, unavailable("the source is closed")
	case s.current == nil && s.lastErr != nil && s.untilNext() > 0:
		return nil, nil, unavailable(s.lastErr.Error())
	}
	return s.current, s.next, nil
}

// await waits for l, and fails where l does.
func (s *JWKS) await(ctx context.Context, l *load) error {
	select {
	case <-l.ended:
		if l.err != nil {
			return unavailable(l.err.Error())
		}
		return nil
	case <-s.ctx.Done():
		return unavailable("the source is closed")
	case <-ctx.Done():
		if cause := context.Cause(ctx); errors.Is(cause, errTooLong) {
			return cause
		}
		return fmt.Errorf("%w: %w", ErrKeysPending, ctx.Err())
	}
}

// untilNext is what is left of the cool-down. s.mu is held.
func (s *JWKS) untilNext() time.Duration { return coolDown - s.cfg.Now().Sub(s.beganAt) }

// keepFresh makes all loads, until Close.
func (s *JWKS) keepFresh() {
	retry, told := firstRetry, ""
	for asked := false; ; {
		err := s.load()
		pause := s.cfg.Refresh
		switch {
		case err == nil:
			retry, told = firstRetry, ""
		case s.ctx.Err() != nil:
			return
		default:
			pause = min(retry, s.cfg.Refresh)
			// A flood of questions is not to flood the log.
			if !asked || err.Error() != told {
				told = err.Error()
				s.cfg.Log.Warn("session keys could not be loaded", "error", told, "usable", s.usable() != nil)
			}
			if !asked {
				retry = min(retry*2, lastRetry)
			}
		}
		if asked = s.pause(pause); s.ctx.Err() != nil {
			return
		}
		s.begin()
	}
}

// pause waits until the next load is due, or wanted and the cool-down over. It
// reports whether it was wanted.
func (s *JWKS) pause(due time.Duration) (asked bool) {
	timer := time.NewTimer(due)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-s.ctx.Done():
		return false
	case <-s.wanted:
	}
	s.mu.Lock()
	rest := s.untilNext()
	s.mu.Unlock()
	timer.Reset(rest)
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
	return true
}

// begin makes the next load the one under way. Who has wanted it is served by it.
func (s *JWKS) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.wanted:
	default:
	}
	s.current, s.next, s.beganAt = s.next, newLoad(), s.cfg.Now()
}

// load makes the load that was begun.
func (s *JWKS) load() error {
	keys, err := s.fetchSet()
	if err == nil {
		s.set.Store(&keySet{keys: keys, loadedAt: s.cfg.Now()})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current.err, s.lastErr = err, err
	close(s.current.ended)
	s.current = nil
	return err
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
