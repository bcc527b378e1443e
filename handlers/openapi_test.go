package handlers_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
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

func TestAnAnswerThatIsNotAsDescribedIsFound(t *testing.T) {
	t.Parallel()
	d := openDescription(t)
	const good = `{"type":"urn:farebox:problem:rate_limited","title":"T","status":429,"detail":"D","code":"rate_limited","request_id":"R1"}`
	limited := func(pairs ...string) http.Header {
		return with(http.Header{"Content-Type": {"application/problem+json"}, "X-Request-Id": {"R1"}, "Cache-Control": {"no-store"}}, pairs...)
	}
	token := http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"R1"}, "Cache-Control": {"no-store"}, "Pragma": {"no-cache"}}
	const granted = `{"token":"t","token_type":"batch_scribe","expires_at":"2026-11-24T10:15:00Z","expires_in":873,"base_url":"https://v","websocket_base_url":"wss://v","token_parameter":"token"}`
	for name, tt := range map[string]struct {
		status int
		header http.Header
		body   string
		good   bool
	}{
		"a token":                       {200, token, granted, true},
		"a problem":                     {429, limited("Retry-After", "7"), good, true},
		"without Retry-After":           {429, limited(), good, false},
		"an odd Retry-After":            {429, limited("Retry-After", "soon"), good, false},
		"another code of the status":    {429, limited("Retry-After", "7"), strings.ReplaceAll(good, "rate_limited", "overloaded"), false},
		"another status in the body":    {429, limited("Retry-After", "7"), strings.ReplaceAll(good, "429", "503"), false},
		"a field too few":               {429, limited("Retry-After", "7"), strings.ReplaceAll(good, `"title":"T",`, ""), false},
		"a field too many":              {429, limited("Retry-After", "7"), strings.ReplaceAll(good, `"title"`, `"vendor":"x","title"`), false},
		"a status that is not listed":   {418, limited(), good, false},
		"another type of content":       {200, http.Header{"Content-Type": {"text/html"}, "X-Request-Id": {"R1"}, "Cache-Control": {"no-store"}, "Pragma": {"no-cache"}}, granted, false},
		"a header that is not listed":   {429, limited("Retry-After", "7", "Server", "x"), good, false},
		"a token that may be stored":    {200, http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"R1"}, "Pragma": {"no-cache"}}, granted, false},
		"a token for another parameter": {200, token, strings.ReplaceAll(granted, `"token_parameter":"token"`, `"token_parameter":"single_use_token"`), false},
		"no whole seconds":              {200, token, strings.ReplaceAll(granted, "873", "873.5"), false},
	} {
		r := httptest.NewRequest(http.MethodPost, scribePath, nil)
		if err := d.Check(r, tt.status, tt.header, []byte(tt.body)); (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
