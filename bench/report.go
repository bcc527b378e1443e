package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// row is one line of the table.
type row struct {
	what  string
	value string
	bound string  // what is to be reached; "" where the row only informs
	met   verdict // of the bound
}

type verdict string

const (
	informs verdict = ""
	passes  verdict = "pass"
	fails   verdict = "falls short"
)

func judge(met bool) verdict {
	if met {
		return passes
	}
	return fails
}

// spread are the values of several rounds.
type spread []float64

func (s spread) median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// show is the median, and where there are several rounds how far they lie apart.
func (s spread) show(format string) string {
	text := fmt.Sprintf(format, s.median())
	if len(s) > 1 {
		text += fmt.Sprintf(" ("+format+" to "+format+")", slices.Min(s), slices.Max(s))
	}
	return text
}

// over are the ratios of two series, round by round.
func (s spread) over(other spread) (ratios spread) {
	for i := range s {
		ratios = append(ratios, s[i]/other[i])
	}
	return ratios
}

// information is a row without a bound.
func information(what, value string) row { return row{what: what, value: value} }

// atLeast and atMost judge the median of rounds.
func atLeast(what string, values spread, format string, bound float64) row {
	return row{what, values.show(format), "≥ " + fmt.Sprintf(format, bound), judge(values.median() >= bound)}
}

func atMost(what string, values spread, format string, bound float64) row {
	return row{what, values.show(format), "≤ " + fmt.Sprintf(format, bound), judge(values.median() <= bound)}
}

// none is a row that passes where something has not happened at all.
func none(what string, count int) row {
	return row{what, fmt.Sprint(count), "0", judge(count == 0)}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// printTable prints one point's rows as Markdown.
func printTable(w io.Writer, p point, rows []row) {
	fmt.Fprintf(w, "\n### %d. %s\n\n%s\n\n", p.number, p.title, p.how)
	fmt.Fprintln(w, "| | value | target | |\n| --- | --- | --- | --- |")
	for _, r := range rows {
		verdict := string(r.met)
		if r.met == fails {
			verdict = "**" + verdict + "**"
		}
		cells := []string{r.what, r.value, r.bound, verdict}
		for i := range cells {
			cells[i] = strings.ReplaceAll(cells[i], "|", `\|`)
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
}
