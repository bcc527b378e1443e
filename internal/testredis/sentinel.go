package testredis

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Sentinels are processes that watch one primary, and promote a replica where
// it is away for a second.
type Sentinels struct {
	// URL asks the sentinels for the primary.
	URL string

	servers []*Server
}

const sentinelMaster = "farebox-test"

// StartSentinels starts three sentinels of a primary whose replicas follow it
// already, and waits until they know each other and so many replicas.
func StartSentinels(t testing.TB, primary *Server, replicas int) *Sentinels {
	t.Helper()
	const sentinels, quorum = 3, 2
	s := &Sentinels{}
	for i := range sentinels {
		port := freePort(t)
		server := prepare(t, port)
		server.URL = fmt.Sprintf("redis://127.0.0.1:%d", port)
		// They write what they learn into their file.
		file := filepath.Join(server.dir, "sentinel.conf")
		host, watched, _ := net.SplitHostPort(primary.Addr())
		settings := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %q\nsentinel monitor %[3]s %[4]s %[5]s %[6]d\n"+
			"sentinel down-after-milliseconds %[3]s 1000\nsentinel failover-timeout %[3]s 1000\n",
			port, server.dir, sentinelMaster, host, watched, quorum)
		if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
		server.launch(file, "--sentinel")
		s.servers = append(s.servers, server)
		switch i {
		case 0:
			s.URL = fmt.Sprintf("redis://127.0.0.1:%d?master_name=%s", port, sentinelMaster)
		default:
			s.URL += fmt.Sprintf("&addr=127.0.0.1:%d", port)
		}
	}
	for _, server := range s.servers {
		server.await("the sentinels know each other", func() bool {
			state := redis.NewMapStringStringCmd(context.Background(), "sentinel", "master", sentinelMaster)
			_ = server.client.Process(context.Background(), state)
			return state.Val()["num-other-sentinels"] == fmt.Sprint(sentinels-1) && state.Val()["num-slaves"] == fmt.Sprint(replicas)
		})
	}
	return s
}

// Primary is the address on loopback that the sentinels give for the primary; a
// busy one may not answer at once.
func (s *Sentinels) Primary() (address string) {
	first := s.servers[0]
	first.await("a sentinel names a primary", func() bool {
		words := redis.NewStringSliceCmd(context.Background(), "sentinel", "get-master-addr-by-name", sentinelMaster)
		_ = first.client.Process(context.Background(), words)
		if len(words.Val()) != 2 {
			return false
		}
		address = words.Val()[0] + ":" + words.Val()[1]
		return true
	})
	return address
}
