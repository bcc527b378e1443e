package layout_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// groups are what the first group of a pattern finds, sorted, each once.
func groups(pattern, text string) (all []string) {
	for _, found := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, found[1])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestTheREADMEAndTheUsageHaveTheCommandsOfTheProgram(t *testing.T) {
	t.Parallel()
	code, readme := read(t, "main.go"), read(t, "README.md")
	_, usage, _ := strings.Cut(code, "const usage = `")
	usage, _, _ = strings.Cut(usage, "`")
	commands := groups(`(?m)^\t\t"([a-z]+)":`, code)
	commands = slices.DeleteFunc(commands, func(name string) bool { return name == "help" })
	if len(commands) < 8 {
		t.Fatalf("only %v were found", commands)
	}
	for where, got := range map[string][]string{
		"README.md": groups("(?m)^\\| `farebox ([a-z]+)", readme), "the usage": groups(`(?m)^  farebox ([a-z]+)`, usage),
	} {
		if !slices.Equal(got, commands) {
			t.Errorf("%s has the commands %v, main.go %v", where, got, commands)
		}
	}
}

func TestTheREADMEAndTheUsageHaveTheFlagsOfTheProgram(t *testing.T) {
	t.Parallel()
	code, readme := read(t, "main.go"), read(t, "README.md")
	flags := groups(`flags\.[A-Za-z]+\((?:&[A-Za-z.]+, )?"([a-z-]+)"`, code)
	if len(flags) < 7 {
		t.Fatalf("only %v were found", flags)
	}
	table := strings.Join(groups("(?m)^(\\| `farebox .*)$", readme), "\n")
	if got := groups("--([a-z-]+)", table); !slices.Equal(got, flags) {
		t.Errorf("README.md has the flags %v, main.go %v", got, flags)
	}
	_, usage, _ := strings.Cut(code, "const usage = `")
	usage, _, _ = strings.Cut(usage, "`")
	for _, flag := range groups("--([a-z-]+)", usage) {
		if !slices.Contains(flags, flag) {
			t.Errorf("the usage has --%s, which no command takes", flag)
		}
	}
}

func TestTheAuditsDocumentAndSchemaHaveItsEvents(t *testing.T) {
	t.Parallel()
	events := groups(`(?m)^\tEvent[A-Za-z]+ += "([a-z_]+)"`, read(t, "internal/telemetry/audit.go"))
	if len(events) < 7 {
		t.Fatalf("only %v were found", events)
	}
	enum := groups(`"event": \{"enum": \[([^\]]*)\]\},\n`, read(t, "docs/audit.schema.json"))
	for where, got := range map[string][]string{
		"docs/audit.md": groups("(?m)^\\| `([a-z]+_[a-z_]+)` \\|", read(t, "docs/audit.md")), "docs/audit.schema.json": groups(`"([a-z_]+)"`, strings.Join(enum, "")),
	} {
		if !slices.Equal(got, events) {
			t.Errorf("%s has the events %v, the program %v", where, got, events)
		}
	}
}
