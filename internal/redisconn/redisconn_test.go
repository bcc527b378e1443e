package redisconn_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farebox/internal/redisconn"
	"farebox/internal/secret"

	"github.com/redis/go-redis/v9"
)

func TestTheEmbeddedRedisRunsScriptsAndForgetsInTime(t *testing.T) {
	t.Parallel()
	conn, err := redisconn.Open(redisconn.Config{Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	do := func(words ...any) any {
		t.Helper()
		cmd := redis.NewCmd(t.Context(), words...)
		if err := conn.Process(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
		return cmd.Val()
	}
	do("eval", `redis.call('TIME') return redis.call('SET', KEYS[1], 'v', 'PX', 20)`, 1, "k")
	for deadline := time.Now().Add(10 * time.Second); do("exists", "k") != int64(0); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never forgets")
		}
	}
	if clustered, err := conn.Clustered(t.Context()); clustered || err != nil {
		t.Errorf("a cluster: %v, %v", clustered, err)
	}
}

func TestTheEmbeddedRedisDoesNotStartOverAfterItsEnd(t *testing.T) {
	t.Parallel()
	for range 20 {
		conn, err := redisconn.Open(redisconn.Config{Embedded: true})
		if err != nil {
			t.Fatal(err)
		}
		over, asking := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(asking)
			for {
				_ = conn.Process(context.Background(), redis.NewCmd(context.Background(), "ping"))
				select {
				case <-over:
					return
				default:
				}
			}
		}()
		_ = conn.Close()
		close(over)
		<-asking
		if err := conn.Process(t.Context(), redis.NewCmd(t.Context(), "ping")); err == nil {
			t.Fatal("an answer after the end")
		}
	}
}

func TestErrorsNameTheSettingAndNeverTheAddress(t *testing.T) {
	t.Parallel()
	noPEM := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(noPEM, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for setting, cfg := range map[string]redisconn.Config{
		"REDIS_URL":               {URL: secret.New("redis://user:canary@host:port")},
		"FAREBOX_REDIS_CA_FILE":   {URL: secret.New("rediss://:canary@127.0.0.1:1"), CAFile: noPEM},
		"FAREBOX_REDIS_CERT_FILE": {URL: secret.New("rediss://:canary@127.0.0.1:1"), CertFile: noPEM, KeyFile: noPEM},
	} {
		if _, err := redisconn.Open(cfg); err == nil || !strings.Contains(err.Error(), setting) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

func TestWhatAnAddressLeadsTo(t *testing.T) {
	t.Parallel()
	const (
		one       = "redis://user:canary@host:6379/2"
		several   = "redis://user:canary@host:6379?addr=b:6379&addr=c:6379"
		sentinels = "redis://host:26379?addr=b:26379&master_name=tokens&password=canary"
	)
	for _, c := range []struct {
		address string
		mode    redisconn.Mode
		want    redisconn.Mode // "" for an error
	}{
		{one, "", redisconn.Auto},
		{one, redisconn.Auto, redisconn.Auto},
		{one, redisconn.Single, redisconn.Single},
		{"unix:///run/canary", redisconn.Auto, redisconn.Auto},
		{several, redisconn.Auto, redisconn.Cluster},
		{several, redisconn.Cluster, redisconn.Cluster},
		{"rediss://host", redisconn.Cluster, redisconn.Cluster},
		{sentinels, redisconn.Auto, redisconn.Sentinel},
		{sentinels, redisconn.Sentinel, redisconn.Sentinel},
		{one, redisconn.Cluster, ""}, // it has a database
		{one, redisconn.Sentinel, ""},
		{several, redisconn.Single, ""},
		{several, redisconn.Sentinel, ""},
		{sentinels, redisconn.Single, ""},
		{sentinels, redisconn.Cluster, ""},
		{"unix:///run/canary", redisconn.Cluster, ""},
		{"redis://host:26379?master_name=", redisconn.Auto, ""},
		{"http://canary", redisconn.Auto, ""},
		{"redis://user:canary@host:port", redisconn.Auto, ""},
		{several + "&canary=1", redisconn.Auto, ""},
	} {
		got, err := redisconn.CheckURL(secret.New(c.address), c.mode)
		if got != c.want || (err == nil) != (c.want != "") || err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s as %q: %q, %v", c.address, c.mode, got, err)
		}
	}
}
