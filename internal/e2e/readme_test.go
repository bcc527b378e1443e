//go:build real

package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// What the README has people paste must work, and so must what dev prints.
func TestTheREADMEsLineHandsOutATokenThatWorksOnce(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^curl .*$`).FindString(string(readme))
	if line == "" {
		t.Fatal("the README has no such line")
	}
	d := startDev(t)
	line = strings.ReplaceAll(line, "http://localhost:8080", d.url)
	if !strings.Contains(d.text(), line) {
		t.Errorf("dev does not print the README's line:\n%s", line)
	}
	out, err := exec.Command("sh", "-c", line).Output()
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: 200, raw: string(out), body: map[string]any{}}
	if err := json.Unmarshal(out, &a.body); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	wantWorksOnce(t, a)
}
