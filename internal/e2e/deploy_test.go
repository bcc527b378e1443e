//go:build real

package e2e_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"farebox/internal/testredis"

	"go.yaml.in/yaml/v4"
)

// block is the text between the first such fence of a document.
func block(t *testing.T, document, language string) string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s has no block of %s", document, language)
	}
	return string(found[1])
}

// nginx is a running nginx with the documentation's own text.
type nginx struct {
	url    string
	client *http.Client
}

func startNginx(t *testing.T, farebox string) *nginx {
	t.Helper()
	cert, key := certificate(t)
	port := freePort(t)
	text := block(t, "../../deploy/proxies.md", "nginx")
	for documented, here := range map[string]string{
		"127.0.0.1:8080": strings.TrimPrefix(farebox, "http://"), "listen 443 ssl": "listen 127.0.0.1:" + port + " ssl",
		"/etc/ssl/app.example.com.pem": cert, "/etc/ssl/app.example.com.key": key,
	} {
		if !strings.Contains(text, documented) {
			t.Errorf("the documentation has no %s", documented)
		}
		text = strings.ReplaceAll(text, documented, here)
	}
	folder := t.TempDir()
	config := writeFile(t, filepath.Join(folder, "nginx.conf"), fmt.Sprintf(`
daemon off;
# One process, as whoever runs the tests.
master_process off;
pid %[1]s/pid;
error_log stderr notice;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	%[2]s
}`, folder, text))
	path, err := exec.LookPath("nginx")
	if err != nil {
		t.Fatal("nginx is not installed; make deps installs it")
	}
	p := launch(t, exec.Command(path, "-e", "stderr", "-p", folder, "-c", config))
	p.printed(`nginx/\d`)
	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities}}
	t.Cleanup(transport.CloseIdleConnections)
	return &nginx{url: "https://localhost:" + port + "/voice", client: &http.Client{Transport: transport}}
}

// ask returns what came back, with its body closed.
func (n *nginx) ask(t *testing.T, method, path string, header http.Header) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, n.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	response, err := n.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(body)
}

func TestFareboxBehindTheDocumentedNginx(t *testing.T) {
	t.Parallel()
	h := build(t)
	r := h.serve("FAREBOX_TRUSTED_PROXIES=127.0.0.0/8", "FAREBOX_PUBLIC_URL=https://localhost/voice",
		"FAREBOX_SESSION_COOKIE=session", "FAREBOX_ALLOWED_ORIGINS=https://other.example")
	n := startNginx(t, r.url)
	session := h.session("ada", nil)

	// A caller's own word on where they are is dropped; their key passes.
	bearer := http.Header{"Authorization": {"Bearer " + session}, "Idempotency-Key": {"attempt"}, "X-Forwarded-For": {"203.0.113.9"}, "Origin": {"https://other.example"}}
	status, header, first := n.ask(t, http.MethodPost, scribePath, bearer)
	if status != http.StatusOK || header.Get("Cache-Control") != "no-store" || len(header.Values("Access-Control-Allow-Origin")) != 1 {
		t.Errorf("%d %v %s", status, header, first)
	}
	if _, header, _ := n.ask(t, http.MethodPost, scribePath, bearer); header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("again: %v", header)
	}
	if r.printed(`"event":"token_dispensed".*"client":"([^"]+)"`) != "127.0.0.1" || strings.Contains(r.text(), "203.0.113.9") {
		t.Error("the audit believes the caller's own header")
	}

	// The cookie counts for our own pages alone.
	for site, want := range map[string]int{"same-origin": http.StatusOK, "cross-site": http.StatusForbidden} {
		if status, _, body := n.ask(t, http.MethodPost, scribePath, http.Header{"Cookie": {"session=" + session}, "Sec-Fetch-Site": {site}}); status != want {
			t.Errorf("%s: %d %s", site, status, body)
		}
	}
	// As an older browser asks, which says its origin alone.
	if status, _, body := n.ask(t, http.MethodPost, scribePath, http.Header{"Cookie": {"session=" + session}, "Origin": {strings.TrimSuffix(n.url, "/voice")}}); status != http.StatusOK {
		t.Errorf("this host's own origin: %d %s", status, body)
	}

	// The page finds its parts under the prefix.
	base, err := url.Parse(n.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	status, _, page := n.ask(t, http.MethodGet, "/", nil)
	parts := regexp.MustCompile(`(?:src|href)="([^"#]+)"`).FindAllStringSubmatch(page, -1)
	if status != http.StatusOK || len(parts) < 3 {
		t.Errorf("the page: %d with %d parts", status, len(parts))
	}
	for _, part := range parts {
		ref, err := url.Parse(part[1])
		if err != nil {
			t.Fatal(err)
		}
		whole := base.ResolveReference(ref).String()
		path, is := strings.CutPrefix(whole, n.url)
		if status, _, _ := n.ask(t, http.MethodGet, path, nil); !is || status != http.StatusOK {
			t.Errorf("%s: %d", whole, status)
		}
	}
	for path, want := range map[string]int{"/health/ready": http.StatusOK, "/sdk/farebox.js": http.StatusOK, "/readyz": http.StatusNotFound, "/metrics": http.StatusNotFound} {
		if status, _, _ := n.ask(t, http.MethodGet, path, nil); status != want {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// composeServices are what compose.yaml starts, as far as it matters here.
type composeServices struct {
	Services map[string]struct {
		Command     []string
		Environment map[string]string
	}
}

// compose.yaml without a container engine: its secrets, its Redis' arguments and
// users, and its settings, run as plain processes.
func TestFareboxWithTheComposeFilesRedisAndSecrets(t *testing.T) {
	t.Parallel()
	var file composeServices
	text, err := os.ReadFile("../../deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for range 2 { // the second finds all there
		if out, err := exec.Command("../../deploy/secrets.sh", folder).CombinedOutput(); err != nil || !strings.Contains(string(out), "elevenlabs_api_key") {
			t.Fatalf("%v: %s", err, out)
		}
	}
	writeFile(t, filepath.Join(folder, "secrets", "elevenlabs_api_key"), testAPIKey+"\n")
	here := strings.NewReplacer("/run/secrets/", filepath.Join(folder, "secrets")+"/", "/etc/farebox/", "../../deploy/policy/")

	command := file.Services["redis"].Command
	var args []string
	for _, arg := range command[1:] {
		args = append(args, here.Replace(arg))
	}
	h := build(t)
	server := testredis.StartTCP(t, args...)
	address, err := os.ReadFile(filepath.Join(folder, "secrets", "redis_url"))
	if err != nil {
		t.Fatal(err)
	}
	atRedis := strings.Replace(string(address), "@redis:6379", "@"+server.Addr(), 1)
	writeFile(t, filepath.Join(folder, "secrets", "redis_url"), atRedis)

	env := []string{"ELEVENLABS_API_KEY=", "REDIS_URL=", "FAREBOX_SECRET=", "FAREBOX_POOL_MAX="}
	for name, value := range file.Services["farebox"].Environment {
		if !strings.HasPrefix(value, "$") {
			env = append(env, name+"="+here.Replace(value))
		}
	}
	r := h.serve(env...)
	r.becomes(t, "ready")
	if a := mint(t, r.url, scribePath, h.session("ada", nil), ""); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.raw)
	}
	// The policy of deploy/policy is in force: it names no batch transcription.
	if a := mint(t, r.url, "/v1/single-use-token/batch_scribe", h.session("ada", nil), ""); a.body["code"] != "token_type_not_allowed" {
		t.Errorf("%d %s", a.status, a.raw)
	}
	if c := h.check("", nil, append(env, "FAREBOX_LOG_LEVEL=")...); c.status != 0 || strings.Contains(c.stdout, "warn") {
		t.Errorf("check: status %d\n%s\n%s", c.status, c.stdout, c.stderr)
	}

	// Who has no password may do what the health check does.
	conn, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	replies := bufio.NewReader(conn)
	for command, want := range map[string]string{"PING": "+PONG", "GET {farebox:0}:n": "-NOPERM", "INFO": "-NOPERM", "CONFIG GET *": "-NOPERM"} {
		if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
			t.Fatal(err)
		}
		if reply, err := replies.ReadString('\n'); err != nil || !strings.HasPrefix(reply, want) {
			t.Errorf("%s: %q, %v", command, reply, err)
		}
	}
}

// The unit is one that systemd knows, and its grade does not slip.
func TestTheSystemdUnitIsTightAndGood(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/systemd/farebox.service")
	if err != nil {
		t.Fatal(err)
	}
	const program = "/usr/local/bin/farebox"
	if !strings.Contains(string(text), "ExecStart="+program+" serve\n") {
		t.Error("it starts something else")
	}
	unit := writeFile(t, filepath.Join(t.TempDir(), "farebox.service"), strings.ReplaceAll(string(text), program, binary))
	for _, args := range [][]string{
		{"verify", "--man=no", unit},
		// 0 is confined from everything, 100 from nothing.
		{"security", "--offline=true", "--no-pager", "--threshold=12", unit},
	} {
		out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}
