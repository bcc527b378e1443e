//go:build real

package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"farebox/internal/testredis"

	"github.com/redis/go-redis/v9"
)

// certificate writes a certificate of localhost, which is its own authority and
// good for servers and clients, and its key.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	return writeFile(t, filepath.Join(folder, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		writeFile(t, filepath.Join(folder, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

// addUser makes the user of docs/redis.md, with further rights or fewer.
func addUser(t *testing.T, server *testredis.Server, more ...string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ACL SETUSER farebox .*$`).FindString(string(text))
	if line == "" {
		t.Fatal("docs/redis.md names no rights")
	}
	var words []any
	for _, word := range append(strings.Fields(line), more...) {
		words = append(words, word)
	}
	if err := server.Client().Do(t.Context(), words...).Err(); err != nil {
		t.Fatal(err)
	}
}

// wantNothingDenied asks Redis what it has denied to anybody.
func wantNothingDenied(t *testing.T, server *testredis.Server) {
	t.Helper()
	if denied, err := server.Client().Do(t.Context(), "acl", "log").Slice(); err != nil || len(denied) != 0 {
		t.Errorf("Redis denied %v (%v)", denied, err)
	}
}

// All commands, as the user with the least rights, over a connection that both
// ends prove themselves on.
func TestServeAsTheLeastUserOverTLS(t *testing.T) {
	t.Parallel()
	h := build(t)
	cert, key := certificate(t)
	port := freePort(t)
	h.redis = startRedis(t, "--bind", "127.0.0.1", "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert)
	addUser(t, h.redis)
	h.redisURL = "rediss://farebox:password@127.0.0.1:" + port + "/0"
	tls := []string{"FAREBOX_REDIS_CA_FILE=" + cert, "FAREBOX_REDIS_CERT_FILE=" + cert, "FAREBOX_REDIS_KEY_FILE=" + key}
	if c := h.check("", nil, tls...); c.status != 0 || strings.Contains(c.stdout, "warn") {
		t.Errorf("check: status %d\n%s\n%s", c.status, c.stdout, c.stderr)
	}
	r := h.serve(append([]string{"FAREBOX_POOL_MIN=2", "FAREBOX_POOL_MAX=4"}, tls...)...)
	r.becomes(t, "ready")
	session := h.session("ada", nil)
	h.eventually("tokens come from the pool", func() bool {
		return mint(t, r.url, scribePath, h.session("somebody", nil), "").status == http.StatusOK && strings.Contains(r.text(), `"source":"pool"`)
	})
	first := mint(t, r.url, scribePath, session, "attempt")
	if again := mint(t, r.url, scribePath, session, "attempt"); again.body["token"] != first.body["token"] || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%d %s, again %d %s", first.status, first.raw, again.status, again.raw)
	}
	revoke := start(t, []string{"revoke", "--sub", "ada"}, append(tls,
		"REDIS_URL="+h.redisURL, "FAREBOX_SECRET="+deploymentSecret, "FAREBOX_SESSION_ISSUER="+testIssuer)...)
	if status := revoke.wait(); status != 0 {
		t.Errorf("revoke: %s", revoke.text())
	}
	h.eventually("the session is ended", func() bool { return mint(t, r.url, scribePath, session, "").body["code"] == "session_revoked" })
	wantNothingDenied(t, h.redis)

	// Who does not know the authority, or has no certificate, is without Redis.
	for name, env := range map[string][]string{"no authority": tls[1:], "no certificate": tls[:1]} {
		without := h.serve(env...)
		without.becomes(t, "degraded")
		if a := mint(t, without.url, scribePath, h.session("bob", nil), ""); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, a.status, a.raw)
		}
	}
}

func TestServeWarnsAtTheStartOfARedisThatEvicts(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.redisURL = startRedis(t, "--maxmemory-policy", "allkeys-lru").URL
	r := h.serve()
	r.printed(`"level":"WARN","msg":"Redis may evict what it is to keep","detail":"maxmemory-policy is (allkeys-lru)`)
	source, err := os.ReadFile("../preflight/eviction.lua")
	if err != nil {
		t.Fatal(err)
	}
	server := startRedis(t)
	h.redisURL = server.URL
	good := h.serve()
	h.eventually("Redis is asked", func() bool {
		asked, err := redis.NewScript(string(source)).Exists(t.Context(), server.Client()).Result()
		return err == nil && asked[0]
	})
	good.signal(syscall.SIGTERM)
	good.wait()
	if strings.Contains(good.text(), "evict") {
		t.Errorf("it warns of a Redis that does not:\n%s", good.text())
	}
}

// Where INFO may not be called there is no pool, which is said; all else works.
func TestServeWithoutINFOHasNoPoolAndSaysSo(t *testing.T) {
	t.Parallel()
	h := build(t)
	addUser(t, h.redis, "-info")
	h.redisURL = "redis://farebox:password@" + h.redis.Addr()
	r := h.serve("FAREBOX_POOL_MIN=2", "FAREBOX_POOL_MAX=4")
	h.eventually("it says that the pool is off", func() bool {
		ready := do(t, http.MethodGet, r.ops+"/readyz", nil, "")
		return ready.status == http.StatusOK && ready.body["status"] == "degraded" && strings.Contains(ready.raw, `"pool":{"state":"down"`) && strings.Contains(ready.raw, `"redis":{"state":"up"`)
	})
	session := h.session("ada", nil)
	first := mint(t, r.url, scribePath, session, "attempt")
	if again := mint(t, r.url, scribePath, session, "attempt"); again.body["token"] != first.body["token"] || first.status != http.StatusOK {
		t.Errorf("%d %s, again %d %s", first.status, first.raw, again.status, again.raw)
	}
	wantWorksOnce(t, first)
	if mints := h.mints(); mints != 1 {
		t.Errorf("%d tokens were minted for one", mints)
	}
	c := h.check("", nil)
	if c.status != 0 || !strings.Contains(c.stdout, "warn  redis_fence") || !strings.Contains(c.stdout, "the pool is off") {
		t.Errorf("check: status %d\n%s", c.status, c.stdout)
	}
}
