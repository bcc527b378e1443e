package dispenser

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"farebox/internal/secret"
	vendorclient "farebox/vendor_client"
)

// sealer seals tokens for Redis with AES-256-GCM. Answers kept for replay are
// sealed under the deployment's secrets, of which the first seals and all
// open; tokens of a pool under the API key that minted them, so that who lacks
// it cannot take what it could not have made. Each process has keys of its own,
// and new ones after a while, so random nonces stay far from their bound. It is
// safe for concurrent use.
type sealer struct {
	secrets []secret.Text
	host    string

	mu    sync.Mutex
	salt  [saltSize]byte // of what is sealed here
	uses  int            // of salt
	known map[derivation]cipher.AEAD
}

// derivation is how a key of AES comes about.
type derivation struct {
	from    secret.Text
	salt    [saltSize]byte
	purpose string
}

const (
	sealVersion = 1
	saltSize    = 16
	nonceSize   = 12
	headSize    = 1 + 8 + saltSize + nonceSize

	// usesPerSalt is how much is sealed under one key, of the 2^32 that random
	// nonces allow.
	usesPerSalt = 1 << 20
	// mostKnown bounds the derived keys that are remembered: those of some
	// replicas, before and after their last starts.
	mostKnown = 256

	replayPurpose = "farebox replay seal"
	poolPurpose   = "farebox pool seal"
)

var errUnsealable = errors.New("it was sealed under another secret, host or request")

// sealAnswer seals a token, or as toKept has it, for the same caller repeating
// the same request.
func (s *sealer) sealAnswer(a *attempt, token secret.Text, mintedAt time.Time) (string, error) {
	return s.seal(s.secrets[0], replayPurpose, s.answerParts(a), token, mintedAt)
}

func (s *sealer) openAnswer(a *attempt, sealed string) (secret.Text, time.Time, error) {
	parts := s.answerParts(a)
	for _, from := range s.secrets {
		token, mintedAt, err := s.open(from, replayPurpose, parts, sealed)
		if !errors.Is(err, errUnsealable) {
			return token, mintedAt, err
		}
	}
	return secret.Text{}, time.Time{}, errUnsealable
}

func (s *sealer) answerParts(a *attempt) []string {
	return []string{s.host, a.name(), a.Issuer, a.Subject, a.IdempotencyKey, a.fingerprint}
}

// sealPooled seals a token for whoever is the next to ask for its type.
func (s *sealer) sealPooled(token vendorclient.Token, mintedAt time.Time) (string, error) {
	return s.seal(token.Key.Value(), poolPurpose, []string{s.host, string(token.Type)}, token.Value, mintedAt)
}

// openPooled also returns which of the keys has minted the token.
func (s *sealer) openPooled(keys []*vendorclient.Key, t vendorclient.TokenType, sealed string) (secret.Text, *vendorclient.Key, time.Time, error) {
	for _, key := range keys {
		token, mintedAt, err := s.open(key.Value(), poolPurpose, []string{s.host, string(t)}, sealed)
		if !errors.Is(err, errUnsealable) {
			return token, key, mintedAt, err
		}
	}
	return secret.Text{}, nil, time.Time{}, errUnsealable
}

// seal returns version, time of minting in microseconds of Redis' clock, salt,
// nonce and ciphertext. It opens only for the same purpose and parts.
func (s *sealer) seal(from secret.Text, purpose string, parts []string, token secret.Text, mintedAt time.Time) (string, error) {
	head := make([]byte, headSize)
	head[0] = sealVersion
	binary.BigEndian.PutUint64(head[1:9], uint64(mintedAt.UnixMicro()))
	salt := s.nextSalt()
	copy(head[9:], salt[:])
	_, _ = rand.Read(head[9+saltSize:]) // never fails
	aead, err := s.derive(derivation{from, salt, purpose})
	if err != nil {
		return "", err
	}
	return string(aead.Seal(head, head[9+saltSize:], []byte(token.Reveal()), appendBound(nil, string(head[:9]), parts))), nil
}

func (s *sealer) open(from secret.Text, purpose string, parts []string, sealed string) (secret.Text, time.Time, error) {
	if len(sealed) < headSize || sealed[0] != sealVersion {
		return secret.Text{}, time.Time{}, errUnsealable
	}
	const ample = 128 // for what it is bound to
	text := append(make([]byte, 0, len(sealed)+ample), sealed...)
	bound := appendBound(text, sealed[:9], parts)[len(text):]
	aead, err := s.derive(derivation{from, [saltSize]byte(text[9:]), purpose})
	if err != nil {
		return secret.Text{}, time.Time{}, err
	}
	// In place, since the text is a copy already.
	plain, err := aead.Open(text[headSize:headSize], text[9+saltSize:headSize], text[headSize:], bound)
	if err != nil {
		return secret.Text{}, time.Time{}, errUnsealable
	}
	return secret.New(string(plain)), mintedAt(sealed), nil
}

// mintedAt is the time of minting of what was sealed here and opened before.
func mintedAt(sealed string) time.Time {
	return time.UnixMicro(int64(binary.BigEndian.Uint64([]byte(sealed[1:9]))))
}

// appendBound appends the additional data.
func appendBound(data []byte, head string, parts []string) []byte {
	data = append(data, head...)
	for _, part := range parts {
		data = binary.BigEndian.AppendUint64(data, uint64(len(part)))
		data = append(data, part...)
	}
	return data
}

func (s *sealer) nextSalt() [saltSize]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uses%usesPerSalt == 0 {
		_, _ = rand.Read(s.salt[:]) // never fails
	}
	s.uses++
	return s.salt
}

// derive returns the key of AES for a derivation, which is known as a rule.
func (s *sealer) derive(d derivation) (cipher.AEAD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if aead, ok := s.known[d]; ok {
		return aead, nil
	}
	aead, err := d.derive()
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	if s.known == nil || len(s.known) >= mostKnown {
		s.known = map[derivation]cipher.AEAD{}
	}
	s.known[d] = aead
	return aead, nil
}

func (d derivation) derive() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(d.from.Reveal()), d.salt[:], d.purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
