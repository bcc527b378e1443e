package vendorclient

import (
	"net/netip"
	"regexp"
)

var looksLikeAddress = regexp.MustCompile(`[0-9A-Fa-f:.]{3,45}`)

// namedAddress is the first IP address in the vendor's message, or "".
func namedAddress(message string) string {
	for _, text := range looksLikeAddress.FindAllString(message, 16) {
		// A sentence may end with it.
		for len(text) > 0 && text[len(text)-1] == '.' {
			text = text[:len(text)-1]
		}
		if address, err := netip.ParseAddr(text); err == nil {
			return address.String()
		}
	}
	return ""
}
