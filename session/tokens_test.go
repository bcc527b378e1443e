package session_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"testing"
	"time"

	"farebox/internal/secret"
	"farebox/session"

	"github.com/golang-jwt/jwt/v5"
)

const (
	issuer = "https://issuer.example"
	shared = "a shared secret of more than 32 bytes"
)

var (
	now        = time.Unix(1_790_000_000, 0)
	sharedText = secret.New(shared)
)

// keyPair is a private key and what verifies it.
type keyPair struct {
	method  jwt.SigningMethod
	private any
	public  crypto.PublicKey
}

// keyPairs has one key of each kind, made once.
func keyPairs(t *testing.T) map[string]keyPair {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pairs := map[string]keyPair{}
	for _, m := range []jwt.SigningMethod{
		jwt.SigningMethodRS256, jwt.SigningMethodRS384, jwt.SigningMethodRS512,
		jwt.SigningMethodPS256, jwt.SigningMethodPS384, jwt.SigningMethodPS512,
	} {
		pairs[m.Alg()] = keyPair{m, rsaKey, &rsaKey.PublicKey}
	}
	for m, curve := range map[jwt.SigningMethod]elliptic.Curve{
		jwt.SigningMethodES256: elliptic.P256(), jwt.SigningMethodES384: elliptic.P384(), jwt.SigningMethodES512: elliptic.P521(),
	} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		pairs[m.Alg()] = keyPair{m, key, &key.PublicKey}
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pairs["EdDSA"] = keyPair{jwt.SigningMethodEdDSA, private, public}
	return pairs
}

// ecPair is a new key for ES256.
func ecPair(t *testing.T) keyPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{jwt.SigningMethodES256, key, &key.PublicKey}
}

// claims are good ones, with more or others. A nil value takes one away.
func claims(more map[string]any) jwt.MapClaims {
	all := jwt.MapClaims{
		"iss": issuer, "aud": "farebox", "sub": "ada", "sid": "s1", "jti": "j1",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	for name, value := range more {
		if value == nil {
			delete(all, name)
		} else {
			all[name] = value
		}
	}
	return all
}

// sign makes a JWT; header members win over what is set.
func sign(t *testing.T, method jwt.SigningMethod, key any, header map[string]any, c jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	for name, value := range header {
		if value == nil {
			delete(token.Header, name)
		} else {
			token.Header[name] = value
		}
	}
	raw, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func hs256(t *testing.T, header map[string]any, more map[string]any) string {
	t.Helper()
	return sign(t, jwt.SigningMethodHS256, []byte(shared), header, claims(more))
}

func verifier(t *testing.T, keys session.KeySource, amend ...func(*session.Config)) *session.Verifier {
	t.Helper()
	cfg := session.Config{
		Issuer: issuer, Audiences: []string{"farebox"}, Leeway: 5 * time.Second, MaxLifetime: 24 * time.Hour,
		Keys: keys, Now: func() time.Time { return now },
	}
	for _, f := range amend {
		f(&cfg)
	}
	v, err := session.NewVerifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func sharedSecret(t *testing.T) *session.HS256 {
	t.Helper()
	s, err := session.NewHS256(sharedText)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
