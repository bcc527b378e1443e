//go:build real

package preflight_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"farebox/internal/preflight"
	"farebox/internal/redisconn"
	"farebox/internal/secret"
	"farebox/internal/testredis"
)

// checkRedis runs the checks against the Redis at url.
func checkRedis(t *testing.T, url string) map[string]preflight.Result {
	t.Helper()
	cfg := config(t, vendor(t, nil).URL)
	redis, err := redisconn.Open(redisconn.Config{URL: secret.New(url)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	mode, err := redisconn.CheckURL(secret.New(url), redisconn.Auto)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Redis = preflight.Redis{Conn: redis, Prefix: "farebox", Sentinel: mode == redisconn.Sentinel}
	results, told := run(t, cfg)
	if strings.Contains(told, "canary-password") {
		t.Errorf("it told the password:\n%s", told)
	}
	return results
}

type want struct {
	status preflight.Status
	says   string
}

func (w want) of(t *testing.T, results map[string]preflight.Result, name string) {
	t.Helper()
	if r := results[name]; r.Status != w.status || !strings.Contains(r.Detail+"; "+r.Mend, w.says) {
		t.Errorf("%s: %+v, want %s with %q", name, r, w.status, w.says)
	}
}

func wantAllWell(t *testing.T, results map[string]preflight.Result, is string) {
	t.Helper()
	want{preflight.OK, is}.of(t, results, "redis")
	for _, name := range []string{"redis_scripts", "redis_fence", "redis_eviction"} {
		want{preflight.OK, ""}.of(t, results, name)
	}
}

func TestAServerAClusterAndSentinelsPrimaryAreTold(t *testing.T) {
	t.Parallel()
	t.Run("a server", func(t *testing.T) {
		t.Parallel()
		server := testredis.Start(t)
		wantAllWell(t, checkRedis(t, server.URL), "one server")
		if left := server.Client().Keys(t.Context(), "*").Val(); len(left) != 0 {
			t.Errorf("it left %v", left)
		}
	})
	t.Run("a cluster", func(t *testing.T) {
		t.Parallel()
		cluster := testredis.StartCluster(t, 3)
		wantAllWell(t, checkRedis(t, cluster.URL()), "a cluster, used in 8 shards")
	})
	t.Run("a cluster with one server that evicts and one without INFO", func(t *testing.T) {
		t.Parallel()
		cluster := testredis.StartCluster(t, 3)
		owner := func(slotKey string) *testredis.Node { return cluster.Owner(cluster.Slot(slotKey)) }
		evicts := owner("{farebox:7}:check")
		if err := evicts.Client().ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lfu").Err(); err != nil {
			t.Fatal(err)
		}
		if err := evicts.Client().Do(t.Context(), "acl", "setuser", "default", "-info").Err(); err != nil {
			t.Fatal(err)
		}
		results := checkRedis(t, cluster.URL())
		want{preflight.Warn, "the pool is off"}.of(t, results, "redis_fence")
		want{preflight.Warn, "cannot be asked"}.of(t, results, "redis_eviction")
		if err := evicts.Client().Do(t.Context(), "acl", "setuser", "default", "+info").Err(); err != nil {
			t.Fatal(err)
		}
		results = checkRedis(t, cluster.URL())
		want{preflight.OK, ""}.of(t, results, "redis_fence")
		want{preflight.Warn, "allkeys-lfu"}.of(t, results, "redis_eviction")
	})
	t.Run("Sentinel", func(t *testing.T) {
		t.Parallel()
		primary := testredis.StartTCP(t)
		replica := testredis.StartTCP(t)
		replica.Follow(primary)
		sentinels := testredis.StartSentinels(t, primary, 1)
		wantAllWell(t, checkRedis(t, sentinels.URL), "the primary that Sentinel names")
	})
}

func TestARedisThatEvictsIsWarnedOf(t *testing.T) {
	t.Parallel()
	results := checkRedis(t, testredis.Start(t, "--maxmemory-policy", "allkeys-lru").URL)
	want{preflight.Warn, "maxmemory-policy is allkeys-lru"}.of(t, results, "redis_eviction")
	want{preflight.Warn, "set maxmemory-policy noeviction"}.of(t, results, "redis_eviction")
}

// withUser is a server's address for a user with these rights.
func withUser(t *testing.T, server *testredis.Server, rights ...string) string {
	t.Helper()
	words := []any{"acl", "setuser", "farebox", "on", ">canary-password"}
	for _, right := range rights {
		words = append(words, right)
	}
	if err := server.Client().Do(t.Context(), words...).Err(); err != nil {
		t.Fatal(err)
	}
	return "redis://farebox:canary-password@" + server.Addr()
}

// documented are the rights in docs/redis.md.
func documented(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ACL SETUSER farebox on >password (.*)$`).FindSubmatch(text)
	if line == nil {
		t.Fatal("docs/redis.md has no such line")
	}
	return strings.Fields(string(line[1]))
}

func TestTheRightsOfTheUserAreTold(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		more    []string // beside the documented rights
		results map[string]want
	}{
		"as documented": {nil, map[string]want{
			"redis": {preflight.OK, "one server"}, "redis_scripts": {preflight.OK, ""},
			"redis_fence": {preflight.OK, ""}, "redis_eviction": {preflight.OK, ""},
		}},
		"without INFO": {[]string{"-info"}, map[string]want{
			"redis": {preflight.OK, ""}, "redis_scripts": {preflight.OK, ""},
			"redis_fence": {preflight.Warn, "+info"}, "redis_eviction": {preflight.Warn, "cannot be asked"},
		}},
		"without two commands": {[]string{"-zadd", "-hset"}, map[string]want{
			"redis": {preflight.OK, ""}, "redis_scripts": {preflight.Fail, "+hset +zadd"},
			"redis_fence": {preflight.OK, ""},
		}},
		"without scripts": {[]string{"-eval", "-evalsha"}, map[string]want{
			"redis": {preflight.OK, ""}, "redis_scripts": {preflight.Fail, "docs/redis.md"}, "redis_fence": {preflight.Fail, "noperm"},
		}},
		"with other keys": {[]string{"resetkeys", "~other:*"}, map[string]want{
			"redis": {preflight.Fail, "keys that begin with {farebox:"},
		}},
		"that cannot sign in": {[]string{"resetpass", ">another"}, map[string]want{
			"redis": {preflight.Fail, "user and password"}, "redis_scripts": {preflight.Fail, "user and password"},
			"redis_fence": {preflight.Fail, ""}, "redis_eviction": {preflight.Fail, ""},
		}},
	}
	for name, test := range tests {
		t.Run("a user "+name, func(t *testing.T) {
			t.Parallel()
			results := checkRedis(t, withUser(t, testredis.StartTCP(t), append(documented(t), test.more...)...))
			for check, w := range test.results {
				w.of(t, results, check)
			}
		})
	}
}

func TestARedisThatIsAwayOrAReplicaFails(t *testing.T) {
	t.Parallel()
	server := testredis.StartTCP(t)
	away := server.URL
	primary := testredis.StartTCP(t)
	server.Follow(primary)
	server.AwaitInStep(primary)
	want{preflight.Fail, "it is a replica"}.of(t, checkRedis(t, "redis://"+server.Addr()), "redis_scripts")
	server.Kill()
	results := checkRedis(t, away)
	for _, name := range []string{"redis", "redis_scripts", "redis_fence", "redis_eviction"} {
		want{preflight.Fail, "unreachable"}.of(t, results, name)
	}
	want{preflight.OK, ""}.of(t, results, "vendor_key")
	want{preflight.OK, ""}.of(t, results, "session_keys")
}
