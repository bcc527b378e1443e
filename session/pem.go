package session

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// PEMConfig is what a PEM needs. Path, Now and Log are required.
type PEMConfig struct {
	Path string // the file; a link may lead to it
	Now  func() time.Time
	Log  *slog.Logger
	// Refresh is how often the file is read; 0 is a second. A change counts
	// from the second reading that finds it.
	Refresh time.Duration
}

const (
	defaultPEMRefresh = time.Second
	// maxKeys bounds how many signatures one token can cost.
	maxKeys = 16
	// maxPEMSize bounds the file.
	maxPEMSize = 1 << 20
)

// PEM is a source of the public keys in a file: PUBLIC KEY, RSA PUBLIC KEY or
// CERTIFICATE blocks, one or more. It reads the file again and again, through
// whatever links lead to it. What is not whole leaves the keys as they are, and
// a change counts only once two readings agree on it, since a file cut off
// between two blocks looks whole.
type PEM struct {
	cfg   PEMConfig
	keys  atomic.Pointer[pemKeys]
	stop  context.CancelFunc
	loop  sync.WaitGroup
	mu    sync.Mutex
	state KeyStatus
}

// pemKeys are the keys of one reading. They are immutable.
type pemKeys struct {
	data       []byte
	keys       []Key
	algorithms []string
}

// NewPEM returns a source of the keys in cfg.Path, which must be good by now.
// Errors do not name the file. The caller closes it.
func NewPEM(cfg PEMConfig) (*PEM, error) {
	switch {
	case cfg.Now == nil:
		return nil, errors.New("session: Now is missing")
	case cfg.Log == nil:
		return nil, errors.New("session: Log is missing")
	case cfg.Refresh < 0:
		return nil, errors.New("session: Refresh must not be negative")
	}
	if cfg.Refresh == 0 {
		cfg.Refresh = defaultPEMRefresh
	}
	keys, err := readPEM(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	s := &PEM{cfg: cfg, state: KeyStatus{Usable: true, LoadedAt: cfg.Now()}}
	s.keys.Store(keys)
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	s.loop.Go(func() { s.keepFresh(ctx) })
	return s, nil
}

// CheckPEM says what is wrong with the keys in the file at path, or nil. Errors
// do not name the file.
func CheckPEM(path string) error {
	_, err := readPEM(path)
	return err
}

// Close ends the reading. Keys stay as they are.
func (s *PEM) Close() error {
	s.stop()
	s.loop.Wait()
	return nil
}

// keepFresh reads the file again and again until ctx ends.
func (s *PEM) keepFresh(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.Refresh)
	defer ticker.Stop()
	var before []byte // as the last reading found it
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		before = s.reread(before)
	}
}

// reread reads the file once, and returns what it held. before is what it held
// the last time, nil for nothing.
func (s *PEM) reread(before []byte) []byte {
	data, err := readRegular(s.cfg.Path)
	switch {
	case err != nil:
		s.note(err)
	case bytes.Equal(data, s.keys.Load().data):
		s.note(nil)
	case before != nil && bytes.Equal(data, before):
		s.note(s.take(data))
	}
	return data
}

// take makes the keys in data those that count.
func (s *PEM) take(data []byte) error {
	keys, err := parsePEM(data)
	if err != nil {
		return err
	}
	s.keys.Store(keys)
	s.cfg.Log.Info("session keys are read anew", "keys", len(keys.keys))
	return nil
}

// note keeps how the last reading went, and tells a fault once.
func (s *PEM) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.state = KeyStatus{Usable: true, LoadedAt: s.cfg.Now()}
		return
	}
	if text := err.Error(); text != s.state.LastError {
		s.state.LastError = text
		s.cfg.Log.Warn("the file of session keys will not do; the old keys stay", "error", text)
	}
}

func readPEM(path string) (*pemKeys, error) {
	data, err := readRegular(path)
	if err != nil {
		return nil, err
	}
	return parsePEM(data)
}

// readRegular reads a file, and nothing that only looks like one: opening a
// pipe would wait for ever.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, errors.New("the file cannot be read")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.New("the file cannot be read")
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxPEMSize+1))
	switch {
	case err != nil:
		return nil, errors.New("the file cannot be read")
	case len(data) > maxPEMSize:
		return nil, fmt.Errorf("the file holds more than %d bytes", maxPEMSize)
	}
	return data, nil
}

func parsePEM(data []byte) (*pemKeys, error) {
	all := &pemKeys{data: data}
	// Decode passes over what it cannot read, and a key would be missing unseen.
	blocks := bytes.Count(data, []byte("-----BEGIN "))
	for rest := data; ; blocks-- {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		public, err := parseBlock(block)
		if err != nil {
			return nil, err
		}
		algorithms := algorithmsOf(public)
		if algorithms == nil {
			return nil, errors.New("a key of another kind than RSA of 2048 bits or more, P-256, P-384, P-521 and Ed25519")
		}
		key, err := publicKey(algorithms, public)
		if err != nil {
			return nil, err
		}
		all.keys = append(all.keys, key)
		all.algorithms = append(all.algorithms, algorithms...)
	}
	if blocks != 0 {
		return nil, errors.New("a PEM block is malformed")
	}
	if len(all.keys) == 0 || len(all.keys) > maxKeys {
		return nil, fmt.Errorf("the file must hold 1 to %d public keys in PEM form", maxKeys)
	}
	return all, nil
}

func parseBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, errors.New("a PUBLIC KEY block is malformed")
		}
		return key, nil
	case "RSA PUBLIC KEY":
		key, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return nil, errors.New("an RSA PUBLIC KEY block is malformed")
		}
		return key, nil
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("a CERTIFICATE block is malformed")
		}
		return certificate.PublicKey, nil
	}
	if strings.Contains(block.Type, "PRIVATE") {
		return nil, errors.New("the file holds a private key, which belongs to whoever issues sessions; give the public key alone")
	}
	return nil, errors.New("the file holds a block that is no public key")
}

// Algorithms implements KeySource.
func (s *PEM) Algorithms() []string { return s.keys.Load().algorithms }

// Keys implements KeySource. A file has no key ids, so kid is not looked at.
func (s *PEM) Keys(_ context.Context, alg, _ string) ([]Key, error) {
	return fitting(s.keys.Load().keys, alg), nil
}

// Holds implements KeySource.
func (s *PEM) Holds(alg string, thumbprint Thumbprint) bool {
	return holds(s.keys.Load().keys, alg, thumbprint)
}

// Status implements KeySource.
func (s *PEM) Status() KeyStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}
