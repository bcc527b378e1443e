package revocation_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"farebox/internal/health"
	"farebox/internal/identity"
	"farebox/internal/redisconn"
	"farebox/internal/revocation"
	"farebox/internal/secret"
	"farebox/internal/shard"
)

const issuer = "https://issuer.example"

// open returns the list of one replica, which does not run yet.
func open(t *testing.T, cfg redisconn.Config, amend ...func(*revocation.Config)) *revocation.List {
	t.Helper()
	conn, err := redisconn.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return over(t, conn, amend...)
}

func over(t *testing.T, conn shard.Redis, amend ...func(*revocation.Config)) *revocation.List {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	shards, err := shard.New(shard.Config{
		Redis: conn, Prefix: "test", Timeout: 5 * time.Second, State: health.NewBoard(time.Now, log).Lamp("redis", false), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	hasher, err := identity.NewHasher([]secret.Text{secret.New("a deployment secret of more than 32 bytes")})
	if err != nil {
		t.Fatal(err)
	}
	c := revocation.Config{Shards: shards, Hasher: hasher, Lifetime: 24 * time.Hour, Now: time.Now, Log: log}
	for _, f := range amend {
		f(&c)
	}
	list, err := revocation.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func run(t *testing.T, list *revocation.List) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		list.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

func subject(name string) revocation.Ending {
	return revocation.Ending{Issuer: issuer, Subject: name, At: time.Now()}
}

func isEnded(list *revocation.List, name string) bool {
	return list.Ended(list.MarksOf(revocation.Session{Issuer: issuer, Subject: name, IssuedAt: time.Now().Add(-time.Minute)}))
}

func eventually(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !met(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestAnEndingNamesOneThingOfAnIssuerAtATime(t *testing.T) {
	t.Parallel()
	list := open(t, redisconn.Config{Embedded: true})
	now := time.Now()
	for _, e := range []revocation.Ending{
		{}, {Issuer: issuer, At: now}, {Issuer: issuer, Subject: "s"},
		{Issuer: issuer, Subject: "s", SessionID: "s", At: now}, {Issuer: issuer, SessionID: "s", TokenID: "s", At: now},
	} {
		if list.End(t.Context(), e) == nil {
			t.Errorf("%+v was taken", e)
		}
	}
}

func TestAnEndingReachesOtherReplicasAndLateComers(t *testing.T) {
	t.Parallel()
	conn, err := redisconn.Open(redisconn.Config{Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	fixed := func(c *revocation.Config) { c.FixedOwner = strings.Repeat("x", shard.OwnerSize) }
	a, b := over(t, conn, fixed), over(t, conn, fixed)
	run(t, a)
	run(t, b)
	const many = 600 // more than one reading
	for i := range many {
		if err := a.End(t.Context(), subject(fmt.Sprint("user ", i))); err != nil {
			t.Fatal(err)
		}
	}
	all := func(list *revocation.List) func() bool {
		return func() bool {
			for i := range many {
				if !isEnded(list, fmt.Sprint("user ", i)) {
					return false
				}
			}
			return true
		}
	}
	eventually(t, "the other replica knows", all(b))
	late := over(t, conn, fixed)
	run(t, late)
	eventually(t, "who comes late knows", all(late))
	if isEnded(late, "user x") {
		t.Error("somebody is ended whom nobody ended")
	}
}

func TestAnEndingIsForgottenWhenNoSessionIsOldEnough(t *testing.T) {
	t.Parallel()
	now := time.Now()
	list := open(t, redisconn.Config{Embedded: true}, func(c *revocation.Config) {
		c.Lifetime = time.Hour
		c.Now = func() time.Time { return now }
	})
	if err := list.End(t.Context(), revocation.Ending{Issuer: issuer, Subject: "ada", At: now}); err != nil {
		t.Fatal(err)
	}
	marks := list.MarksOf(revocation.Session{Issuer: issuer, Subject: "ada"})
	if !list.Ended(marks) {
		t.Error("it does not hold")
	}
	now = now.Add(time.Hour)
	if list.Ended(marks) {
		t.Error("it holds on")
	}
}
