package problem_test

import (
	"testing"

	"farebox/internal/problem"
)

func TestEveryProblemIsSomebodysDoing(t *testing.T) {
	t.Parallel()
	others := map[problem.Code]string{
		problem.VendorError: "vendor", problem.VendorUnavailable: "vendor", problem.VendorRefused: "vendor", problem.RequestInProgress: "vendor",
		problem.InternalError: "server", problem.SessionKeysUnavailable: "server", problem.Overloaded: "server",
	}
	for _, code := range problem.Codes() {
		want := "client"
		if others[code] != "" {
			want = others[code]
		}
		if got := code.Blame(); got != want {
			t.Errorf("%s is %s's doing, want %s", code, got, want)
		}
	}
}
