//go:build real

package e2e_test

import (
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// networkAddresses are those of this machine's addresses that others in its
// network can reach. One of IPv4 has to be among them: dev sends phones there.
func networkAddresses(t *testing.T) []string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var hosts []string
	anyIPv4 := false
	for _, address := range addresses {
		prefix, err := netip.ParsePrefix(address.String())
		if err != nil || prefix.Addr().IsLoopback() || prefix.Addr().IsLinkLocalUnicast() {
			continue
		}
		hosts = append(hosts, prefix.Addr().String())
		anyIPv4 = anyIPv4 || prefix.Addr().Is4()
	}
	if !anyIPv4 {
		t.Fatal("this machine has no IPv4 address but loopback; ip address add 192.0.2.1/32 dev lo gives it one")
	}
	return hosts
}

func TestListenAllPrintsTheHostsThatItAnswers(t *testing.T) {
	t.Parallel()
	hosts := networkAddresses(t)
	p := start(t, []string{"dev", "--listen-all"}, "FAREBOX_LISTEN=127.0.0.1:0", "FAREBOX_OPS_LISTEN=off", "FAREBOX_SANDBOX_LISTEN=127.0.0.1:0")
	port := p.printed(`http://localhost:(\d+)`)
	p.printed("A token, by hand") // which is the last of it
	for _, host := range hosts {
		address := net.JoinHostPort(host, port)
		if !strings.Contains(p.text(), "http://"+address) {
			t.Errorf("%s is not printed", address)
		}
		if a := do(t, http.MethodGet, "http://127.0.0.2:"+port+"/health/live", http.Header{"Host": {address}}, ""); a.status != 200 {
			t.Errorf("the printed host %s: %d", address, a.status)
		}
	}
}

func TestAPhonesPageOverPlainHTTPTranscribesAndSpeaksAndSaysWhyItHasNoMicrophone(t *testing.T) {
	t.Parallel()
	networkAddresses(t)
	p := start(t, []string{"dev", "--listen-all"}, "FAREBOX_LISTEN=127.0.0.1:0", "FAREBOX_OPS_LISTEN=off", "FAREBOX_SANDBOX_LISTEN=127.0.0.1:0")
	url := p.printed(`phone      (http://\S+),`)
	b := openBrowser(t)
	b.signIn(url, "ada")
	if read(b, chromedp.Evaluate[bool](`isSecureContext`)) {
		t.Fatal("the browser calls the context secure: that is no phone's")
	}
	b.click("speak-sample")
	b.shows(id("transcript-committed"), "It heard")
	b.click("speech-play")
	read(b, chromedp.Poll[bool](`document.querySelector('[data-testid=speech-status]').dataset.state === 'done'`, chromedp.WithPollingTimeout(40*time.Second)))
	b.click("speak-mic")
	if words := b.fails("microphone_needs_https"); !strings.Contains(words, "https") {
		t.Errorf("of the microphone it says: %s", words)
	}
}

func TestAQRCodeIsDrawnOnATerminalAlone(t *testing.T) {
	t.Parallel()
	networkAddresses(t)
	const drawn = "\x1b[30;107m"
	settings := []string{"FAREBOX_LISTEN=127.0.0.1:0", "FAREBOX_OPS_LISTEN=off", "FAREBOX_SANDBOX_LISTEN=127.0.0.1:0"}
	p := start(t, []string{"dev", "--listen-all"}, settings...)
	if p.printed("A token, by hand"); strings.Contains(p.text(), "\x1b") {
		t.Errorf("into a pipe it draws:\n%s", p.text())
	}
	// script gives what it runs a terminal.
	terminal := exec.Command("script", "-qefc", binary+" dev --listen-all", "/dev/null")
	terminal.Env = append(settings, "PATH=/usr/bin:/bin", "TERM=xterm")
	out, err := terminal.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := terminal.Start(); err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	for buffer := make([]byte, 4096); !strings.Contains(seen.String(), "A token, by hand"); {
		n, err := out.Read(buffer)
		seen.Write(buffer[:n])
		if err != nil {
			break
		}
	}
	_ = terminal.Process.Kill()
	_ = terminal.Wait()
	if !strings.Contains(seen.String(), drawn) {
		t.Errorf("on a terminal it draws nothing:\n%s", seen.String())
	}
}
