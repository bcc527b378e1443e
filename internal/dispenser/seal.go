package dispenser

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"farebox/internal/secret"
	vendorclient "farebox/vendor_client"
)

// sealer seals tokens for Redis with AES-256-GCM. Answers kept for replay are
// sealed under the deployment's secrets, of which the first seals and all
// open; tokens of the pool under the API key that minted them, so that who
// lacks it cannot take what it could not have made. Each has a key of its own,
// so random nonces stay far from their bound.
type sealer struct {
	secrets []secret.Text
	apiKey  secret.Text
	host    string
}

const (
	sealVersion = 1
	saltSize    = 16
	nonceSize   = 12
	headSize    = 1 + 8 + saltSize + nonceSize

	replayPurpose = "farebox replay seal"
	poolPurpose   = "farebox pool seal"
)

var errUnsealable = errors.New("it was sealed under another secret, host or request")

// sealAnswer seals a token, or as toKept has it, for the same caller repeating
// the same request.
func (s *sealer) sealAnswer(a *attempt, token secret.Text, mintedAt time.Time) ([]byte, error) {
	return seal(s.secrets[0], replayPurpose, s.answerParts(a), token, mintedAt)
}

func (s *sealer) openAnswer(a *attempt, sealed []byte) (secret.Text, time.Time, error) {
	return open(s.secrets, replayPurpose, s.answerParts(a), sealed)
}

func (s *sealer) answerParts(a *attempt) []string {
	return []string{s.host, a.name(), a.Issuer, a.Subject, a.IdempotencyKey, a.fingerprint}
}

// sealPooled seals a token for whoever is the next to ask for its type.
func (s *sealer) sealPooled(t vendorclient.TokenType, token secret.Text, mintedAt time.Time) ([]byte, error) {
	return seal(s.apiKey, poolPurpose, []string{s.host, string(t)}, token, mintedAt)
}

func (s *sealer) openPooled(t vendorclient.TokenType, sealed []byte) (secret.Text, time.Time, error) {
	return open([]secret.Text{s.apiKey}, poolPurpose, []string{s.host, string(t)}, sealed)
}

// seal returns version, time of minting in microseconds of Redis' clock, salt,
// nonce and ciphertext. It opens only for the same purpose and parts.
func seal(key secret.Text, purpose string, parts []string, token secret.Text, mintedAt time.Time) ([]byte, error) {
	head := make([]byte, headSize)
	head[0] = sealVersion
	binary.BigEndian.PutUint64(head[1:9], uint64(mintedAt.UnixMicro()))
	_, _ = rand.Read(head[9:]) // never fails
	aead, err := derive(key, head[9:9+saltSize], purpose)
	if err != nil {
		return nil, err
	}
	return aead.Seal(head, head[9+saltSize:], []byte(token.Reveal()), boundTo(head[:9], parts)), nil
}

func open(keys []secret.Text, purpose string, parts []string, sealed []byte) (secret.Text, time.Time, error) {
	if len(sealed) < headSize || sealed[0] != sealVersion {
		return secret.Text{}, time.Time{}, errUnsealable
	}
	salt, nonce := sealed[9:9+saltSize], sealed[9+saltSize:headSize]
	for _, key := range keys {
		aead, err := derive(key, salt, purpose)
		if err != nil {
			return secret.Text{}, time.Time{}, err
		}
		if plain, err := aead.Open(nil, nonce, sealed[headSize:], boundTo(sealed[:9], parts)); err == nil {
			return secret.New(string(plain)), mintedAt(sealed), nil
		}
	}
	return secret.Text{}, time.Time{}, errUnsealable
}

// mintedAt is the time of minting of what was sealed here and opened before.
func mintedAt(sealed []byte) time.Time {
	return time.UnixMicro(int64(binary.BigEndian.Uint64(sealed[1:9])))
}

// boundTo is the additional data.
func boundTo(head []byte, parts []string) []byte {
	data := append([]byte(nil), head...)
	for _, part := range parts {
		data = binary.BigEndian.AppendUint64(data, uint64(len(part)))
		data = append(data, part...)
	}
	return data
}

func derive(from secret.Text, salt []byte, purpose string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(from.Reveal()), salt, purpose, 32)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	return cipher.NewGCM(block)
}

// poolName tells pools apart by the key that minted their tokens and the host
// that takes them.
func poolName(apiKey secret.Text, host string) (string, error) {
	sum, err := hkdf.Key(sha256.New, []byte(apiKey.Reveal()), []byte(host), "farebox pool name", 12)
	if err != nil {
		return "", fmt.Errorf("derive a name: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
