package identity_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"farebox/internal/identity"
	"farebox/internal/secret"
)

func hasher(t *testing.T, secrets ...string) *identity.Hasher {
	t.Helper()
	var all []secret.Text
	for _, s := range secrets {
		all = append(all, secret.New(s))
	}
	h, err := identity.NewHasher(all)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHashesTellPartsPurposesAndSecretsApart(t *testing.T) {
	t.Parallel()
	old, young := strings.Repeat("o", 32), strings.Repeat("y", 32)
	h := hasher(t, old)
	seen := map[string]string{}
	for name, hash := range map[string]string{
		"two parts":             h.Sum("p", "ab", "c"),
		"parts cut elsewhere":   h.Sum("p", "a", "bc"),
		"one part":              h.Sum("p", "abc"),
		"an empty part more":    h.Sum("p", "abc", ""),
		"another purpose":       h.Sum("q", "abc"),
		"another secret":        hasher(t, young).Sum("p", "abc"),
		"a subject":             h.Subject("iss", "abc"),
		"a session":             h.Session("iss", "abc"),
		"another issuer's":      h.Subject("ssi", "abc"),
		"issuer and sub merged": h.Subject("issabc", ""),
	} {
		if other, twice := seen[hash]; twice {
			t.Errorf("%s and %s hash alike", name, other)
		}
		seen[hash] = name
		if len(hash) != 22 {
			t.Errorf("%s: %d characters", name, len(hash))
		}
	}
	if got := h.Session("iss", ""); got != "" {
		t.Errorf("no session hashes to %q", got)
	}
}

func TestTheFirstSecretWritesAndAllRead(t *testing.T) {
	t.Parallel()
	old, young := strings.Repeat("o", 32), strings.Repeat("y", 32)
	before, during := hasher(t, old), hasher(t, young, old)
	sums := during.Sums("p", "x")
	if len(sums) != 2 || sums[0] != during.Sum("p", "x") || sums[1] != before.Sum("p", "x") {
		t.Errorf("Sums = %v", sums)
	}
	for i, digest := range during.Digests("p", "x") {
		if base64.RawURLEncoding.EncodeToString([]byte(digest)) != sums[i] {
			t.Errorf("Digests has %q where Sums has %s", digest, sums[i])
		}
	}
	if _, err := identity.NewHasher(nil); err == nil {
		t.Error("no secret was accepted")
	}
}
