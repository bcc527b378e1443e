// Package shard spreads what farebox keeps in Redis over slots, so that one
// script can decide a request and a cluster can share the work. There is one
// shard, or on a cluster some, on its several servers.
package shard

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// Shard is one slot of Redis.
type Shard struct {
	// Index counts the shards from 0.
	Index int

	slot string // "{prefix:index}:", what its keys begin with
	// breaker spares callers the wait for a server that is away.
	breaker circuitbreaker.CircuitBreaker[any]
	down    atomic.Bool
	mu      sync.Mutex // held while both are changed, so that they agree
}

// Key is a key of this shard.
func (sh *Shard) Key(name string) string { return sh.slot + name }

// Down reports whether the last call found the server away.
func (sh *Shard) Down() bool { return sh.down.Load() }

func newShard(prefix string, index int) *Shard {
	return &Shard{Index: index, slot: "{" + prefix + ":" + strconv.Itoa(index) + "}:", breaker: newBreaker()}
}

func newBreaker() circuitbreaker.CircuitBreaker[any] {
	return circuitbreaker.NewBuilder[any]().
		WithFailureThreshold(3).WithSuccessThreshold(1).WithDelay(time.Second).Build()
}

// Spread is where among the shards something belongs, whatever their number. It
// takes no secret, since rotating that must not move anybody; it tells a few
// bits of a hash to who reads Redis.
func Spread(parts ...string) uint32 {
	all := make([]byte, 0, 128) // on the stack, where it is enough
	for _, part := range parts {
		all = binary.BigEndian.AppendUint64(all, uint64(len(part)))
		all = append(all, part...)
	}
	sum := sha256.Sum256(all)
	return binary.BigEndian.Uint32(sum[:4])
}

// At returns the shard, out of all, of something that is spread.
func At(all []*Shard, spread uint32) *Shard { return all[int(spread%uint32(len(all)))] }

// Share is what one of n shards has of a total.
func Share(total, index, n int) int {
	if index < total%n {
		return total/n + 1
	}
	return total / n
}
