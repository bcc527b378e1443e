package redisconn

import (
	"errors"
	"net/url"
	"strings"

	"farebox/internal/secret"

	"github.com/redis/go-redis/v9"
)

// Mode says what stands at the address.
type Mode string

// The modes. Auto takes what the address tells (several servers are a cluster,
// with a master_name they are Sentinels), and asks a single server.
const (
	Auto     Mode = "auto"
	Single   Mode = "single"
	Cluster  Mode = "cluster"
	Sentinel Mode = "sentinel"
)

// Modes are all of them.
func Modes() []Mode { return []Mode{Auto, Single, Cluster, Sentinel} }

// CheckURL reports what is wrong with a Redis address in this mode, as the rest
// of a sentence that begins with the setting's name and never shows the
// address, and which mode it leads to: Auto only where the server must be asked.
func CheckURL(address secret.Text, mode Mode) (Mode, error) {
	u, err := url.Parse(address.Reveal())
	if err != nil {
		return "", errNoAddress
	}
	several, named := u.Query().Has("addr"), u.Query().Has("master_name")
	if mode == Auto || mode == "" {
		switch {
		case named:
			mode = Sentinel
		case several:
			mode = Cluster
		default:
			mode = Auto
		}
	}
	switch mode {
	case Sentinel:
		if !named || u.Query().Get("master_name") == "" {
			return "", errors.New("needs ?master_name=, the name of the primary that Sentinel watches")
		}
		if _, err := redis.ParseFailoverURL(address.Reveal()); err != nil {
			return "", errNoSentinels
		}
	case Cluster:
		if named {
			return "", errors.New("has a master_name, which is Sentinel's and not a cluster's")
		}
		if _, err := redis.ParseClusterURL(address.Reveal()); err != nil {
			return "", errNoCluster
		}
		if database := strings.Trim(u.Path, "/"); database != "" && database != "0" {
			return "", errors.New("names a database, and a cluster has none but 0")
		}
	default:
		if several || named {
			return "", errors.New("names a cluster or Sentinels, and FAREBOX_REDIS_MODE says single")
		}
		if _, err := redis.ParseURL(address.Reveal()); err != nil {
			return "", errNoAddress
		}
	}
	return mode, nil
}

// The library's own errors would show the password.
var (
	errNoAddress   = errors.New("is no address of a Redis server; write memory: or redis://user:password@host:6379/0, with rediss:// for TLS, or unix:///path")
	errNoCluster   = errors.New("is no address of a Redis cluster; write redis://user:password@host:6379?addr=host2:6379&addr=host3:6379, with rediss:// for TLS")
	errNoSentinels = errors.New("is no address of Redis Sentinels; write redis://host:26379?addr=host2:26379&master_name=name&password=…, with rediss:// for TLS")
)
