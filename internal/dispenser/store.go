package dispenser

import (
	_ "embed"
	"time"

	"farebox/internal/shard"
)

// store is Redis as the dispenser uses it.
type store struct {
	cfg Config
	scripts
	// toAllClaims are those arguments of the claim script that never change.
	toAllClaims []any
}

// scripts are all that there are, each described at its head.
type scripts struct {
	claims    *shard.Joint[claimKind]
	remembers *shard.Joint[rememberKind]
	puts      *shard.Joint[putKind]

	takes, settles, releases, reserves *shard.Script
}

var (
	//go:embed scripts/pool.lua
	poolSource string
	//go:embed scripts/given.lua
	givenSource string
	//go:embed scripts/claim.lua
	claimSource string
	//go:embed scripts/take.lua
	takeSource string
	//go:embed scripts/settle.lua
	settleSource string
	//go:embed scripts/release.lua
	releaseSource string
	//go:embed scripts/reserve.lua
	reserveSource string
	//go:embed scripts/put.lua
	putSource string
	//go:embed scripts/remember.lua
	rememberSource string
)

const (
	// failureLife is how long a claim's failure is told to those who wait on
	// it; they ask every pollLast at the latest.
	failureLife = 2 * time.Second
	// claimMargin is what a claim outlives the longest mint by.
	claimMargin = 5 * time.Second
)

func newStore(cfg Config) *store {
	ofPool := func(sources ...string) *shard.Script {
		return shard.NewScript(append([]string{shard.OwnerSource, poolSource}, sources...)...)
	}
	s := &store{cfg: cfg, scripts: scripts{
		claims: shard.NewJoint[claimKind](cfg.Shards, ofPool(claimSource)),
		takes:  ofPool(takeSource), reserves: ofPool(reserveSource),
		puts:    shard.NewJoint[putKind](cfg.Shards, ofPool(givenSource, putSource)),
		settles: shard.NewScript(settleSource), releases: shard.NewScript(releaseSource),
		remembers: shard.NewJoint[rememberKind](cfg.Shards, shard.NewScript(givenSource, rememberSource)),
	}}
	s.toAllClaims = []any{cfg.Pool.Owner, microseconds(cfg.Pool.MaxAge), milliseconds(s.claimLife()), milliseconds(cfg.ReplayWindow)}
	return s
}

// claimLife is how long a claim or a reservation lives where nobody ends it:
// longer than the longest mint.
func (s *store) claimLife() time.Duration { return s.cfg.mintBudget() + claimMargin }

func microseconds(d time.Duration) int64 { return d.Microseconds() }
func milliseconds(d time.Duration) int64 { return max(d.Milliseconds(), 1) }

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
