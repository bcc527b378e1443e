package policy

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a policy file.
type Fault struct {
	Line, Column int // from 1, columns in code points; 0 where the whole file is meant
	// Mend is what is wrong and what to do. Of the file it holds at most words
	// of an expression.
	Mend string
}

// String is "line:column: mend".
func (f Fault) String() string {
	if f.Line == 0 {
		return f.Mend
	}
	return fmt.Sprintf("%d:%d: %s", f.Line, f.Column, f.Mend)
}

// Faults are all that is wrong with a policy file, in its order. It is an error.
type Faults []Fault

// Error lists the faults in one line.
func (f Faults) Error() string {
	all := make([]string, len(f))
	for i, fault := range f {
		all[i] = fault.String()
	}
	return strings.Join(all, "; ")
}
