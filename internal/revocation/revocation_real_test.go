//go:build real

package revocation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"farebox/internal/redisconn"
	"farebox/internal/revocation"
	"farebox/internal/secret"
	"farebox/internal/shard"
	"farebox/internal/testredis"

	"github.com/redis/go-redis/v9"
)

func at(url string) redisconn.Config { return redisconn.Config{URL: secret.New(url)} }

// marks are the keys that tell of endings.
func marks(t *testing.T, client *redis.Client) []string {
	t.Helper()
	keys, err := client.Keys(context.Background(), "{test:*}:e:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestAnEndingIsWrittenBackToARedisThatLostIt(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	witness, ender := open(t, at(server.URL)), open(t, at(server.URL))
	run(t, witness)
	if err := ender.End(t.Context(), subject("ada")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the witness knows", func() bool { return isEnded(witness, "ada") })
	server.Kill()
	if !isEnded(witness, "ada") {
		t.Error("without Redis it does not hold")
	}
	server.Launch() // empty
	if keys := marks(t, server.Client()); len(keys) != 0 {
		t.Fatalf("Redis did not lose it: %v", keys)
	}
	eventually(t, "it is written back", func() bool { return len(marks(t, server.Client())) == 1 })
	late := open(t, at(server.URL))
	run(t, late)
	eventually(t, "who comes late knows", func() bool { return isEnded(late, "ada") })
}

func TestAnEndingIsWrittenBackToARedisThatWasEmptied(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	list := open(t, at(server.URL))
	run(t, list)
	if err := list.End(t.Context(), subject("ada")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := server.Client().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is written back", func() bool { return len(marks(t, server.Client())) == 1 })
	}
}

// Without the right to ask who the server is, its data's own name tells.
func TestAnEndingIsWrittenBackWhereTheServerDoesNotSayWhoItIs(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t, "--rename-command", "INFO", "")
	list := open(t, at(server.URL))
	run(t, list)
	if err := list.End(t.Context(), subject("ada")); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	server.Launch()
	eventually(t, "it is written back", func() bool { return len(marks(t, server.Client())) == 1 })
}

func TestOnAClusterAnEndingIsWrittenBackToAShardThatWasEmptied(t *testing.T) {
	t.Parallel()
	cluster := testredis.StartCluster(t, 3)
	list := open(t, at(cluster.URL()))
	run(t, list)
	if err := list.End(t.Context(), subject("ada")); err != nil {
		t.Fatal(err)
	}
	all := func() (n int) {
		for _, primary := range cluster.Primaries {
			n += len(marks(t, primary.Client()))
		}
		return n
	}
	// Each shard has been looked at once, so that its life is known by name.
	eventually(t, "all lives are known", func() bool {
		n := 0
		for _, primary := range cluster.Primaries {
			n += len(primary.Client().Keys(context.Background(), "{test:*}:epoch").Val())
		}
		return n == 8
	})
	emptied := cluster.Owner(cluster.Slot("{test:3}:g"))
	if err := emptied.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if all() == 8 {
		t.Fatal("nothing was lost")
	}
	eventually(t, "it is written back", func() bool { return all() == 8 })
}

func TestAnEndingIsWrittenBackAfterAFailOverThatLostIt(t *testing.T) {
	t.Parallel()
	primary, replica := testredis.StartTCP(t), testredis.StartTCP(t)
	link := primary.Link(t)
	replica.FollowThrough(link, primary)
	way := primary.Proxy(t)
	witness := open(t, at(way.URL))
	run(t, witness)
	link.Hold(true) // from here on the replica lags
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := witness.End(ctx, subject("ada")); !errors.Is(err, revocation.ErrUnconfirmed) {
		t.Errorf("End = %v though no replica has it", err)
	}
	if keys := marks(t, replica.Client()); len(keys) != 0 {
		t.Fatalf("the replica does not lag: %v", keys)
	}
	replica.Promote()
	way.Point(replica)
	eventually(t, "it is written back", func() bool { return len(marks(t, replica.Client())) == 1 })
}

func TestAnEndingIsConfirmedByAReplica(t *testing.T) {
	t.Parallel()
	primary, replica := testredis.StartTCP(t), testredis.StartTCP(t)
	replica.Follow(primary)
	list := open(t, at(primary.URL))
	if err := list.End(t.Context(), subject("ada")); err != nil {
		t.Fatal(err)
	}
	if keys := marks(t, replica.Client()); len(keys) != 1 {
		t.Errorf("confirmed, and the replica has %v", keys)
	}
}

func TestAnEndingWithoutRedisIsKeptAndWrittenLater(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	server.Kill()
	list := open(t, at(server.URL))
	run(t, list)
	if err := list.End(t.Context(), subject("ada")); !errors.Is(err, shard.ErrAway) {
		t.Errorf("End = %v", err)
	}
	if !isEnded(list, "ada") {
		t.Error("it does not hold here")
	}
	server.Launch()
	eventually(t, "it is written", func() bool { return len(marks(t, server.Client())) == 1 })
}

// A session's id does not tell in which shard its subject is.
func TestOnAClusterAnEndingIsInEveryShard(t *testing.T) {
	t.Parallel()
	cluster := testredis.StartCluster(t, 3)
	list := open(t, at(cluster.URL()))
	if err := list.End(t.Context(), revocation.Ending{Issuer: issuer, SessionID: "sid", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	shards := map[string]bool{}
	for _, primary := range cluster.Primaries {
		for _, key := range marks(t, primary.Client()) {
			shards[key[:strings.Index(key, "}")]] = true
		}
	}
	if len(shards) != 8 {
		t.Errorf("it is in %v", shards)
	}
	other := open(t, at(cluster.URL()))
	run(t, other)
	eventually(t, "another replica knows", func() bool {
		return other.Ended(other.MarksOf(revocation.Session{Issuer: issuer, Subject: "ada", ID: "sid"}))
	})
	// The first primary's shards are lost with it, and written back.
	for i, key := range []string{"{test:0}:g", "{test:3}:g"} {
		lost := cluster.Owner(cluster.Slot(key))
		if _, err := lost.Client().Pipelined(t.Context(), func(p redis.Pipeliner) error {
			p.FlushAll(t.Context())
			p.Do(t.Context(), "wait", 1, 10_000) // its replica has lost it too
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		lost.Kill()
		cluster.AwaitServing()
		eventually(t, fmt.Sprint("it is written back ", i), func() bool {
			n, err := cluster.Client().Exists(t.Context(), strings.TrimSuffix(key, "g")+"e:"+hashOf(t, cluster)).Result()
			return err == nil && n == 1
		})
	}
}

func hashOf(t *testing.T, cluster *testredis.Cluster) string {
	t.Helper()
	for _, node := range append(cluster.Primaries, cluster.Replicas...) {
		for _, key := range node.Client().Keys(context.Background(), "{test:*}:e:*").Val() {
			return key[strings.Index(key, ":e:")+3:]
		}
	}
	return ""
}
