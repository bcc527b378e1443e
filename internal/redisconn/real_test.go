//go:build real

package redisconn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"farebox/internal/redisconn"
	"farebox/internal/secret"
	"farebox/internal/testredis"

	"github.com/redis/go-redis/v9"
)

// selfSigned writes a certificate for loopback that is its own authority.
func selfSigned(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", cert), write("key.pem", "PRIVATE KEY", private)
}

func TestRedisOverTLSWithAClientCertificate(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	_ = free.Close()
	cert, key := selfSigned(t)
	testredis.Start(t, "--bind", "127.0.0.1", "--tls-port", fmt.Sprint(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert)
	url := secret.New(fmt.Sprintf("rediss://127.0.0.1:%d/0", port))
	ping := func(cfg redisconn.Config) error {
		t.Helper()
		conn, err := redisconn.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.Process(t.Context(), redis.NewCmd(t.Context(), "ping"))
	}
	if err := ping(redisconn.Config{URL: url, CAFile: cert, CertFile: cert, KeyFile: key}); err != nil {
		t.Errorf("with everything: %v", err)
	}
	if err := ping(redisconn.Config{URL: url, CertFile: cert, KeyFile: key}); err == nil {
		t.Error("a server of an unknown authority was believed")
	}
	if err := ping(redisconn.Config{URL: url, CAFile: cert}); err == nil {
		t.Error("the server asks for a certificate, and none was given")
	}
}
