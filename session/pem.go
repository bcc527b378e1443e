package session

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
)

// PEM is a source of public keys in a file.
type PEM struct {
	keys       []Key
	algorithms []string
}

// maxKeys bounds how many signatures one token can cost.
const maxKeys = 16

// NewPEMFile returns a source of the public keys in a file: PUBLIC KEY,
// RSA PUBLIC KEY or CERTIFICATE blocks, one or more. The file is read once.
// Errors do not name the file.
func NewPEMFile(path string) (*PEM, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.New("session: the file cannot be read")
	}
	s := &PEM{}
	// Decode passes over what it cannot read, and a key would be missing unseen.
	blocks := bytes.Count(data, []byte("-----BEGIN "))
	for rest := data; ; blocks-- {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		public, err := parseBlock(block)
		if err != nil {
			return nil, fmt.Errorf("session: %w", err)
		}
		algorithms := algorithmsOf(public)
		if algorithms == nil {
			return nil, errors.New("session: a key of another kind than RSA of 2048 bits or more, P-256, P-384, P-521 and Ed25519")
		}
		s.keys = append(s.keys, Key{Algorithms: algorithms, Material: public})
		s.algorithms = append(s.algorithms, algorithms...)
	}
	if blocks != 0 {
		return nil, errors.New("session: a PEM block is malformed")
	}
	if len(s.keys) == 0 || len(s.keys) > maxKeys {
		return nil, fmt.Errorf("session: the file must hold 1 to %d public keys in PEM form", maxKeys)
	}
	return s, nil
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
func (s *PEM) Algorithms() []string { return s.algorithms }

// Keys implements KeySource. A file has no key ids, so kid is not looked at.
func (s *PEM) Keys(_ context.Context, alg, _ string) ([]Key, error) { return fitting(s.keys, alg), nil }

// Status implements KeySource.
func (s *PEM) Status() KeyStatus { return KeyStatus{Usable: true} }
