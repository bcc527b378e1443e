package dispenser

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"farebox/internal/shard"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

// memory is a Redis whose time the test moves, and what the scripts remember in
// it. A period begins with it.
type memory struct {
	server *miniredis.Miniredis
	redis  *redis.Client
}

// life is a token's, to the scripts.
const life = 15 * time.Minute

var begin = time.Unix(0, 0).Add(2_000_000 * life)

func newMemory(t *testing.T) memory {
	t.Helper()
	server := miniredis.RunT(t)
	server.ClockTTL(true)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	m := memory{server, client}
	m.at(0)
	return m
}

func (m memory) at(later time.Duration) { m.server.SetTime(begin.Add(later)) }

// samePlace is who the server is.
var samePlace = strings.Repeat("o", shard.OwnerSize)

var (
	rememberScript = strings.Join([]string{givenSource, rememberSource}, "\n")
	putScript      = strings.Join([]string{shard.OwnerSource, poolSource, givenSource, putSource}, "\n")
	setKeys        = []string{"{p}:t:0", "{p}:t:1", "{p}:t:2"}
)

// remember has a token remembered, and reports whether it was already.
func (m memory) remember(t rapid.TB, hashes ...string) bool {
	t.Helper()
	return m.rememberAll(t, hashes)[0]
}

// rememberAll has tokens remembered by one run.
func (m memory) rememberAll(t rapid.TB, tokens ...[]string) (given []bool) {
	t.Helper()
	args := []any{life.Milliseconds(), len(tokens[0])}
	for _, hashes := range tokens {
		args = withHashes(args, hashes)
	}
	answers, err := m.redis.Eval(context.Background(), rememberScript, setKeys, args...).Int64Slice()
	if err != nil || len(answers) != 1+len(tokens) {
		t.Fatal(answers, err)
	}
	for _, isNew := range answers[1:] {
		given = append(given, isNew == 0)
	}
	return given
}

// coming is a token on its way into the pool.
type coming struct {
	owner    string
	age      time.Duration
	sealed   string
	reserved string // "" for nothing
	hashes   []string
}

// put puts a token into a pool of at most so many, and returns what became of it.
func (m memory) put(t rapid.TB, most int, age time.Duration, owner string, hashes ...string) string {
	t.Helper()
	return m.putAll(t, most, coming{owner, age, "sealed", "", hashes})[0]
}

// putAll puts tokens with one run.
func (m memory) putAll(t rapid.TB, most int, all ...coming) (became []string) {
	t.Helper()
	now, err := m.redis.Time(context.Background()).Result()
	if err != nil {
		t.Fatal(err)
	}
	keys := append([]string{"{p}:p"}, setKeys...)
	args := []any{samePlace, (9 * time.Minute).Microseconds(), most, life.Milliseconds(), len(all[0].hashes)}
	for _, c := range all {
		keys = append(keys, "{p}:m")
		args = withHashes(append(args, c.owner, fmt.Sprintf("%016d", now.Add(-c.age).UnixMicro()), c.sealed, c.reserved), c.hashes)
	}
	answers, err := m.redis.Eval(context.Background(), putScript, keys, args...).Slice()
	if err != nil || len(answers) != 1+len(all) {
		t.Fatal(answers, err)
	}
	for _, answer := range answers[1:] {
		became = append(became, answer.(string))
	}
	return became
}

// ways are how a token is remembered; each reports whether it was already.
var ways = map[string]func(memory, rapid.TB, string) bool{
	"remember": func(m memory, t rapid.TB, hash string) bool { return m.remember(t, hash) },
	"put":      func(m memory, t rapid.TB, hash string) bool { return m.put(t, 1000, 0, samePlace, hash) == putRepeated },
}

func TestATokenIsRememberedForOneLifetimeAtLeastAndTwoAtMost(t *testing.T) {
	t.Parallel()
	const step = time.Microsecond
	for _, span := range []struct {
		given, again time.Duration
		remembered   bool
	}{
		{0, 0, true},
		{0, life - step, true},
		{0, life, true},
		{0, 2*life - step, true},
		{0, 2 * life, false},
		{life / 2, life/2 + life, true},
		{life - step, life, true},
		{life - step, 2*life - step, true},
		{life - step, 2 * life, false},
		// The sets have their turn again.
		{0, 3 * life, false},
		{life - step, 4*life - step, false},
		{life, 3*life - step, true},
		{2 * life, 4*life - step, true},
		{2*life + step, 4 * life, false},
	} {
		for first, give := range ways {
			for second, again := range ways {
				for _, busy := range []bool{false, true} {
					m := newMemory(t)
					m.at(span.given)
					if give(m, t, "a token") {
						t.Fatal("a token is known before it was given")
					}
					for now := span.given; busy && now < span.again; now += life / 4 {
						m.at(now)
						if again(m, t, fmt.Sprint("another at ", now)) {
							t.Fatal("another token is taken for it")
						}
					}
					m.at(span.again)
					if got := again(m, t, "a token"); got != span.remembered {
						t.Errorf("%s at %v, %s at %v, with others between %v: remembered %v", first, span.given, second, span.again, busy, got)
					}
				}
			}
		}
	}
}

// Whatever is given and whenever.
func TestWhatIsRememberedKeepsToAPlainModel(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	rapid.Check(t, func(t *rapid.T) {
		m.server.FlushAll()
		now := time.Duration(rapid.Int64Range(0, 3*int64(life)).Draw(t, "start")).Truncate(time.Microsecond)
		last := map[string]time.Duration{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += time.Duration(rapid.OneOf(
				rapid.Int64Range(0, int64(life)/8), rapid.Int64Range(0, int64(life)), rapid.Int64Range(0, 4*int64(life)),
			).Draw(t, "pause")).Truncate(time.Microsecond)
			m.at(now)
			hash := rapid.SampledFrom([]string{"one", "two", "three"}).Draw(t, "token")
			way := rapid.SampledFrom([]string{"put", "remember"}).Draw(t, "way")
			repeated := ways[way](m, t, hash)
			before, given := last[hash]
			since := now - before
			if repeated && (!given || since >= 2*life) || !repeated && given && since <= life {
				t.Fatalf("%s of %s, given %v ago (%v): repeated %v", way, hash, since, given, repeated)
			}
			last[hash] = now
			for _, key := range m.redis.Keys(t.Context(), "{p}:t:*").Val() {
				left := m.redis.PTTL(t.Context(), key).Val()
				if !slices.Contains(setKeys, key) || left <= 0 || left > 3*life {
					t.Fatalf("%s, which ends in %v", key, left)
				}
			}
		}
	})
}

func TestATokenThatIsRepeatedIsWatchedOn(t *testing.T) {
	t.Parallel()
	for name, give := range ways {
		m := newMemory(t)
		give(m, t, "a token")
		for turn := range 6 {
			m.at(time.Duration(turn+1)*life + life/2)
			if !give(m, t, "a token") {
				t.Errorf("%s: after %d repeats it is forgotten", name, turn)
			}
		}
	}
}

// The first hash is of the secret that writes.
func TestATokenIsRememberedThroughARotationOfTheSecret(t *testing.T) {
	t.Parallel()
	for name, give := range map[string]func(memory, ...string) bool{
		"remember": func(m memory, hashes ...string) bool { return m.remember(t, hashes...) },
		"put":      func(m memory, hashes ...string) bool { return m.put(t, 9, 0, samePlace, hashes...) == putRepeated },
	} {
		m := newMemory(t)
		give(m, "old")
		m.at(2*life - 1000)
		if !give(m, "young", "old") {
			t.Errorf("%s: it is forgotten with the old secret second", name)
		}
		m.at(2 * life)
		if give(m, "old") {
			t.Errorf("%s: its repeat was written under the old secret", name)
		}
		if !give(m, "young") {
			t.Errorf("%s: its repeat was not written under the young secret", name)
		}
	}
}

func TestTwoSetsHoldAllTokensAndEnd(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	const each = 40
	for period := range 8 {
		m.at(time.Duration(period)*life + life/3)
		for i := range each {
			m.remember(t, fmt.Sprint(period, "-", i))
		}
		held := 0
		for _, key := range setKeys {
			held += int(m.redis.SCard(t.Context(), key).Val())
		}
		if keys := m.redis.Keys(t.Context(), "*").Val(); len(keys) != min(period+1, 2) || held != each*len(keys) {
			t.Errorf("period %d: %d tokens in %v", period, held, keys)
		}
	}
	m.at(9*life + life/2)
	if left := m.redis.Keys(t.Context(), "*").Val(); len(left) != 0 {
		t.Errorf("nobody came, and %v are left", left)
	}
}

func TestATokenThatThePoolRefusesIsNotRemembered(t *testing.T) {
	t.Parallel()
	for want, put := range map[string]func(memory) string{
		"full":    func(m memory) string { return m.put(t, 0, 0, samePlace, "a token") },
		"expired": func(m memory) string { return m.put(t, 9, 10*time.Minute, samePlace, "a token") },
		"fenced":  func(m memory) string { return m.put(t, 9, 0, strings.Repeat("x", shard.OwnerSize), "a token") },
	} {
		m := newMemory(t)
		if became := put(m); became != want {
			t.Errorf("became %q, want %q", became, want)
		}
		if m.remember(t, "a token") {
			t.Errorf("%s, and remembered", want)
		}
	}
}

func TestATokenRememberedBeforeIsPutWithoutAHash(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	for range 2 {
		if became := m.put(t, 9, 0, samePlace); became != putKept {
			t.Errorf("became %q", became)
		}
	}
	if keys := m.redis.Keys(t.Context(), "{p}:t:*").Val(); len(keys) != 0 {
		t.Errorf("something was remembered: %v", keys)
	}
}

// Tokens that are remembered together are each remembered, and one that comes twice
// among them is known the second time.
func TestTokensAreRememberedTogether(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.remember(t, "known", "under the old secret too")
	got := m.rememberAll(t, []string{"a", "old a"}, []string{"b", "known"}, []string{"a", "old a"}, []string{"c", "old c"})
	if want := []bool{false, true, true, false}; !slices.Equal(got, want) {
		t.Errorf("given before: %v, want %v", got, want)
	}
	if again := m.rememberAll(t, []string{"b", "old b"}, []string{"c", "old c"}); !slices.Equal(again, []bool{true, true}) {
		t.Errorf("given before, the next time: %v", again)
	}
}

// Tokens that are put together each come to what they would alone, in the order in
// which they come.
func TestTokensArePutTogether(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	ctx := t.Context()
	m.remember(t, "known", "old known")
	m.redis.ZAdd(ctx, "{p}:m", redis.Z{Member: "first"}, redis.Z{Member: "second"}, redis.Z{Member: "another's"})
	got := m.putAll(t, 4,
		coming{samePlace, 0, "a", "first", []string{"a", "old a"}},
		coming{strings.Repeat("x", shard.OwnerSize), 0, "b", "", []string{"b", "old b"}},
		coming{samePlace, 10 * time.Minute, "c", "second", []string{"c", "old c"}},
		coming{samePlace, 0, "d", "", []string{"known", "old known"}},
		coming{samePlace, 0, "e", "", []string{"a", "old a"}},
		coming{samePlace, time.Minute, "f", "", []string{"f", "old f"}},
		coming{samePlace, 0, "g", "", []string{"g", "old g"}},
	)
	if want := []string{"kept", "fenced", "expired", "repeated", "repeated", "kept", "full"}; !slices.Equal(got, want) {
		t.Errorf("became %q, want %q", got, want)
	}
	var sealed []string
	for _, entry := range m.redis.LRange(ctx, "{p}:p", 0, -1).Val() {
		sealed = append(sealed, entry[shard.OwnerSize+len("0000000000000000"):])
	}
	if want := []string{"a", "f"}; !slices.Equal(sealed, want) {
		t.Errorf("the pool holds %q, want %q", sealed, want)
	}
	if left := m.redis.ZRange(ctx, "{p}:m", 0, -1).Val(); !slices.Equal(left, []string{"another's"}) {
		t.Errorf("reservations %q are left", left)
	}
	if life := m.redis.PTTL(ctx, "{p}:p").Val(); life != 9*time.Minute {
		t.Errorf("the pool lives for %v", life)
	}
	if again := m.rememberAll(t, []string{"b", "-"}, []string{"c", "-"}, []string{"g", "-"}, []string{"f", "-"}); !slices.Equal(again, []bool{false, false, false, true}) {
		t.Errorf("remembered: %v", again)
	}
}
