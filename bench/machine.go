package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// printMachine says on what, with what and when was measured.
func printMachine(ctx context.Context, w io.Writer, b *bench, number int, brief bool) {
	command := "make bench"
	if number != 0 {
		command += fmt.Sprintf(" POINT=%d", number)
	}
	if brief {
		command += " BRIEF=1"
	}
	said := func(words ...string) string {
		out, err := exec.CommandContext(ctx, words[0], words[1:]...).Output()
		if err != nil {
			return "unknown"
		}
		return strings.TrimSpace(string(out))
	}
	for _, fact := range [][2]string{
		{"date", time.Now().UTC().Format("2006-01-02 15:04 UTC")},
		{"command", "`" + command + "`"},
		{"farebox", said(b.farebox, "version")},
		{"processor", fmt.Sprintf("%s, %d cores for everything, load program included", processor(), runtime.NumCPU())},
		{"system", runtime.GOOS + " " + said("uname", "-r") + ", " + runtime.GOARCH},
		{"programs", strings.Join([]string{runtime.Version(), said(b.redisServer, "--version"), "Node " + said(b.node, "--version")}, "; ")},
	} {
		fmt.Fprintf(w, "- %s: %s\n", fact[0], fact[1])
	}
	fmt.Fprintln(w, "\nFigures are medians of rounds in turn, with the least and the greatest in brackets. us and ms are micro- and milliseconds; CPU is processor time, of the user and the system together.")
}

func processor() string {
	data, _ := os.ReadFile("/proc/cpuinfo")
	for _, line := range strings.Split(string(data), "\n") {
		if name, model, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return "unknown"
}
