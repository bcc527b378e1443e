//go:build real

package e2e_test

import (
	"testing"

	"farebox/internal/testredis"
)

// startRedis starts one that is searched for secrets when its test ends.
func startRedis(t *testing.T, args ...string) *testredis.Server {
	t.Helper()
	return searchedToo(t, testredis.Start(t, args...))
}

// searchedToo has all that a server holds at the end of the test searched.
func searchedToo(t *testing.T, s *testredis.Server) *testredis.Server {
	t.Helper()
	t.Cleanup(func() {
		if found := secrets.find(s.Dump()); found != "" {
			t.Errorf("Redis holds %s", found)
		}
	})
	return s
}
