//go:build !race

package policy_test

import (
	"testing"

	"farebox/internal/policy"
)

// Who writes no expression pays for none.
func TestDecidingWithoutAnExpressionAllocatesNothing(t *testing.T) {
	p, err := policy.Read([]byte("tokens: {batch_scribe: {per_user: 60/1m}}"), []string{"batch_scribe"})
	if err != nil {
		t.Fatal(err)
	}
	caller := policy.Caller{Issuer: "https://issuer.example", Subject: "ada"}
	if got := testing.AllocsPerRun(200, func() { _, err = p.DecideToken(caller, "batch_scribe") }); got > 0 || err != nil {
		t.Errorf("%v allocations, %v", got, err)
	}
}
