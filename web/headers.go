package web

import (
	"net/http"
	"net/netip"
	"strings"
)

// features are those that the page denies itself, so that nobody who got into
// it could use them. The microphone is the one that it asks for.
const features = "accelerometer autoplay camera clipboard-read display-capture encrypted-media fullscreen gamepad geolocation gyroscope hid " +
	"idle-detection local-fonts magnetometer midi payment picture-in-picture publickey-credentials-create publickey-credentials-get " +
	"screen-wake-lock serial storage-access usb window-management xr-spatial-tracking"

// confine sets the headers of the page. Content Security Policy Level 3 with
// Trusted Types: no inline script or style, no sink that takes markup.
func (p *Page) confine(h http.Header, r *http.Request) {
	connect := []string{"'self'"}
	if p.connect != "" {
		connect = append(connect, p.connect)
	}
	// In dev the vendor's sockets are at this host; not every browser counts
	// ws: of the same host as 'self'.
	if p.cfg.Dev && isHost(r.Host) {
		scheme := "ws://"
		if r.TLS != nil {
			scheme = "wss://"
		}
		connect = append(connect, scheme+r.Host)
	}
	base := "'none'"
	if p.base != "" {
		base = "'self'"
	}
	h.Set("Content-Security-Policy", strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'",
		"worker-src 'self'",
		"style-src 'self'",
		"img-src 'self'",
		"connect-src " + strings.Join(connect, " "),
		"base-uri " + base,
		"form-action 'self'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types 'none'",
	}, "; "))
	h.Set("Permissions-Policy", "microphone=(self), "+strings.Join(strings.Fields(features), "=(), ")+"=()")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
}

// isHost reports whether s is a host name or address with an optional port, in
// the characters that a policy's source may have.
func isHost(s string) bool {
	host, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host, port = s[:i], s[i+1:]
		if port == "" || len(port) > len("65535") || strings.Trim(port, "0123456789") != "" {
			return false
		}
	}
	if inner, isBracketed := strings.CutPrefix(host, "["); isBracketed {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && addr.Is6() && addr.Zone() == "" && strings.HasSuffix(inner, "]")
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_"
	return host != "" && len(host) <= 253 && strings.Trim(host, letters) == ""
}
