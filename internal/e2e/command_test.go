package e2e_test

import (
	"net"
	"regexp"
	"strings"
	"testing"
)

const deploymentSecret = "canary-of-the-deployment-Qm7xZt4wKd9LpVb2YhNc"

func TestServeReportsEveryFaultOfItsSettingsAtOnce(t *testing.T) {
	t.Parallel()
	const canary = "cAnArY"
	p := start(t, nil, "REDIS_URL="+canary, "FAREBOX_SECRET="+canary, "FAREBOX_POLL_MAX="+canary, "FAREBOX_POOL_MAX="+canary)
	if status := p.wait(); status != 2 {
		t.Errorf("status = %d, want 2", status)
	}
	for _, name := range []string{
		"ELEVENLABS_API_KEY", "REDIS_URL", "FAREBOX_SECRET", "FAREBOX_SESSION_ISSUER", "FAREBOX_SESSION_AUDIENCE", "FAREBOX_POLL_MAX", "FAREBOX_POOL_MAX",
	} {
		if !strings.Contains(p.text(), "\n  "+name+": ") {
			t.Errorf("%s is not reported", name)
		}
	}
	if strings.Contains(p.text(), canary) {
		t.Errorf("a value is shown:\n%s", p.text())
	}
}

func TestCommandsThatOnlyPrint(t *testing.T) {
	t.Parallel()
	occupied, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = occupied.Close() })
	secret, issuer := "FAREBOX_SECRET="+deploymentSecret, "FAREBOX_SESSION_ISSUER=https://issuer.example"
	for name, tt := range map[string]struct {
		args    []string
		env     []string
		status  int
		printed string
	}{
		"version":                    {[]string{"version"}, nil, 0, `^farebox \S+, commit \S+, go1\.\S+\n$`},
		"help":                       {[]string{"--help"}, nil, 0, `farebox dev`},
		"help of a command":          {[]string{"dev", "--help"}, nil, 0, `listen-all`},
		"an unknown command":         {[]string{"srve"}, nil, 2, `no command of that name`},
		"an unknown flag":            {[]string{"dev", "--listen-al"}, nil, 2, `listen-all`},
		"an argument too many":       {[]string{"serve", "now"}, nil, 2, `takes no arguments`},
		"hash":                       {[]string{"hash", "--sub", "ada"}, []string{secret, issuer}, 0, `^[A-Za-z0-9_-]{22}\n$`},
		"hash without a subject":     {[]string{"hash"}, []string{secret, issuer}, 2, `--sub is required`},
		"hash without settings":      {[]string{"hash", "--sub", "ada"}, nil, 2, `FAREBOX_SECRET`},
		"healthcheck of nobody":      {[]string{"healthcheck"}, []string{"FAREBOX_OPS_LISTEN=127.0.0.1:1"}, 1, `does not answer`},
		"dev with an address in use": {[]string{"dev"}, []string{"FAREBOX_SANDBOX_LISTEN=" + occupied.Addr().String()}, 1, `FAREBOX_SANDBOX_LISTEN`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, tt.args, tt.env...)
			if status := p.wait(); status != tt.status || !regexp.MustCompile(tt.printed).MatchString(p.text()) {
				t.Errorf("status %d, printed %s", status, p.text())
			}
		})
	}
}

func TestHealthcheckAsksTheLocalListener(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	ops, public := "FAREBOX_OPS_LISTEN="+strings.TrimPrefix(d.ops, "http://"), "FAREBOX_LISTEN="+strings.Replace(strings.TrimPrefix(d.url, "http://"), "localhost", "127.0.0.1", 1)
	for _, env := range [][]string{{ops}, {"FAREBOX_OPS_LISTEN=off", public}} {
		if p := start(t, []string{"healthcheck"}, env...); p.wait() != 0 {
			t.Errorf("with %v: %s", env, p.text())
		}
	}
}
