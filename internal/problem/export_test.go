package problem

import (
	"maps"
	"slices"
)

// Codes are all there are.
func Codes() []Code { return slices.Sorted(maps.Keys(kinds)) }
