package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"farebox/internal/localguard"
)

// httpURL is an absolute http or https URL.
type httpURL struct{ *url.URL }

// checkHTTPURL asks for https, save on loopback, so that neither key nor
// session crosses a network in the clear.
func checkHTTPURL(text string) error {
	_, err := parseHTTPURL(text)
	return err
}

func parseHTTPURL(text string) (*httpURL, error) {
	u, err := url.Parse(text)
	if err != nil || !goodHost(u) || u.Opaque != "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, errors.New("write a whole address, https://host/path")
	}
	if u.User != nil || u.Fragment != "" {
		return nil, errors.New("leave user, password and fragment out of the address")
	}
	if u.Scheme == "http" && !localguard.Loopback(u.Hostname()) {
		return nil, errors.New("use https; http is for loopback only")
	}
	return &httpURL{u}, nil
}

// goodHost asks for a host name or address and, where there is a colon, a port.
func goodHost(u *url.URL) bool {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:"
	host := u.Hostname()
	return host != "" && strings.Trim(host, plain) == "" && goodPort(u)
}

// goodPort asks for a port where there is a colon for one.
func goodPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	_, err := parsePort(u.Port())
	return err == nil
}

func parseVendorURL(text string) (*httpURL, error) {
	u, err := parseHTTPURL(text)
	if err != nil {
		return nil, err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return nil, errors.New("leave the query out of the address")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}

func readPort(_ *Config, value string) error {
	_, err := parsePort(value)
	return err
}

func parsePort(text string) (uint16, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, errors.New("must be a port, 0 to 65535")
	}
	return uint16(port), nil
}

func readListen(c *Config, value string) error {
	listen, err := parseListen(value)
	if err != nil {
		return err
	}
	c.Listen = listen
	return nil
}

func parseListen(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", errors.New("write host:port, or :port for every interface")
	}
	if _, err := parsePort(port); err != nil {
		return "", errors.New("ends in no port; write host:port, or :port for every interface")
	}
	return net.JoinHostPort(host, port), nil
}

// parseProxies reads networks, and single addresses as networks of one.
func parseProxies(text string) ([]netip.Prefix, error) {
	parts := splitList(text)
	if len(parts) == 0 {
		return nil, errors.New("holds no network; write 10.0.0.0/8,2001:db8::/32")
	}
	var networks []netip.Prefix
	for _, part := range parts {
		network, err := netip.ParsePrefix(part)
		if address, single := netip.ParseAddr(part); single == nil && address.Zone() == "" {
			network, err = address.Prefix(address.BitLen())
		}
		switch {
		case err != nil:
			return nil, errors.New("holds what is no network; write 10.0.0.0/8,2001:db8::/32")
		case network.Addr().Is4In6():
			return nil, errors.New("holds an IPv4 network written as IPv6; write 10.0.0.0/8")
		case network.Bits() == 0:
			return nil, errors.New("believes everybody; name the networks that your proxies are in")
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}
