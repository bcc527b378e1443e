package handlers_test

import (
	"maps"
	"net/http"
	"sync"
	"testing"

	"farebox/internal/apidoc"

	"github.com/getkin/kin-openapi/openapi3"
)

var loadDescription = sync.OnceValues(apidoc.Open)

func openDescription(t *testing.T) *apidoc.Description {
	t.Helper()
	d, err := loadDescription()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// described is next, with every answer held against the description.
func described(t *testing.T, next http.Handler) http.Handler {
	t.Helper()
	return openDescription(t).Handler(next, func(err error) { t.Error(err) })
}

func TestTheDescriptionIsOpenAPI31(t *testing.T) {
	t.Parallel()
	d := openDescription(t)
	if err := d.Spec.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil || !d.Spec.IsOpenAPI31OrLater() {
		t.Errorf("%s: %v", d.Spec.OpenAPI, err)
	}
}

func TestTheDescriptionHasAnExampleOfEachCode(t *testing.T) {
	t.Parallel()
	d := openDescription(t)
	shown := map[string]bool{}
	for name, response := range d.Spec.Components.Responses {
		content := response.Value.Content["application/problem+json"]
		if content == nil {
			continue
		}
		for code, example := range content.Examples {
			value := example.Value.Value.(map[string]any)
			if value["code"] != code {
				t.Errorf("the example %s of %s has code %v", code, name, value["code"])
			}
			shown[code] = true
		}
	}
	for _, code := range d.Spec.Components.Schemas["Code"].Value.Enum {
		if !shown[code.(string)] {
			t.Errorf("%v has no example", code)
		}
		delete(shown, code.(string))
	}
	for code := range maps.Keys(shown) {
		t.Errorf("there is no code %s", code)
	}
}
