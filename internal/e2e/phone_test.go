//go:build real

package e2e_test

import (
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// reachable reports whether this machine has an address that a phone could reach.
func reachable(t *testing.T) bool {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(addresses, func(address net.Addr) bool {
		prefix, err := netip.ParsePrefix(address.String())
		return err == nil && prefix.Addr().Is4() && !prefix.Addr().IsLoopback() && !prefix.Addr().IsLinkLocalUnicast()
	})
}

func TestAPhonesPageOverPlainHTTPTranscribesAndSpeaksAndSaysWhyItHasNoMicrophone(t *testing.T) {
	t.Parallel()
	if !reachable(t) {
		t.Skip("this machine has no address but loopback")
	}
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
	if !reachable(t) {
		t.Skip("this machine has no address but loopback")
	}
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
