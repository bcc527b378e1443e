//go:build real

package e2e_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What dev serves is valid by OpenAPI's own schema, and a document that is not
// so is found.
func TestTheDescriptionIsValidByOpenAPIsSchema(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	served := do(t, http.MethodGet, d.url+"/openapi.yaml", nil, "").raw
	for name, tt := range map[string]struct {
		document string
		valid    bool
	}{
		"served":                {served, true},
		"with an unknown field": {strings.Replace(served, "operationId:", "operationID:", 1), false},
	} {
		path := filepath.Join(t.TempDir(), "openapi.yaml")
		if err := os.WriteFile(path, []byte(tt.document), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("node", npmDir+"/node_modules/.bin/validate-api", path).CombinedOutput()
		if (err == nil) != tt.valid {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
