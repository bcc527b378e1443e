package problem_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"farebox/internal/apidoc"
	"farebox/internal/problem"

	"github.com/google/go-cmp/cmp"
)

func TestEachCodeIsDescribedAndEachDescribedOneIsACode(t *testing.T) {
	t.Parallel()
	d, err := apidoc.Open()
	if err != nil {
		t.Fatal(err)
	}
	var described []problem.Code
	for _, code := range d.Spec.Components.Schemas["Code"].Value.Enum {
		described = append(described, problem.Code(code.(string)))
	}
	slices.Sort(described)
	if diff := cmp.Diff(problem.Codes(), described); diff != "" {
		t.Error(diff)
	}
}

func TestAnAnswerToHEADHasNoBody(t *testing.T) {
	t.Parallel()
	for method, body := range map[string]bool{http.MethodGet: true, http.MethodHead: false} {
		w := httptest.NewRecorder()
		problem.Answer{Code: problem.NotFound}.Write(w, httptest.NewRequest(method, "/", nil))
		if w.Code != http.StatusNotFound || (w.Body.Len() > 0) != body {
			t.Errorf("%s: %d %s", method, w.Code, w.Body)
		}
	}
}
