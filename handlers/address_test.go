package handlers_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"farebox/handlers"
)

// from sends a request as if it came from peer, and returns the answer.
func (s *service) from(t *testing.T, peer string, h http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, scribePath, nil)
	r.RemoteAddr = peer
	for name, values := range h {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	w := httptest.NewRecorder()
	s.Config.Handler.ServeHTTP(w, r)
	return w
}

func TestAForwardingHeaderCountsAsFarAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	const proxy, other = "10.1.2.3:5000", "198.51.100.7:5000"
	proxies := "10.0.0.0/8,2001:db8:1::/48"
	for name, tt := range map[string]struct {
		proxies, header string // the settings
		peer            string
		sent            http.Header
		want            string
	}{
		"nothing is believed by default":                         {"", "", proxy, with(nil, "X-Forwarded-For", "203.0.113.1", "X-Real-Ip", "203.0.113.1", "Forwarded", "for=203.0.113.1"), "10.1.2.3"},
		"nor from loopback":                                      {"", "", "127.0.0.1:1", with(nil, "X-Forwarded-For", "203.0.113.1"), "127.0.0.1"},
		"nor from a private network that is not named":           {proxies, "", "192.168.0.1:1", with(nil, "X-Forwarded-For", "203.0.113.1"), "192.168.0.1"},
		"nor from loopback that is not named":                    {proxies, "", "[::1]:1", with(nil, "X-Forwarded-For", "203.0.113.1"), "::1"},
		"nor from a link that is not named":                      {proxies, "", "[fe80::1%eth0]:1", with(nil, "X-Forwarded-For", "203.0.113.1"), "fe80::1"},
		"a proxy that is named":                                  {proxies, "", proxy, with(nil, "X-Forwarded-For", "203.0.113.1"), "203.0.113.1"},
		"a proxy of IPv6":                                        {proxies, "", "[2001:db8:1::2]:1", with(nil, "X-Forwarded-For", "2001:db8:9::1"), "2001:db8:9::1"},
		"a proxy of IPv4 on a socket of IPv6":                    {proxies, "", "[::ffff:10.1.2.3]:1", with(nil, "X-Forwarded-For", "203.0.113.1"), "203.0.113.1"},
		"a proxy that sends no header":                           {proxies, "", proxy, nil, "10.1.2.3"},
		"another header of a proxy":                              {proxies, "", proxy, with(nil, "X-Real-Ip", "203.0.113.1", "True-Client-Ip", "203.0.113.1"), "10.1.2.3"},
		"what a client has put before":                           {proxies, "", proxy, with(nil, "X-Forwarded-For", "192.0.2.66, 203.0.113.1"), "203.0.113.1"},
		"a client that pretends to be a proxy before":            {proxies, "", proxy, with(nil, "X-Forwarded-For", "10.9.9.9, 203.0.113.1"), "203.0.113.1"},
		"several proxies":                                        {proxies, "", proxy, with(nil, "X-Forwarded-For", "192.0.2.66, 203.0.113.1, 10.2.2.2,10.3.3.3"), "203.0.113.1"},
		"several headers":                                        {proxies, "", proxy, with(nil, "X-Forwarded-For", "192.0.2.66", "X-Forwarded-For", "203.0.113.1, 10.2.2.2"), "203.0.113.1"},
		"nothing but proxies":                                    {proxies, "", proxy, with(nil, "X-Forwarded-For", "10.4.4.4, 10.2.2.2"), "10.4.4.4"},
		"an address with a port":                                 {proxies, "", proxy, with(nil, "X-Forwarded-For", "203.0.113.1:4711"), "203.0.113.1"},
		"an address of IPv6 with a port":                         {proxies, "", proxy, with(nil, "X-Forwarded-For", "[2001:db8::1]:4711"), "2001:db8::1"},
		"an address of IPv6 in brackets":                         {proxies, "", proxy, with(nil, "X-Forwarded-For", "[2001:db8::1]"), "2001:db8::1"},
		"an address of IPv4 as IPv6":                             {proxies, "", proxy, with(nil, "X-Forwarded-For", "::ffff:203.0.113.1"), "203.0.113.1"},
		"what is no address":                                     {proxies, "", proxy, with(nil, "X-Forwarded-For", "203.0.113.1, unknown"), "10.1.2.3"},
		"what is no address, behind a proxy":                     {proxies, "", proxy, with(nil, "X-Forwarded-For", "nonsense, 10.2.2.2"), "10.2.2.2"},
		"an empty element":                                       {proxies, "", proxy, with(nil, "X-Forwarded-For", "203.0.113.1,"), "10.1.2.3"},
		"a list without end":                                     {proxies, "", proxy, with(nil, "X-Forwarded-For", "203.0.113.1"+strings.Repeat(",10.2.2.2", 1000)), "10.2.2.2"},
		"a stranger beside named proxies":                        {proxies, "", other, with(nil, "X-Forwarded-For", "203.0.113.1"), "198.51.100.7"},
		"the platform's header":                                  {"", "Fly-Client-IP", other, with(nil, "Fly-Client-Ip", "203.0.113.1"), "203.0.113.1"},
		"the platform's header is away":                          {"", "Fly-Client-IP", other, with(nil, "X-Forwarded-For", "203.0.113.1"), "198.51.100.7"},
		"the platform's header twice":                            {"", "Fly-Client-IP", other, http.Header{"Fly-Client-Ip": {"203.0.113.1", "203.0.113.2"}}, "198.51.100.7"},
		"a list in the platform's header":                        {"", "Fly-Client-IP", other, with(nil, "Fly-Client-Ip", "203.0.113.1, 203.0.113.2"), "198.51.100.7"},
		"nonsense in the platform's header":                      {"", "Fly-Client-IP", other, with(nil, "Fly-Client-Ip", "<script>"), "198.51.100.7"},
		"the platform's header from a proxy":                     {proxies, "CF-Connecting-IP", proxy, with(nil, "Cf-Connecting-Ip", "203.0.113.1", "X-Forwarded-For", "203.0.113.2"), "203.0.113.1"},
		"the platform's header from a stranger":                  {proxies, "CF-Connecting-IP", other, with(nil, "Cf-Connecting-Ip", "203.0.113.1"), "198.51.100.7"},
		"a proxy without the platform's header, but with a list": {proxies, "CF-Connecting-IP", proxy, with(nil, "X-Forwarded-For", "203.0.113.2"), "203.0.113.2"},
		"no address at all":                                      {"", "", "@", with(nil, "X-Forwarded-For", "203.0.113.1"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(c *handlers.Config) {
				c.ClientIPHeader = tt.header
				for network := range strings.SplitSeq(tt.proxies, ",") {
					if network != "" {
						c.TrustedProxies = append(c.TrustedProxies, netip.MustParsePrefix(network))
					}
				}
			})
			s.from(t, tt.peer, tt.sent)
			if got := s.audit.last(t).Client; got != tt.want {
				t.Errorf("client = %q, want %q", got, tt.want)
			}
			s.logMu.Lock()
			defer s.logMu.Unlock()
			if !strings.Contains(s.log.String(), "client="+tt.want) {
				t.Errorf("the log says otherwise:\n%s", s.log.String())
			}
		})
	}
}
