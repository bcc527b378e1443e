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
	"time"

	"farebox/internal/secret"
)

// sealer seals answers kept for replay with AES-256-GCM, under keys derived
// from the deployment's secrets: the first seals, all open. Each answer has a
// key of its own, so random nonces stay far from their bound.
type sealer struct {
	secrets []secret.Text
	host    string
}

const (
	sealVersion = 1
	saltSize    = 16
	nonceSize   = 12
	headSize    = 1 + 8 + saltSize + nonceSize
)

var errUnsealable = errors.New("it was sealed under another secret, host or request")

func newSealer(secrets []secret.Text, host string) *sealer {
	return &sealer{secrets: secrets, host: host}
}

// seal returns version, time of minting in microseconds of Redis' clock, salt,
// nonce and ciphertext.
func (s *sealer) seal(a *attempt, token secret.Text, mintedAt time.Time) ([]byte, error) {
	head := make([]byte, headSize)
	head[0] = sealVersion
	binary.BigEndian.PutUint64(head[1:9], uint64(mintedAt.UnixMicro()))
	_, _ = rand.Read(head[9:]) // never fails
	aead, err := derive(s.secrets[0], head[9:9+saltSize])
	if err != nil {
		return nil, err
	}
	return aead.Seal(head, head[9+saltSize:], []byte(token.Reveal()), s.boundTo(a, head[:9])), nil
}

func (s *sealer) open(a *attempt, sealed []byte) (token secret.Text, mintedAt time.Time, err error) {
	if len(sealed) < headSize || sealed[0] != sealVersion {
		return secret.Text{}, time.Time{}, errUnsealable
	}
	salt, nonce := sealed[9:9+saltSize], sealed[9+saltSize:headSize]
	for _, key := range s.secrets {
		aead, err := derive(key, salt)
		if err != nil {
			return secret.Text{}, time.Time{}, err
		}
		if plain, err := aead.Open(nil, nonce, sealed[headSize:], s.boundTo(a, sealed[:9])); err == nil {
			return secret.New(string(plain)), time.UnixMicro(int64(binary.BigEndian.Uint64(sealed[1:9]))), nil
		}
	}
	return secret.Text{}, time.Time{}, errUnsealable
}

// boundTo is the additional data: a sealed answer opens only for the caller,
// request, type and host that it was made for.
func (s *sealer) boundTo(a *attempt, head []byte) []byte {
	data := append([]byte("farebox replay\x00"), head...)
	for _, part := range []string{s.host, string(a.Type), a.Issuer, a.Subject, a.IdempotencyKey, a.fingerprint} {
		data = binary.BigEndian.AppendUint64(data, uint64(len(part)))
		data = append(data, part...)
	}
	return data
}

func derive(from secret.Text, salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(from.Reveal()), salt, "farebox replay seal", 32)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	return cipher.NewGCM(block)
}
