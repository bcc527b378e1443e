//go:build real

package main

import (
	"bytes"
	"io"
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
	b, err := newBench(t.Context(), farebox, "", smoke, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close) // once all points have ended
	for _, p := range points {
		t.Run(p.title, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			var progress bytes.Buffer
			own := *b
			own.progress = &progress
			rows, err := p.run(t.Context(), &own)
			if err != nil {
				t.Fatalf("%v\n%s", err, progress.String())
			}
			var table bytes.Buffer
			printTable(&table, p, rows)
			judged := 0
			for _, r := range rows {
				if r.met != informs {
					judged++
				}
				if strings.Contains(r.value, "NaN") || strings.Contains(r.value, "Inf") {
					t.Errorf("%s: %s", r.what, r.value)
				}
			}
			if judged == 0 || strings.Count(table.String(), "\n| ") != len(rows)+2 {
				t.Error(table.String())
			}
		})
	}
}
