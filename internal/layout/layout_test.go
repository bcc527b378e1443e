// Package layout_test holds the repository to its own rules.
package layout_test

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"farebox/internal/config"
)

const root = "../.."

// eachSource visits every package's code without tests; what comes from npm is
// not ours.
func eachSource(t *testing.T, visit func(path string) error) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.Name() == "node_modules":
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		return visit(path)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// imports are the imports of every package's code without tests, by folder.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	eachSource(t, func(path string) error {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		if found[folder] == nil {
			found[folder] = []string{} // a package may import nothing
		}
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found[folder] = append(found[folder], name)
		}
		return nil
	})
	if len(found) < 10 {
		t.Fatalf("only %d packages found", len(found))
	}
	return found
}

func TestImportsRunOneWay(t *testing.T) {
	t.Parallel()
	// What each of these may import of farebox; the leaves are free to all.
	leaves := []string{"farebox/internal/secret", "farebox/internal/limit", "farebox/internal/localguard", "farebox/internal/problem", "farebox/internal/poolplan", "farebox/internal/filewatch", "farebox/internal/recent", "farebox/internal/lane", "farebox/internal/jsontext"}
	allowed := map[string][]string{
		"internal/secret":     {},
		"internal/limit":      {},
		"internal/localguard": {},
		"internal/problem":    {},
		"internal/poolplan":   {},
		"bench/planning":      {},
		"internal/filewatch":  {},
		"internal/recent":     {},
		"internal/lane":       {},
		"vendor_client":       {},
		"session":             {},
		"web":                 {},
		"internal/policy":     {},
		"internal/telemetry":  {},
		"internal/sandbox":    {},
		"internal/identity":   {},
		"internal/health":     {},
		"internal/dev":        {},
		"internal/shard":      {},
		"internal/revocation": {"farebox/internal/identity", "farebox/internal/shard"},
		"internal/dispenser": {
			"farebox/vendor_client", "farebox/internal/identity", "farebox/internal/shard", "farebox/internal/revocation",
		},
		"internal/preflight": {
			"farebox/session", "farebox/vendor_client", "farebox/internal/policy", "farebox/internal/identity",
			"farebox/internal/shard", "farebox/internal/revocation",
		},
		"handlers": {
			"farebox/session", "farebox/vendor_client", "farebox/web", "farebox/internal/policy", "farebox/internal/dispenser",
			"farebox/internal/identity", "farebox/internal/telemetry", "farebox/internal/health", "farebox/internal/revocation",
		},
	}
	found := imports(t)
	for folder, may := range allowed {
		if found[folder] == nil {
			t.Errorf("there is no %s", folder)
		}
		for _, name := range found[folder] {
			if strings.HasPrefix(name, "farebox/") && !slices.Contains(may, name) && !slices.Contains(leaves, name) {
				t.Errorf("%s imports %s", folder, name)
			}
		}
	}
}

func TestOnlyHandlersImportsEcho(t *testing.T) {
	t.Parallel()
	importers := map[string]bool{}
	for folder, names := range imports(t) {
		for _, name := range names {
			if strings.HasPrefix(name, "github.com/labstack/") {
				importers[folder] = true
			}
		}
	}
	// The bench holds farebox against the least that a service on Echo costs.
	delete(importers, "bench/floor")
	if len(importers) != 1 || !importers["handlers"] {
		t.Errorf("Echo is imported by %v", importers)
	}
}

// They look up methods by names that the linker does not know, so it keeps every
// method of every package: eleven more megabytes.
func TestNothingImportsGosTemplates(t *testing.T) {
	t.Parallel()
	for folder, names := range imports(t) {
		for _, name := range names {
			if name == "text/template" || name == "html/template" {
				t.Errorf("%s imports %s", folder, name)
			}
		}
	}
}

func TestOnlyConfigReadsTheEnvironment(t *testing.T) {
	t.Parallel()
	reads := regexp.MustCompile(`os\.(Getenv|LookupEnv|Environ)\(`)
	eachSource(t, func(path string) error {
		data, err := os.ReadFile(path)
		if reads.Match(data) && path != filepath.Join(root, "main.go") && !strings.Contains(path, "internal/config/") {
			t.Errorf("%s reads the environment", path)
		}
		return err
	})
}

// Each example is to be copied whole, so what several need stands in each.
func TestTheExamplesKeepTheirCopiesAlike(t *testing.T) {
	t.Parallel()
	for _, copies := range [][]string{
		{"html/captions.js", "express/public/captions.js"},
		{"html/microphone.js", "express/public/microphone.js"},
		{"html/microphone.worklet.js", "express/public/microphone.worklet.js"},
		{"react/src/captions.jsx", "next/app/captions.jsx"},
		{"express/session-key.js", "next/lib/session-key.js"},
		{"express/farebox-session.js", "next/lib/farebox-session.js"},
		{"express/sessions.js", "next/lib/sessions.js"},
		{"html/style.css", "express/public/style.css", "react/src/style.css", "next/app/style.css"},
	} {
		var first []byte
		for i, path := range copies {
			data, err := os.ReadFile(filepath.Join(root, "examples", path))
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = data
			} else if !bytes.Equal(data, first) {
				t.Errorf("%s differs from %s", path, copies[0])
			}
		}
	}
}

// The README's table is what users read; the code's table is what runs.
func TestTheREADMEListsTheSettingsThatTheCodeKnows(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(data), "## Settings")
	table, _, _ = strings.Cut(table, "\n## ")
	name := regexp.MustCompile("`((?:FAREBOX_|ELEVENLABS_|REDIS_)[A-Z0-9_]+|PORT)`")
	listed := map[string]bool{}
	for _, line := range strings.Split(table, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, match := range name.FindAllStringSubmatch(cells[1], -1) {
			listed[match[1]] = true
			if strings.Contains(cells[1], "`_FILE`") {
				listed[match[1]+"_FILE"] = true
			}
		}
	}
	for _, known := range config.Names() {
		if !listed[known] {
			t.Errorf("the README does not list %s", known)
		}
		delete(listed, known)
	}
	for unknown := range listed {
		t.Errorf("the README lists %s, which the code does not know", unknown)
	}
}
