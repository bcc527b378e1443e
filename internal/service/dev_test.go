package service

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"farebox/internal/apidoc"
	"farebox/internal/config"
	"farebox/internal/sandbox"
	"farebox/internal/secret"
)

func TestWhatDevAddsIsDescribedOrAnothers(t *testing.T) {
	t.Parallel()
	description, err := apidoc.Open()
	if err != nil {
		t.Fatal(err)
	}
	vendor, err := sandbox.New(sandbox.Config{TokenLifetime: time.Minute, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range devRoutes(&config.Config{}, vendor, true) {
		path := strings.TrimSuffix(route.Pattern, "*")
		if description.Spec.Paths.Value(path) == nil && !apidoc.Beyond(path) {
			t.Errorf("%s is not described", path)
		}
	}
}

// Settings refuse a real key at the start; a file could be given one later.
func TestDevFollowsNoFileOfKeys(t *testing.T) {
	t.Parallel()
	cfg := config.Config{Vendor: config.Vendor{APIKeys: []secret.Text{secret.New("sandbox")}, APIKeyFile: "/run/secrets/elevenlabs"}}
	completeForDev(&cfg, "127.0.0.1:8081")
	if cfg.Vendor.APIKeyFile != "" || len(cfg.Vendor.APIKeys) != 1 || cfg.Vendor.APIKeys[0].Reveal() != "sandbox" {
		t.Errorf("it takes keys from %q, and %d of them", cfg.Vendor.APIKeyFile, len(cfg.Vendor.APIKeys))
	}
}

func TestAPhoneIsSentWhereItIsLikelyToGetThrough(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		hosts          []string
		outbound, want string
	}{
		"the way out, not a bridge":    {[]string{"172.17.0.1", "192.168.1.23", "fd00::2"}, "192.168.1.23", "192.168.1.23"},
		"no way out":                   {[]string{"fd00::2", "172.17.0.1", "192.168.1.23"}, "", "172.17.0.1"},
		"a way out that is not served": {[]string{"192.168.1.23"}, "10.0.0.9", "192.168.1.23"},
		"loopback alone":               {nil, "192.168.1.23", ""},
		"IPv6 alone":                   {[]string{"fd00::2"}, "", ""},
	} {
		if got := forPhone(tt.hosts, tt.outbound); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
