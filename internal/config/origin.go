package config

import (
	"errors"
	"net/url"
	"strings"
)

// Origin is an allowed origin: exact, or every host one label below a suffix.
type Origin struct {
	exact  string // scheme://host[:port], lower case
	scheme string // of a wildcard
	suffix string // ".preview.example.com[:port]" of a wildcard
}

// Wildcard reports whether the origin stands for many. Such an origin holds
// for bearer callers only.
func (o Origin) Wildcard() bool { return o.exact == "" }

// Matches reports whether origin, as a browser sends it, is allowed by o.
func (o Origin) Matches(origin string) bool {
	if !o.Wildcard() {
		return origin == o.exact
	}
	host, ok := strings.CutPrefix(origin, o.scheme+"://")
	if !ok {
		return false
	}
	label, ok := strings.CutSuffix(host, o.suffix)
	return ok && label != "" && strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func parseOrigins(text string) ([]Origin, error) {
	parts := splitList(text)
	if len(parts) == 0 {
		return nil, errors.New("holds no origin")
	}
	var origins []Origin
	for _, part := range parts {
		origin, err := parseOrigin(part)
		if err != nil {
			return nil, err
		}
		origins = append(origins, origin)
	}
	return origins, nil
}

func parseOrigin(text string) (Origin, error) {
	text = strings.ToLower(text)
	if text == "*" || text == "null" {
		return Origin{}, errors.New(`"*" and "null" would let every site in; name each origin`)
	}
	host, wildcard := text, false
	if rest, ok := strings.CutPrefix(text, "https://*."); ok {
		host, wildcard = "https://"+rest, true
	}
	u, err := url.Parse(host)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil ||
		u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.ContainsAny(host, "*# ") {
		return Origin{}, errors.New("write each origin as scheme://host or scheme://host:port, without a path")
	}
	if !goodPort(u) {
		return Origin{}, errors.New("a port is a number from 0 to 65535")
	}
	if (u.Scheme == "https" && u.Port() == "443") || (u.Scheme == "http" && u.Port() == "80") {
		return Origin{}, errors.New("leave the default port out; browsers do")
	}
	if wildcard {
		if strings.Count(u.Hostname(), ".") < 1 {
			return Origin{}, errors.New("a wildcard needs at least two labels below it, as in https://*.preview.example.com")
		}
		return Origin{scheme: u.Scheme, suffix: "." + u.Host}, nil
	}
	return Origin{exact: u.Scheme + "://" + u.Host}, nil
}
