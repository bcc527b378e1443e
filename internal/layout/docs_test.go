package layout_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"farebox/internal/problem"
)

// documents are the texts for users and contributors, by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == "testdata" || entry.Name() == ".git") {
			return fs.SkipDir
		}
		if entry.IsDir() || filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		found[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 5 {
		t.Fatalf("only %d documents found", len(found))
	}
	return found
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence   = regexp.MustCompile("(?ms)^```.*?^```$")
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// anchors are what the headings of a document can be linked by.
func anchors(text string) (all []string) {
	for _, found := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
				return r
			case r == ' ':
				return '-'
			}
			return -1
		}, strings.ToLower(found[1]))
		all = append(all, name)
	}
	return all
}

// Links within the project lead somewhere, to the heading too; whether other
// hosts answer is not for a test.
func TestLinksOfTheDocumentsLeadSomewhere(t *testing.T) {
	t.Parallel()
	all := documents(t)
	links := 0
	for name, text := range all {
		for _, found := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			links++
			file := name
			if target != "" {
				file = filepath.Join(filepath.Dir(name), target)
			}
			if _, err := os.Stat(filepath.Join(root, file)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, found[1])
				continue
			}
			if anchor != "" && !slices.Contains(anchors(all[file]), anchor) {
				t.Errorf("%s links to %s, which has no such heading", name, found[1])
			}
		}
	}
	if links < 10 {
		t.Errorf("only %d links found", links)
	}
}

// Whoever is woken by an alert is sent somewhere.
func TestRunbooksOfTheAlertsLeadSomewhere(t *testing.T) {
	t.Parallel()
	all := documents(t)
	alerts, err := os.ReadFile(filepath.Join(root, "deploy", "prometheus", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	runbooks := regexp.MustCompile(`(?m)^ +runbook: (\S+)$`).FindAllStringSubmatch(string(alerts), -1)
	if rules := strings.Count(string(alerts), "- alert: "); rules == 0 || len(runbooks) != rules {
		t.Errorf("%d rules have %d runbooks", rules, len(runbooks))
	}
	for _, runbook := range runbooks {
		file, anchor, _ := strings.Cut(runbook[1], "#")
		if text, is := all[file]; !is || anchor != "" && !slices.Contains(anchors(text), anchor) {
			t.Errorf("%s is not there", runbook[1])
		}
	}
}

// A document that nobody finds from the README is not there.
func TestEveryDocumentIsReachedFromTheREADME(t *testing.T) {
	t.Parallel()
	all := documents(t)
	reached := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if reached[name] {
			return
		}
		reached[name] = true
		for _, found := range link.FindAllStringSubmatch(all[name], -1) {
			target, _, _ := strings.Cut(found[1], "#")
			file := filepath.Join(filepath.Dir(name), target)
			if info, err := os.Stat(filepath.Join(root, file)); err == nil && info.IsDir() {
				file = filepath.Join(file, "README.md")
			}
			if _, is := all[file]; is {
				visit(file)
			}
		}
	}
	visit("README.md")
	for name := range all {
		if !reached[name] {
			t.Errorf("%s is reached by no link", name)
		}
	}
}

// The security file promises what tests show; those must exist.
func TestEveryTestThatTheSecurityFileNamesExists(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		code.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(documents(t)["SECURITY.md"], -1)
	if len(named) < 30 {
		t.Errorf("only %d tests are named", len(named))
	}
	for _, name := range named {
		if !strings.Contains(code.String(), "func "+name[1]+"(t *testing.T)") {
			t.Errorf("there is no %s", name[1])
		}
	}
}

// What users read of codes is what the program has, no more and no less.
func TestTheDocumentsKnowEveryCode(t *testing.T) {
	t.Parallel()
	all := documents(t)
	rows := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|")
	_, table, _ := strings.Cut(all["docs/errors.md"], "## What an app does")
	table, _, _ = strings.Cut(table, "\n## ")
	var documented []string
	for _, row := range rows.FindAllStringSubmatch(table, -1) {
		if row[1] != "code" { // the table's head
			documented = append(documented, row[1])
		}
	}
	for _, code := range problem.Codes() {
		if !slices.Contains(documented, string(code)) {
			t.Errorf("docs/errors.md has no %s", code)
		}
	}
	for _, code := range documented {
		if !slices.Contains(problem.Codes(), problem.Code(code)) {
			t.Errorf("docs/errors.md has %s, which the program has not", code)
		}
	}
}
