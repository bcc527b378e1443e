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
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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

// pemKeys is a source that reads path all the time.
func pemKeys(t *testing.T, path string, amend ...func(*session.PEMConfig)) *session.PEM {
	t.Helper()
	cfg := session.PEMConfig{Path: path, Now: time.Now, Log: slog.New(slog.DiscardHandler), Refresh: time.Millisecond}
	for _, f := range amend {
		f(&cfg)
	}
	s, err := session.NewPEM(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
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
		keys := pemKeys(t, pemFile(t, publicBlock(t, pair.public)))
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
	keys := pemKeys(t, pemFile(t, publicBlock(t, pairs["RS256"].public), publicBlock(t, pairs["ES256"].public), publicBlock(t, pairs["EdDSA"].public)))
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
		if err := session.CheckPEM(tt.path); err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), tt.path) {
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
		keys := pemKeys(t, pemFile(t, block))
		if _, err := verifier(t, keys).Verify(t.Context(), sign(t, pairs[alg].method, pairs[alg].private, nil, claims(nil))); err != nil {
			t.Errorf("%s: %v", block.Type, err)
		}
	}
}

// write puts blocks into path, as an editor does that replaces the file.
func write(t *testing.T, path string, blocks ...*pem.Block) {
	t.Helper()
	if err := os.Rename(pemFile(t, blocks...), path); err != nil {
		t.Fatal(err)
	}
}

func TestAChangedPEMFileIsReadAnew(t *testing.T) {
	t.Parallel()
	old, young := ecPair(t), ecPair(t)
	path := pemFile(t, publicBlock(t, old.public))
	v := verifier(t, pemKeys(t, path))
	verify := func(pair keyPair) error {
		_, err := v.Verify(t.Context(), sign(t, pair.method, pair.private, nil, claims(nil)))
		return err
	}
	remembered := sign(t, old.method, old.private, nil, claims(nil))
	if _, err := v.Verify(t.Context(), remembered); err != nil {
		t.Fatal(err)
	}
	write(t, path, publicBlock(t, old.public), publicBlock(t, young.public))
	eventually(t, "the young key is taken", func() bool { return verify(young) == nil })
	if err := verify(old); err != nil {
		t.Errorf("the old key beside it: %v", err)
	}
	write(t, path, publicBlock(t, young.public))
	eventually(t, "the old key is refused, for what it had verified too", func() bool {
		_, err := v.Verify(t.Context(), remembered)
		return errors.Is(err, session.ErrInvalid)
	})
}

// Kubernetes puts each version of a volume into a directory of its own, and
// turns one link around.
func TestAPEMFileInAKubernetesVolumeIsFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	version := func(name string, pair keyPair) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, "keys.pem"), publicBlock(t, pair.public))
		link := filepath.Join(dir, "..data_tmp")
		if err := os.Symlink(name, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	old, young := ecPair(t), ecPair(t)
	version("..1", old)
	path := filepath.Join(dir, "keys.pem")
	if err := os.Symlink(filepath.Join("..data", "keys.pem"), path); err != nil {
		t.Fatal(err)
	}
	v := verifier(t, pemKeys(t, path))
	version("..2", young)
	if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the young key is taken", func() bool {
		_, err := v.Verify(t.Context(), sign(t, young.method, young.private, nil, claims(nil)))
		return err == nil
	})
	if _, err := v.Verify(t.Context(), sign(t, old.method, old.private, nil, claims(nil))); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("the old key: %v", err)
	}
}

func TestAPEMFileThatIsNotWholeLeavesTheOldKeys(t *testing.T) {
	t.Parallel()
	old, young := ecPair(t), ecPair(t)
	whole := pem.EncodeToMemory(publicBlock(t, young.public))
	for name, damage := range map[string]func(path string) error{
		"half-written":           func(path string) error { return os.WriteFile(path, whole[:len(whole)/2], 0o600) },
		"empty":                  func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"away":                   os.Remove,
		"a directory":            func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"larger than any key is": func(path string) error { return os.WriteFile(path, make([]byte, 2<<20), 0o600) },
	} {
		path := pemFile(t, publicBlock(t, old.public))
		var out bytes.Buffer
		s := pemKeys(t, path, func(c *session.PEMConfig) { c.Log = slog.New(slog.NewTextHandler(&out, nil)) })
		v := verifier(t, s)
		if err := damage(path); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+" is noticed", func() bool { return s.Status().LastError != "" })
		if _, err := v.Verify(t.Context(), sign(t, old.method, old.private, nil, claims(nil))); err != nil || !s.Status().Usable {
			t.Errorf("%s: %v, %+v", name, err, s.Status())
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		write(t, path, publicBlock(t, young.public))
		eventually(t, "the file is taken once it is whole after it was "+name, func() bool {
			_, err := v.Verify(t.Context(), sign(t, young.method, young.private, nil, claims(nil)))
			return err == nil && s.Status().LastError == ""
		})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if text := out.String(); !strings.Contains(text, "level=WARN") || strings.Contains(text, path) {
			t.Errorf("%s: the log says\n%s", name, text)
		}
	}
}

func TestAPEMConfigThatWillNotDoNamesTheField(t *testing.T) {
	t.Parallel()
	path := pemFile(t, publicBlock(t, ecPair(t).public))
	for field, amend := range map[string]func(*session.PEMConfig){
		"Now":     func(c *session.PEMConfig) { c.Now = nil },
		"Log":     func(c *session.PEMConfig) { c.Log = nil },
		"Refresh": func(c *session.PEMConfig) { c.Refresh = -1 },
		"file":    func(c *session.PEMConfig) { c.Path = "/nonexistent" },
	} {
		cfg := session.PEMConfig{Path: path, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
		amend(&cfg)
		if _, err := session.NewPEM(cfg); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
