package config

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with one setting.
type Fault struct {
	Setting string // its name
	Mend    string // what is wrong and what to do, without the setting's value
}

// Faults are all faults of a Config. It is an error.
type Faults []Fault

// Error lists the faults, one a line.
func (f Faults) Error() string {
	var b strings.Builder
	names := map[string]bool{}
	for _, fault := range f {
		names[fault.Setting] = true
	}
	noun := "settings need"
	if len(names) == 1 {
		noun = "setting needs"
	}
	fmt.Fprintf(&b, "%d %s attention:", len(names), noun)
	for _, fault := range f {
		fmt.Fprintf(&b, "\n  %s: %s", fault.Setting, fault.Mend)
	}
	return b.String()
}
