package service

import (
	"errors"
	"log/slog"
	"math"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// The limit is the process' own, so these do not run beside each other.
func TestMemoryIsBoundedByWhatTheContainerMayHave(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	const none = math.MaxInt64
	tests := []struct {
		name    string
		allowed memlimit.Provider
		setting string
		want    int64
		warns   bool
	}{
		{name: "with room for what Go does not count", allowed: memlimit.Limit(200 << 20), want: 180 << 20},
		{name: "not at all where there is no limit", allowed: fails(memlimit.ErrNoLimit), want: none},
		{name: "not at all outside of a container", allowed: fails(memlimit.ErrNoCgroup), want: none},
		{name: "not at all where no cgroup can be", allowed: fails(memlimit.ErrCgroupsNotSupported), want: none},
		{name: "with a warning where it cannot be read", allowed: fails(errors.New("broken")), want: none, warns: true},
		{name: "by GOMEMLIMIT instead where that is set", allowed: memlimit.Limit(200 << 20), setting: "100MiB", want: none},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			debug.SetMemoryLimit(none)
			if test.setting != "" { // the runtime reads it at the process' start alone
				t.Setenv("GOMEMLIMIT", test.setting)
			}
			var logged strings.Builder
			boundMemory(test.allowed, slog.New(slog.NewTextHandler(&logged, nil)))
			if got := debug.SetMemoryLimit(-1); got != test.want {
				t.Errorf("%d bytes, not %d", got, test.want)
			}
			if warned := strings.Contains(logged.String(), "level=WARN"); warned != test.warns {
				t.Errorf("logged %q", logged.String())
			}
		})
	}
}

func fails(err error) memlimit.Provider { return func() (uint64, error) { return 0, err } }
