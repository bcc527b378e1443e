package history

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Summary is a History in figures.
type Summary struct {
	Requests int
	Granted  map[Source]int
	Refused  map[string]int // by code
	Faults   map[string]int // by kind
	Minted   int            // tokens, each once
	Repeats  int            // tokens that the vendor gave again
	Broken   map[Rule]int
}

// Summary is what was written down so far.
func (h *History) Summary() Summary {
	s := Summary{Broken: map[Rule]int{}}
	for _, v := range h.Violations() {
		s.Broken[v.Rule]++
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s.Granted, s.Refused, s.Faults = maps.Clone(h.granted), maps.Clone(h.refused), maps.Clone(h.faults)
	s.Minted = len(h.minted)
	for _, n := range h.repeats {
		s.Repeats += n
	}
	s.Requests = len(h.handOuts)
	for _, n := range s.Refused {
		s.Requests += n
	}
	return s
}

// String is the summary as a table.
func (s Summary) String() string {
	var b strings.Builder
	row := func(name string, value any) { fmt.Fprintf(&b, "%-12s %v\n", name, value) }
	row("requests", s.Requests)
	row("granted", list(s.Granted))
	row("refused", list(s.Refused))
	row("faults", list(s.Faults))
	row("minted", fmt.Sprintf("%d, %d given again", s.Minted, s.Repeats))
	for _, rule := range []Rule{Duplicate, Repeated, Twice, Expired, Invented, Mistyped} {
		row(string(rule), s.Broken[rule])
	}
	return b.String()
}

func list[K ~string](counts map[K]int) string {
	var parts []string
	total := 0
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
		total += counts[name]
	}
	return fmt.Sprintf("%d (%s)", total, strings.Join(parts, ", "))
}
