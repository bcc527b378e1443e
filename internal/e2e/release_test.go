//go:build real

package e2e_test

import (
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What runs in production cannot be made to take anything for a vendor, a
// Redis or a sign-in that is none.
func TestTheBuildForProductionHasNoPartsForDevelopers(t *testing.T) {
	t.Parallel()
	production := filepath.Join(t.TempDir(), "farebox")
	build := exec.Command("go", "build", "-tags", "release", "-o", production, "farebox")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	modules := func(path string) string {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.String()
	}
	for _, module := range []string{"github.com/alicebob/miniredis/v2", "github.com/coder/websocket"} {
		if !strings.Contains(modules(binary), module) {
			t.Errorf("the whole build is without %s", module)
		}
		if strings.Contains(modules(production), module) {
			t.Errorf("the build for production holds %s", module)
		}
	}
	for name, test := range map[string]struct {
		args   []string
		env    []string
		status int
		says   string
	}{
		"dev":               {[]string{"dev"}, nil, 1, "ends in -dev"},
		"sandbox":           {[]string{"sandbox"}, nil, 1, "ends in -dev"},
		"an embedded Redis": {[]string{"serve"}, []string{"REDIS_URL=memory:"}, 2, "REDIS_URL: is memory:, and this build"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(production, test.args...)
			cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, test.env...)
			out, _ := cmd.CombinedOutput()
			if cmd.ProcessState.ExitCode() != test.status || !strings.Contains(string(out), test.says) {
				t.Errorf("status %d: %s", cmd.ProcessState.ExitCode(), out)
			}
		})
	}
}
