package session_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farebox/session"

	"github.com/golang-jwt/jwt/v5"
)

func pemFile(t *testing.T, blocks ...*pem.Block) string {
	t.Helper()
	var out bytes.Buffer
	for _, block := range blocks {
		if err := pem.Encode(&out, block); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "keys.pem")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func publicBlock(t *testing.T, public any) *pem.Block {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return &pem.Block{Type: "PUBLIC KEY", Bytes: der}
}

func TestAPEMFileVerifiesEveryAlgorithmOfItsKeysAndNoOther(t *testing.T) {
	t.Parallel()
	pairs, others := keyPairs(t), keyPairs(t)
	for alg, pair := range pairs {
		keys, err := session.NewPEMFile(pemFile(t, publicBlock(t, pair.public)))
		if err != nil {
			t.Fatal(err)
		}
		v := verifier(t, keys)
		if _, err := v.Verify(t.Context(), sign(t, pair.method, pair.private, nil, claims(nil))); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		if _, err := v.Verify(t.Context(), sign(t, pair.method, others[alg].private, nil, claims(nil))); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("%s by another key: %v", alg, err)
		}
		// The public key as a shared secret: the classic confusion.
		for _, asSecret := range [][]byte{publicBlock(t, pair.public).Bytes, pem.EncodeToMemory(publicBlock(t, pair.public))} {
			if _, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodHS256, asSecret, nil, claims(nil))); !errors.Is(err, session.ErrInvalid) {
				t.Errorf("%s: the public key was taken as a secret: %v", alg, err)
			}
		}
		if !keys.Status().Usable {
			t.Errorf("%s: not usable", alg)
		}
	}
	keys, err := session.NewPEMFile(pemFile(t, publicBlock(t, pairs["RS256"].public), publicBlock(t, pairs["ES256"].public), publicBlock(t, pairs["EdDSA"].public)))
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, keys)
	for _, alg := range []string{"RS256", "PS512", "ES256", "EdDSA"} {
		if _, err := v.Verify(t.Context(), sign(t, pairs[alg].method, pairs[alg].private, map[string]any{"kid": "any"}, claims(nil))); err != nil {
			t.Errorf("%s of several keys: %v", alg, err)
		}
	}
}

func TestAPEMFileThatWillNotDo(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	odd, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ path, says string }{
		"a private key":     {pemFile(t, publicBlock(t, &key.PublicKey), &pem.Block{Type: "PRIVATE KEY", Bytes: private}), "private key"},
		"a weak key":        {pemFile(t, publicBlock(t, &weak.PublicKey)), "2048"},
		"an odd curve":      {pemFile(t, publicBlock(t, &odd.PublicKey)), "P-256"},
		"a malformed block": {pemFile(t, &pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}), "malformed"},
		"another block":     {pemFile(t, &pem.Block{Type: "X509 CRL", Bytes: []byte("x")}), "no public key"},
		"nothing":           {pemFile(t), "PEM"},
		"no file":           {"/nonexistent/keys.pem", "cannot be read"},
	} {
		if _, err := session.NewPEMFile(tt.path); err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), tt.path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
