package handlers

import (
	"fmt"
	"math"
	"net/http"
	"strings"

	"farebox/internal/limit"
)

// setRateLimit sets the RateLimit and RateLimit-Policy fields
// (draft-ietf-httpapi-ratelimit-headers). The global limit is nobody's own and
// is not shown.
func setRateLimit(h http.Header, states []limit.State) {
	var policies, left []string
	for _, s := range states {
		if s.Name == limit.Global {
			continue
		}
		policies = append(policies, fmt.Sprintf("%q;q=%d;w=%d", s.Name, s.Quota, int(math.Ceil(s.Window.Seconds()))))
		left = append(left, fmt.Sprintf("%q;r=%d;t=%d", s.Name, s.Remaining, int(math.Ceil(s.Reset.Seconds()))))
	}
	if len(policies) > 0 {
		h.Set("RateLimit-Policy", strings.Join(policies, ", "))
		h.Set("RateLimit", strings.Join(left, ", "))
	}
}
