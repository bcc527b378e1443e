package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// auditSchema is the published schema.
var auditSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	return compiler.Compile(filepath.Join("..", "..", "docs", "audit.schema.json"))
})

// checkLines holds all lines that a process wrote to what is promised of them:
// each audit line to its schema, and each line of serve's log to be JSON, with
// the request's id where it is about one.
func (p *process) checkLines() {
	isServe := p.cmd.Args[len(p.cmd.Args)-1] == "serve" && strings.Contains(p.text(), `"msg":"farebox serves"`)
	for line := range strings.Lines(p.text()) {
		if !strings.HasSuffix(line, "\n") {
			continue // it was killed in the middle
		}
		var fields map[string]any
		err := json.Unmarshal([]byte(line), &fields)
		switch {
		case err != nil && isServe:
			p.t.Errorf("a line of the log is no JSON: %s", line)
		case err != nil:
		case fields["audit"] == true:
			wantAuditLine(p.t, line)
		case fields["request_id"] == nil && (fields["msg"] == "request" || fields["msg"] == "request refused"):
			p.t.Errorf("a line about a request does not say which: %s", line)
		}
	}
}

// wantAuditLine holds a line to the schema.
func wantAuditLine(t *testing.T, line string) {
	t.Helper()
	schema, err := auditSchema()
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		t.Errorf("an audit line is not as its schema says: %v\n%s", err, line)
	}
}

// A schema that takes everything would hold nothing.
func TestTheAuditsSchemaRefusesWhatNoLineMayBe(t *testing.T) {
	t.Parallel()
	schema, err := auditSchema()
	if err != nil {
		t.Fatal(err)
	}
	const good = `{"time":"2026-11-25T03:46:28.1Z","event":"token_dispensed","audit":true,"request_id":"r","type":"realtime_scribe","outcome":"ok","source":"mint","sub_hash":"ZPa2eJsAChNwGye2kRkNZg","token_sha256":"30a30a9f62e4b125ae12b8341f1e15b935543f0b3b7cc88e7930217b41b95cc4","client":"127.0.0.1"}`
	check := func(text string) error {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(value)
	}
	if err := check(good); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string][2]string{
		"a token":               {`"client"`, `"token":"sutkn_1","client"`},
		"a token for its hash":  {"30a30a9f", "sutkn_30"},
		"a subject in clear":    {"ZPa2eJsAChNwGye2kRkNZg", "ada"},
		"an event of no name":   {"token_dispensed", "token_given"},
		"no request":            {`"request_id":"r",`, ""},
		"a refusal with token":  {"token_dispensed", "token_refused"},
		"an outcome of another": {`"outcome":"ok"`, `"outcome":"rate_limited"`},
		"no time":               {`"time":"2026-11-25T03:46:28.1Z",`, ""},
	} {
		changed := strings.Replace(good, change[0], change[1], 1)
		if changed == good || check(changed) == nil {
			t.Errorf("it takes %s", what)
		}
	}
}

func TestAuditLinesGoToTheirFileAndFollowARotation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	d := startDev(t, "FAREBOX_AUDIT_FILE="+path)
	session := d.signIn("ada")
	mint(t, d.url, scribePath, session, "")
	mint(t, d.url, scribePath, "no.session.atall", "")
	first := linesOf(t, path, 2)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	mint(t, d.url, scribePath, session, "")
	lines := append(first, linesOf(t, path, 1)...)
	for i, event := range []string{"token_dispensed", "token_refused", "token_dispensed"} {
		if !strings.Contains(lines[i], `"event":"`+event+`"`) {
			t.Errorf("line %d is not of %s: %s", i, event, lines[i])
		}
		wantAuditLine(t, lines[i])
	}
	if strings.Contains(d.text(), `"audit":true`) {
		t.Error("audit lines are in the log too")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// linesOf waits until a file has so many lines.
func linesOf(t *testing.T, path string, n int) []string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		data, _ := os.ReadFile(path)
		if strings.Count(string(data), "\n") == n {
			return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s has %q, want %d lines", path, data, n)
		}
	}
}

func TestAnAuditFileThatCannotBeWrittenIsASettingsFault(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, path := range []string{folder, filepath.Join(folder, "missing", "audit.log")} {
		p := start(t, []string{"dev"}, append(onLoopback, "FAREBOX_AUDIT_FILE="+path)...)
		if status := p.wait(); status != 2 || !strings.Contains(p.text(), "FAREBOX_AUDIT_FILE: ") {
			t.Errorf("%s: status %d: %s", path, status, p.text())
		}
	}
}
