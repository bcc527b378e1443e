//go:build !race

package session_test

import "testing"

func TestASessionThatIsKnownIsVerifiedWithinItsBudget(t *testing.T) {
	const most = 2
	v, raw := verifier(t, sharedSecret(t)), hs256(t, nil, nil)
	verify := func() {
		if _, err := v.Verify(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
	}
	verify()
	if got := testing.AllocsPerRun(200, verify); got > most {
		t.Errorf("%v allocations, and %d are allowed", got, most)
	}
}
