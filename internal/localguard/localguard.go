// Package localguard keeps other web sites away from programs that listen on
// loopback without real credentials: the dev server, the sandbox and its
// control.
package localguard

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Guard refuses requests that a foreign web page could have caused: those
// whose Host is no loopback name (DNS rebinding), and state-changing ones from
// another site. The zero Guard allows loopback alone. It is immutable once
// used, and then safe for concurrent use.
type Guard struct {
	// Hosts are further names or addresses, without port, that count as local,
	// for a program that was told to listen to the whole network.
	Hosts []string
}

// Check says why r is to be refused, or returns "" where it is fine.
func (g Guard) Check(r *http.Request) string {
	if !g.local(r.Host) {
		return "This address answers only to loopback names such as localhost."
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return ""
	}
	if origins := r.Header.Values("Origin"); len(origins) > 0 {
		if len(origins) > 1 || !g.AllowsOrigin(origins[0]) {
			return "Requests from other web sites are refused here."
		}
		return ""
	}
	// Without an Origin it is no browser's POST, or an old browser's; only
	// what the browser calls cross-site is refused.
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site == "cross-site" {
			return "Requests from other web sites are refused here."
		}
	}
	return ""
}

// AllowsOrigin reports whether origin is an http or https origin on a local
// host, of any port.
func (g Guard) AllowsOrigin(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") ||
		u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	return g.local(u.Host)
}

// Wrap returns next behind the guard. What is refused goes to refuse with the
// reason; a nil refuse answers 403 in plain text.
func (g Guard) Wrap(next http.Handler, refuse func(http.ResponseWriter, *http.Request, string)) http.Handler {
	if refuse == nil {
		refuse = func(w http.ResponseWriter, _ *http.Request, reason string) {
			http.Error(w, reason, http.StatusForbidden)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reason := g.Check(r); reason != "" {
			refuse(w, r, reason)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (g Guard) local(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	// "localhost." with the root's dot names the same host.
	name := strings.TrimSuffix(host, ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	if Loopback(host) {
		return true
	}
	for _, allowed := range g.Hosts {
		if strings.EqualFold(allowed, host) {
			return true
		}
	}
	return false
}

// Loopback reports whether host, without a port, is this machine whatever a
// resolver says: localhost or a loopback address. It is stricter than what the
// Guard lets in, since names below localhost are a resolver's to answer.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// RealKey reports whether key looks like a key of the real vendor, which none of
// these programs may be given.
func RealKey(key string) bool { return strings.HasPrefix(strings.TrimSpace(key), "sk_") }
