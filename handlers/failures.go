package handlers

import (
	"net/netip"
	"sync"
	"time"

	"farebox/internal/limit"
	"farebox/internal/recent"
)

// failures counts, by address, what failed before anybody was known. An address
// that has used up its rate is a suspect. It is safe for concurrent use.
type failures struct {
	rate limit.Rate
	now  func() time.Time

	mu     sync.Mutex // one charge at a time
	toldAt time.Time  // when charge last said that somebody is a suspect
	// The theoretical arrival times of the addresses that have failed of late,
	// in nanoseconds of Unix time.
	tats *recent.Map[network, int64]
}

// mostAddresses bounds the memory; who is pushed out begins anew.
const mostAddresses = 100_000

func newFailures(now func() time.Time) *failures {
	// Whole offices share an address, so it is generous; and a good session is
	// served from a suspect address as well.
	rate := limit.Rate{Count: 300, Period: time.Minute}
	// What is a period old counts for nothing.
	return &failures{rate: rate, now: now, tats: recent.New[network, int64](mostAddresses, rate.Period, now)}
}

// charge counts one failure from address, as clients.address tells it. tell says
// that it is a suspect now, at most once a minute for all addresses.
func (f *failures) charge(address string) (tell bool) {
	from, now := networkOf(address), f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	next, ok := f.rate.Take(f.tat(from), now)
	if !ok {
		return false
	}
	f.tats.Put(from, next.UnixNano())
	if f.rate.State(limit.PerAddress, next, now).Remaining > 0 || now.Sub(f.toldAt) < time.Minute {
		return false
	}
	f.toldAt = now
	return true
}

// suspect reports whether address has used up what it may fail, and how its
// limit stands.
func (f *failures) suspect(address string) (limit.State, bool) {
	state := f.rate.State(limit.PerAddress, f.tat(networkOf(address)), f.now())
	return state, state.Remaining == 0
}

// tat is long past where from has not failed of late.
func (f *failures) tat(from network) time.Time {
	nanoseconds, _ := f.tats.Get(from)
	return time.Unix(0, nanoseconds)
}

// network is what counts as one address: of IPv6 the /64, since that is what a
// single customer has. Its zero is all that are no addresses.
type network struct {
	first [16]byte
	bits  uint8
}

func networkOf(address string) network {
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return network{}
	}
	bits := parsed.BitLen()
	if parsed.Is6() {
		const customer = 64
		bits = customer
	}
	prefix, err := parsed.Prefix(bits)
	if err != nil {
		return network{}
	}
	return network{prefix.Addr().As16(), uint8(bits)}
}
