package handlers

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"farebox/internal/limit"

	"github.com/maypok86/otter/v2"
)

// failures counts, by address, what failed before anybody was known. An address
// that has used up its rate is a suspect. It is safe for concurrent use.
type failures struct {
	rate limit.Rate
	now  func() time.Time

	mu     sync.Mutex // one charge at a time
	toldAt time.Time  // when charge last said that somebody is a suspect
	// The theoretical arrival times of the addresses that have failed of late.
	tats *otter.Cache[netip.Prefix, time.Time]
}

// mostAddresses bounds the memory; who is pushed out begins anew.
const mostAddresses = 100_000

func newFailures(now func() time.Time) (*failures, error) {
	// Whole offices share an address, so it is generous; and a good session is
	// served from a suspect address as well.
	rate := limit.Rate{Count: 300, Period: time.Minute}
	tats, err := otter.New(&otter.Options[netip.Prefix, time.Time]{MaximumSize: mostAddresses})
	if err != nil {
		return nil, fmt.Errorf("handlers: failures by address: %w", err)
	}
	return &failures{rate: rate, now: now, tats: tats}, nil
}

// charge counts one failure from address, as clients.address tells it. tell says
// that it is a suspect now, at most once a minute for all addresses.
func (f *failures) charge(address string) (tell bool) {
	network, now := networkOf(address), f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	tat, _ := f.tats.GetIfPresent(network)
	next, ok := f.rate.Take(tat, now)
	if !ok {
		return false
	}
	f.tats.Set(network, next)
	if f.rate.State(limit.PerAddress, next, now).Remaining > 0 || now.Sub(f.toldAt) < time.Minute {
		return false
	}
	f.toldAt = now
	return true
}

// suspect reports whether address has used up what it may fail, and how its
// limit stands.
func (f *failures) suspect(address string) (limit.State, bool) {
	tat, _ := f.tats.GetIfPresent(networkOf(address))
	state := f.rate.State(limit.PerAddress, tat, f.now())
	return state, state.Remaining == 0
}

// networkOf is what counts as one address: of IPv6 the /64, since that is what a
// single customer has.
func networkOf(address string) netip.Prefix {
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	bits := parsed.BitLen()
	if parsed.Is6() {
		const customer = 64
		bits = customer
	}
	network, err := parsed.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return network
}
