package preflight

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"farebox/internal/config"
	"farebox/session"
)

// What Verify can say is read from its code, so that a new reason is not
// forgotten here.
func TestEachReasonOfTheVerifierHasItsAdvice(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../session/*.go")
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`(?:invalid\(|rule: )"([^"]+)"`)
	reasons := []string{session.ErrKeysUnavailable.Error(), session.ErrOverloaded.Error()}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || filepath.Base(file) == "logout.go" {
			continue
		}
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range said.FindAllSubmatch(code, -1) {
			reasons = append(reasons, string(match[1]))
		}
	}
	if len(reasons) < 25 {
		t.Fatalf("only %d reasons were found", len(reasons))
	}
	all := advice()
	for _, reason := range reasons {
		r := unverified(reason, "FAREBOX_SESSION_JWKS_URL")
		if r.Reason != reason || r.Mend == "" {
			t.Errorf("%q has no advice", reason)
		}
		if r.Setting != "" && !slices.Contains(config.Names(), r.Setting) {
			t.Errorf("%q: %s is no setting", reason, r.Setting)
		}
		delete(all, reason)
	}
	for reason := range all {
		t.Errorf("the verifier never says %q", reason)
	}
}

func TestTheHostThatDoesNotKnowAKeyIsNoneOfTheOthers(t *testing.T) {
	t.Parallel()
	const eu = "api.eu.residency.elevenlabs.io"
	for host, others := range map[string]int{"api.elevenlabs.io": 3, eu: 3, "127.0.0.1:8081": 4} {
		if got := otherHosts(host); strings.Contains(got, "https://"+host) || strings.Count(got, "https://") != others {
			t.Errorf("%s: %s", host, got)
		}
	}
}

// The commands that are tried are read from the scripts that need them.
func TestTheRightsThatAreTriedAreThoseThatTheScriptsNeed(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("../*/*.lua")
	if err != nil {
		t.Fatal(err)
	}
	dispensers, err := filepath.Glob("../*/*/*.lua")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`redis\.p?call\('([A-Z]+)'`)
	needed := map[string]bool{}
	for _, script := range append(scripts, dispensers...) {
		code, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range call.FindAllSubmatch(code, -1) {
			needed[string(match[1])] = true
		}
	}
	delete(needed, "INFO") // the fence tries it
	if len(needed) < 15 {
		t.Fatalf("only %d commands were found", len(needed))
	}
	for command := range needed {
		if !strings.Contains(rightsSource, "try('"+command+"'") {
			t.Errorf("%s is not tried", command)
		}
	}
	for _, match := range regexp.MustCompile(`try\('([A-Z]+)'`).FindAllStringSubmatch(rightsSource, -1) {
		if !needed[match[1]] {
			t.Errorf("%s is tried, and no script needs it", match[1])
		}
	}
}
