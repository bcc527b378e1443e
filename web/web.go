// Package web holds what browsers load: the page at / with its assets, the
// browser SDK, and the description of the API. All of it is hand-written,
// embedded, with no build step and no third-party code.
package web

import (
	"embed"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

//go:embed index.html assets openapi.yaml sdk/*.js sdk/*.ts sdk/audio sdk/voice
var files embed.FS

// Config is what the page must know of its service. Its zero value is a page
// of a service without a login of its own.
type Config struct {
	// Dev says that the vendor is the sandbox and that a demo sign-in is at
	// dev/session; the page says so too.
	Dev bool
	// LoginURL is where someone without a session signs in, an http or https
	// URL; "" where the page knows of none. The page adds return_to.
	LoginURL string
	// ReturnTo is the page's public address, for return_to; "" where the
	// address in the browser is the right one. A path in it is what a proxy
	// takes away: the page's own addresses begin with it.
	ReturnTo string
	// VendorOrigins are the origins, http(s) and ws(s), where tokens are
	// redeemed, if not at this page's own host. The page may connect to these
	// and to nothing else.
	VendorOrigins []string
}

// Visitor is who looks at the page, as far as a cookie session says.
type Visitor struct {
	SignedIn bool
	Subject  string
}

// Page serves the page and its assets. It is immutable and safe for concurrent
// use.
type Page struct {
	cfg     Config
	index   *document
	assets  map[string]asset
	connect string // the vendor's part of connect-src
	login   string // LoginURL as it stands on the page
	base    string // what relative addresses start from; "" for the page's own address
}

// New reads the embedded files. It returns an error where cfg holds something
// that is no address of the asked kind.
func New(cfg Config) (*Page, error) {
	for name, address := range map[string]string{"LoginURL": cfg.LoginURL, "ReturnTo": cfg.ReturnTo} {
		if address != "" && !isHTTPURL(address) {
			return nil, fmt.Errorf("web: %s is no http or https URL", name)
		}
	}
	for _, origin := range cfg.VendorOrigins {
		if !isConnectOrigin(origin) {
			return nil, errors.New("web: VendorOrigins holds something that is no origin")
		}
	}
	p := &Page{cfg: cfg, connect: strings.Join(cfg.VendorOrigins, " "), login: normal(cfg.LoginURL), base: baseOf(cfg.ReturnTo)}
	if err := p.loadAssets(); err != nil {
		return nil, err
	}
	source, err := files.ReadFile("index.html")
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	if p.index, err = parse(string(source), p.greeting(Visitor{})); err != nil {
		return nil, fmt.Errorf("web: index.html: %w", err)
	}
	return p, nil
}

// greeting is what index.html is filled with for v.
func (p *Page) greeting(v Visitor) values {
	return values{
		texts: map[string]string{"subject": v.Subject, "login": p.login, "return to": p.cfg.ReturnTo, "base": p.base},
		conditions: map[string]bool{
			"signed in": v.SignedIn, "signed out": !v.SignedIn, "based": p.base != "",
			"dev": p.cfg.Dev, "login": !p.cfg.Dev && p.login != "", "no login": !p.cfg.Dev && p.login == "",
		},
	}
}

// ServeIndex answers with the page, greeting v, and sets the headers that
// confine it. The caller has matched the path and the method, GET or HEAD.
func (p *Page) ServeIndex(w http.ResponseWriter, r *http.Request, v Visitor) {
	p.confine(w.Header(), r)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(p.index.fill(p.greeting(v)))
}

// baseOf is the path that a proxy puts before this service's own, with a slash
// at its end, so that /voice works as /voice/ does; "" for none.
func baseOf(public string) string {
	u, err := url.Parse(public)
	if err != nil {
		return ""
	}
	path := strings.Trim(u.EscapedPath(), "/")
	if path == "" {
		return ""
	}
	return "/" + path + "/"
}

// normal is an address with every character encoded that has no place in a URL
// (RFC 3986, section 2), and with quotes and round brackets, which some who copy
// one take for its end.
func normal(address string) string {
	const taken = "!#$%&*+,-./:;=?@[]_~"
	var b strings.Builder
	for _, c := range []byte(address) {
		if '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || strings.IndexByte(taken, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

func isHTTPURL(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

// isConnectOrigin keeps what would end a directive or a policy out of the
// header.
func isConnectOrigin(origin string) bool {
	scheme, host, found := strings.Cut(origin, "://")
	switch scheme {
	case "http", "https", "ws", "wss":
		return found && isHost(host)
	}
	return false
}
