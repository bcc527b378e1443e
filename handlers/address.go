package handlers

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clients tells the addresses of clients. A forwarding header counts only as far
// as the settings say who may write it.
type clients struct {
	proxies []netip.Prefix // whose forwarding headers are believed
	header  string         // that the platform sets with the client's address; "" for none
}

// address is where r comes from; "" where the connection has none, as with a
// socket of the same machine.
//
// The platform's header is believed from every peer, or where proxies are named
// from those alone. X-Forwarded-For is read from its end, where the nearest
// proxy has written, up to the first address that is no proxy's: what stands
// before it may be anybody's invention.
func (c clients) address(r *http.Request) string {
	peer, ok := parseAddress(r.RemoteAddr)
	if !ok {
		return ""
	}
	byProxy := c.trusted(peer)
	if c.header != "" && (byProxy || len(c.proxies) == 0) {
		if values := r.Header.Values(c.header); len(values) == 1 {
			if client, ok := parseAddress(values[0]); ok {
				return client.String()
			}
		}
	}
	if byProxy {
		return c.beforeProxies(r, peer).String()
	}
	if peer.Is4() && strings.Count(r.RemoteAddr, ":") == 1 {
		// It is written in one way alone, which stands there.
		return r.RemoteAddr[:strings.IndexByte(r.RemoteAddr, ':')]
	}
	return peer.String()
}

// beforeProxies follows X-Forwarded-For from nearest, which is a proxy.
func (c clients) beforeProxies(r *http.Request, nearest netip.Addr) netip.Addr {
	const most = 32 // hops, however long the list is
	rest := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for hop := 0; rest != "" && hop < most; hop++ {
		last := rest
		if i := strings.LastIndexByte(rest, ','); i >= 0 {
			rest, last = rest[:i], rest[i+1:]
		} else {
			rest = ""
		}
		address, ok := parseAddress(strings.Trim(last, " \t"))
		if !ok {
			break
		}
		nearest = address
		if !c.trusted(address) {
			break
		}
	}
	return nearest
}

func (c clients) trusted(address netip.Addr) bool {
	return slices.ContainsFunc(c.proxies, func(p netip.Prefix) bool { return p.Contains(address) })
}

// parseAddress reads an address, with or without a port. A zone, which means
// something on one machine only, is left out.
func parseAddress(text string) (netip.Addr, bool) {
	withPort, err := netip.ParseAddrPort(text)
	address := withPort.Addr()
	if err != nil {
		if address, err = netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err != nil {
			return netip.Addr{}, false
		}
	}
	return address.Unmap().WithZone(""), true
}
