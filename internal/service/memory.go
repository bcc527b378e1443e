package service

import (
	"errors"
	"log/slog"
	"math"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is how much of what a container may have the Go runtime aims to
// stay below; the rest is for what it does not count.
const memoryShare = 0.9

// boundMemory has memory collected harder rather than the process killed for
// having more than allowed says. GOMEMLIMIT, where set, is believed instead.
func boundMemory(allowed memlimit.Provider, log *slog.Logger) {
	limit, err := memlimit.Set(memlimit.WithProvider(allowed), memlimit.WithRatio(memoryShare))
	switch {
	case err == nil && limit < math.MaxInt64:
		log.Debug("memory is bounded", "bytes", limit)
	case err != nil && !errors.Is(err, memlimit.ErrNoCgroup) && !errors.Is(err, memlimit.ErrCgroupsNotSupported):
		log.Warn("memory is not bounded: what the container may have cannot be read", "error", err)
	}
}
