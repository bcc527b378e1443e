package session_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
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
	// A good key, and one whose end is lost: to take the first alone would be
	// to refuse the sessions of the second unseen.
	brokenBlock := pemFile(t, publicBlock(t, &key.PublicKey), publicBlock(t, &key.PublicKey))
	whole, err := os.ReadFile(brokenBlock)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(brokenBlock, whole[:len(whole)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ path, says string }{
		"a private key":     {pemFile(t, publicBlock(t, &key.PublicKey), &pem.Block{Type: "PRIVATE KEY", Bytes: private}), "private key"},
		"a weak key":        {pemFile(t, publicBlock(t, &weak.PublicKey)), "2048"},
		"an odd curve":      {pemFile(t, publicBlock(t, &odd.PublicKey)), "P-256"},
		"a malformed block": {pemFile(t, &pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}), "malformed"},
		"another block":     {pemFile(t, &pem.Block{Type: "X509 CRL", Bytes: []byte("x")}), "no public key"},
		"a broken block":    {brokenBlock, "malformed"},
		"a malformed PKCS1": {pemFile(t, &pem.Block{Type: "RSA PUBLIC KEY", Bytes: []byte("x")}), "malformed"},
		"a malformed cert":  {pemFile(t, &pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), "malformed"},
		"an EC private key": {pemFile(t, &pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), "private key"},
		"too many keys":     {pemFile(t, slices.Repeat([]*pem.Block{publicBlock(t, &key.PublicKey)}, 17)...), "1 to 16"},
		"nothing":           {pemFile(t), "PEM"},
		"no file":           {"/nonexistent/keys.pem", "cannot be read"},
	} {
		if _, err := session.NewPEMFile(tt.path); err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), tt.path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeysInOtherPEMFormsAreRead(t *testing.T) {
	t.Parallel()
	pairs := keyPairs(t)
	rsaKey, ecKey := pairs["RS256"].private.(*rsa.PrivateKey), pairs["ES256"].private.(*ecdsa.PrivateKey)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sessions"}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &ecKey.PublicKey, ecKey)
	if err != nil {
		t.Fatal(err)
	}
	for alg, block := range map[string]*pem.Block{
		"RS256": {Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)},
		"ES256": {Type: "CERTIFICATE", Bytes: certificate},
	} {
		keys, err := session.NewPEMFile(pemFile(t, block))
		if err != nil {
			t.Errorf("%s: %v", block.Type, err)
			continue
		}
		if _, err := verifier(t, keys).Verify(t.Context(), sign(t, pairs[alg].method, pairs[alg].private, nil, claims(nil))); err != nil {
			t.Errorf("%s: %v", block.Type, err)
		}
	}
}
