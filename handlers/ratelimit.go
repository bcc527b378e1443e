package handlers

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"farebox/internal/limit"
)

// setRateLimit sets the RateLimit and RateLimit-Policy fields
// (draft-ietf-httpapi-ratelimit-headers). The global limit is nobody's own and
// is not shown.
func setRateLimit(h http.Header, states []limit.State) {
	policies, left := make([]byte, 0, 96), make([]byte, 0, 96)
	for _, s := range states {
		if s.Name == limit.Global {
			continue
		}
		policies = appendItem(policies, s.Name, ";q=", s.Quota, ";w=", s.Window)
		left = appendItem(left, s.Name, ";r=", s.Remaining, ";t=", s.Reset)
	}
	if len(policies) > 0 {
		// As net/http writes these names; it would have to find that out each time.
		both := [...]string{string(policies), string(left)}
		h["Ratelimit-Policy"], h["Ratelimit"] = both[:1:1], both[1:]
	}
}

// appendItem appends an item with two parameters to a list; seconds are rounded
// up.
func appendItem(list []byte, name limit.Name, counted string, count int, timed string, d time.Duration) []byte {
	if len(list) > 0 {
		list = append(list, ", "...)
	}
	list = append(append(append(list, '"'), name...), '"')
	list = strconv.AppendInt(append(list, counted...), int64(count), 10)
	return strconv.AppendInt(append(list, timed...), int64(math.Ceil(d.Seconds())), 10)
}
