package service

import (
	"log/slog"
	"net"
	"slices"
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

func TestNeitherLoopbackNorLinkLocalAddressesAreGivenToPhones(t *testing.T) {
	t.Parallel()
	network := func(texts ...string) (addrs []net.Addr) {
		for _, text := range texts {
			ip, mask, err := net.ParseCIDR(text)
			if err != nil {
				t.Fatal(err)
			}
			addrs = append(addrs, &net.IPNet{IP: ip, Mask: mask.Mask})
		}
		return addrs
	}
	for name, tt := range map[string]struct {
		addrs []net.Addr
		want  []string
	}{
		"a laptop": {
			network("127.0.0.1/8", "::1/128", "192.168.1.23/24", "fe80::1/64", "fd00::2/64", "172.17.0.1/16"),
			[]string{"192.168.1.23", "fd00::2", "172.17.0.1"},
		},
		"an address of loopback's interface": {network("127.0.0.1/8", "192.0.2.1/32"), []string{"192.0.2.1"}},
		"another of loopback":                {network("127.0.0.2/8"), nil},
		"no lease":                           {network("127.0.0.1/8", "169.254.7.7/16"), nil},
		"loopback alone":                     {network("127.0.0.1/8", "::1/128"), nil},
		"nothing":                            {nil, nil},
	} {
		if got := reachable(tt.addrs); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
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
