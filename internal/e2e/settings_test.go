package e2e_test

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startServe starts serve with an embedded Redis, a shared secret for sessions
// and a vendor that is away.
func startServe(t *testing.T, env ...string) *serving {
	t.Helper()
	settings := []string{
		"FAREBOX_LISTEN=127.0.0.1:0", "FAREBOX_OPS_LISTEN=127.0.0.1:0", "REDIS_URL=memory:", "ELEVENLABS_API_KEY=key",
		"ELEVENLABS_BASE_URL=http://127.0.0.1:1", "FAREBOX_SECRET=" + deploymentSecret, "FAREBOX_SESSION_ISSUER=https://issuer.example",
		"FAREBOX_SESSION_AUDIENCE=farebox", "FAREBOX_SESSION_HS256_SECRET=" + deploymentSecret, "FAREBOX_POOL_MAX=0",
	}
	p := &serving{process: start(t, []string{"serve"}, append(settings, env...)...)}
	p.url = "http://" + p.printed(`"msg":"farebox serves","address":"([^"]+)"`)
	p.ops = "http://" + p.printed(`"operators":"([^"]*)"`)
	return p
}

type serving struct {
	*process
	url, ops string
}

func TestThePageCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	p := startServe(t, "FAREBOX_PAGE=off")
	for _, path := range []string{"/", "/assets/main.js"} {
		if a := do(t, http.MethodGet, p.url+path, nil, ""); a.status != 404 || a.body["code"] != "not_found" {
			t.Errorf("%s: %d %s", path, a.status, a.raw)
		}
	}
	if !strings.Contains(p.text(), "memory:") {
		t.Error("no warning of the embedded Redis")
	}
}

func TestThePageKnowsLoginAndPublicAddress(t *testing.T) {
	t.Parallel()
	p := startServe(t, "FAREBOX_LOGIN_URL=https://login.example.com/x", "FAREBOX_PUBLIC_URL=https://voice.example.com/tickets",
		"FAREBOX_SESSION_COOKIE=session", "ELEVENLABS_BASE_URL=https://proxy.example.com/eleven")
	a := do(t, http.MethodGet, p.url+"/", nil, "")
	for _, words := range []string{`href="https://login.example.com/x"`, `data-return-to="https://voice.example.com/tickets"`} {
		if !strings.Contains(a.raw, words) {
			t.Errorf("the page lacks %s", words)
		}
	}
	if policy := a.header.Get("Content-Security-Policy"); !strings.Contains(policy, "connect-src 'self' https://proxy.example.com wss://proxy.example.com;") {
		t.Errorf("policy = %s", policy)
	}
	// The public address is this service's own, whatever the Host says.
	header := http.Header{"Cookie": {"session=x.y.z"}, "Origin": {"https://voice.example.com"}}
	if a := do(t, http.MethodPost, p.url+scribePath, header, ""); a.body["code"] != "session_invalid" {
		t.Errorf("a cookie from the public address: %s", a.raw)
	}
}

func TestTheOperatorsListenerCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	p := startServe(t, "FAREBOX_OPS_LISTEN=off")
	if p.ops != "http://" {
		t.Errorf("operators' listener at %s", p.ops)
	}
	if a := do(t, http.MethodGet, p.url+"/health/ready", nil, ""); a.status != 200 || a.raw != "" {
		t.Errorf("ready: %d %s", a.status, a.raw)
	}
}

func TestForwardedAddressesAreNotBelieved(t *testing.T) {
	t.Parallel()
	p := startServe(t)
	header := http.Header{"X-Forwarded-For": {"203.0.113.7"}, "X-Real-Ip": {"203.0.113.7"}, "Forwarded": {"for=203.0.113.7"}}
	do(t, http.MethodPost, p.url+scribePath, header, "")
	p.printed(`"event":"token_refused".*"client":"(127\.0\.0\.1)"`)
	if strings.Contains(p.text(), "203.0.113.7") {
		t.Errorf("a forwarding header was believed:\n%s", p.text())
	}
}

func TestItIsNotReadyBeforeItStopsListening(t *testing.T) {
	t.Parallel()
	p := startServe(t, "FAREBOX_DRAIN_DELAY=3s")
	p.signal(syscall.SIGTERM)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		a, err := try(t.Context(), http.MethodGet, p.url+"/health/ready", nil, "")
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("it never said that it is not ready: %v", err)
		}
		if a.status == 503 {
			break
		}
	}
	if a := do(t, http.MethodPost, p.url+scribePath, nil, ""); a.status != 401 {
		t.Errorf("while it drains: %d", a.status)
	}
	if status := p.wait(); status != 0 {
		t.Errorf("status = %d", status)
	}
}

func TestAHeaderThatNeverEndsIsCutOff(t *testing.T) {
	t.Parallel()
	p := startServe(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("POST / HTTP/1.1\r\nHost: h\r\nX-Slow: ")); err != nil {
		t.Fatal(err)
	}
	// A guard against hanging: the server's own limit is far below.
	if err := conn.SetReadDeadline(time.Now().Add(25 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = bufio.NewReader(conn).ReadByte()
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("it waits on: %v", err)
	}
}

func TestHealthcheckFailsWhereItIsNotReady(t *testing.T) {
	t.Parallel()
	p := startServe(t, "FAREBOX_SESSION_HS256_SECRET=", "FAREBOX_SESSION_JWKS_URL=http://127.0.0.1:1/jwks")
	check := start(t, []string{"healthcheck"}, "FAREBOX_OPS_LISTEN="+strings.TrimPrefix(p.ops, "http://"))
	if status := check.wait(); status != 1 || !strings.Contains(check.text(), "not ready") {
		t.Errorf("status %d: %s", status, check.text())
	}
}

func TestListenAllAnswersBeyondItsOwnAddressAndNoHostThatItDidNotPrint(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"dev", "--listen-all"}, "FAREBOX_LISTEN=127.0.0.1:0", "FAREBOX_OPS_LISTEN=off", "FAREBOX_SANDBOX_LISTEN=127.0.0.1:0")
	port := p.printed(`http://localhost:(\d+)`)
	// 127.0.0.2 is loopback too, but not where dev listens by itself.
	elsewhere := "http://127.0.0.2:" + port
	if a := do(t, http.MethodGet, elsewhere+"/health/live", nil, ""); a.status != 200 {
		t.Errorf("at another address: %d", a.status)
	}
	if a := do(t, http.MethodGet, elsewhere+"/health/live", http.Header{"Host": {"203.0.113.9:" + port}}, ""); a.status != 403 {
		t.Errorf("a host that was not printed: %d", a.status)
	}
}

func TestFaultsOfFilesAreReportedWithAllOthers(t *testing.T) {
	t.Parallel()
	junk := filepath.Join(t.TempDir(), "junk")
	if err := os.WriteFile(junk, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, "REDIS_URL=rediss://127.0.0.1:1", "ELEVENLABS_API_KEY=key", "FAREBOX_SECRET="+deploymentSecret,
		"FAREBOX_SESSION_ISSUER=https://issuer.example", "FAREBOX_SESSION_AUDIENCE=farebox", "FAREBOX_LOG_LEVEL=loud",
		"FAREBOX_SESSION_PUBLIC_KEY_FILE="+junk, "FAREBOX_TLS_CERT_FILE="+junk, "FAREBOX_TLS_KEY_FILE="+junk, "FAREBOX_REDIS_CA_FILE="+junk)
	if status := p.wait(); status != 2 {
		t.Errorf("status = %d", status)
	}
	for _, name := range []string{"FAREBOX_SESSION_PUBLIC_KEY_FILE", "FAREBOX_TLS_CERT_FILE", "FAREBOX_REDIS_CA_FILE", "FAREBOX_LOG_LEVEL"} {
		if !strings.Contains(p.text(), "\n  "+name+": ") {
			t.Errorf("%s is not reported: %s", name, p.text())
		}
	}
}
