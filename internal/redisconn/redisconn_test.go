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
)

func TestTheEmbeddedRedisRunsScriptsAndForgetsInTime(t *testing.T) {
	t.Parallel()
	client, closeAll, err := redisconn.Open(redisconn.Config{Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeAll)
	if err := client.Eval(t.Context(), `redis.call('TIME') return redis.call('SET', KEYS[1], 'v', 'PX', 20)`, []string{"k"}).Err(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); client.Exists(t.Context(), "k").Val() != 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never forgets")
		}
	}
}

func TestTheEmbeddedRedisDoesNotStartOverAfterItsEnd(t *testing.T) {
	t.Parallel()
	for range 20 {
		client, closeAll, err := redisconn.Open(redisconn.Config{Embedded: true})
		if err != nil {
			t.Fatal(err)
		}
		dial := client.Options().Dialer
		over, dialling := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(dialling)
			for {
				if conn, err := dial(context.Background(), "", ""); err == nil {
					_ = conn.Close()
				}
				select {
				case <-over:
					return
				default:
				}
			}
		}()
		closeAll()
		close(over)
		<-dialling
		if conn, err := dial(t.Context(), "", ""); err == nil {
			_ = conn.Close()
			t.Fatal("a connection after the end")
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
		if _, _, err := redisconn.Open(cfg); err == nil || !strings.Contains(err.Error(), setting) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", setting, err)
		}
	}
}
