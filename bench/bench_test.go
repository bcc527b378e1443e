//go:build real

package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The figures of so short a run say nothing; that there are some says that every
// program and point still works.
func TestEveryPointYieldsItsTable(t *testing.T) {
	t.Parallel()
	farebox := filepath.Join(t.TempDir(), "farebox")
	if said, err := exec.CommandContext(t.Context(), "go", "build", "-o", farebox, "farebox").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	var progress bytes.Buffer
	b, err := newBench(t.Context(), farebox, "", smoke, &progress)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	for _, p := range points {
		rows, err := p.run(t.Context(), b)
		if err != nil {
			t.Fatalf("point %d: %v\n%s", p.number, err, progress.String())
		}
		var table bytes.Buffer
		printTable(&table, p, rows)
		judged := 0
		for _, r := range rows {
			if r.met != informs {
				judged++
			}
			if strings.Contains(r.value, "NaN") || strings.Contains(r.value, "Inf") {
				t.Errorf("point %d, %s: %s", p.number, r.what, r.value)
			}
		}
		if judged == 0 || strings.Count(table.String(), "\n| ") != len(rows)+2 {
			t.Errorf("point %d:\n%s", p.number, table.String())
		}
	}
}
