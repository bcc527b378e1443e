package handlers_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"farebox/web"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// description is the API's own, as it is served.
type description struct {
	spec   *openapi3.T
	router routers.Router
}

var loadDescription = sync.OnceValues(func() (*description, error) {
	published, err := web.Published()
	if err != nil {
		return nil, err
	}
	served := httptest.NewRecorder()
	published["/openapi.yaml"].ServeHTTP(served, httptest.NewRequest(http.MethodGet, "/openapi.yaml", nil))
	spec, err := openapi3.NewLoader().LoadFromData(served.Body.Bytes())
	if err != nil {
		return nil, err
	}
	router, err := gorillamux.NewRouter(spec)
	return &description{spec, router}, err
})

func openDescription(t *testing.T) *description {
	t.Helper()
	d, err := loadDescription()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// answers are those that any path can give, by status.
func (d *description) answers() *openapi3.Responses {
	all := openapi3.NewResponsesWithCapacity(4)
	for status, name := range map[int]string{400: "Malformed", 403: "OriginForbidden", 404: "NotFound", 405: "MethodNotAllowed", 413: "TooLarge", 431: "HeadersTooLarge"} {
		all.Set(strconv.Itoa(status), d.spec.Components.Responses[name])
	}
	return all
}

// check holds an answer against the description.
func (d *description) check(r *http.Request, status int, header http.Header, body []byte) error {
	if r.Method == http.MethodHead || r.Method == http.MethodOptions && status == http.StatusNoContent {
		return nil // described by its GET; a preflight is CORS' own
	}
	route, _, err := d.router.FindRoute(r)
	if err != nil {
		route = &routers.Route{Spec: d.spec, Operation: &openapi3.Operation{Responses: d.answers()}}
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, Route: route},
		Status:                 status, Header: header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateResponse(context.Background(), input); err != nil {
		return err
	}
	return undescribed(route.Operation.Responses.Status(status).Value, header, body)
}

// undescribed complains of what the description does not name.
func undescribed(response *openapi3.Response, header http.Header, body []byte) error {
	if response.Content == nil && len(body) > 0 {
		return errors.New("there is a body")
	}
	// These are any answer's.
	known := []string{"Content-Type", "Content-Length", "Vary", "X-Content-Type-Options", "Referrer-Policy", "X-Request-Id"}
	for name := range response.Headers {
		known = append(known, http.CanonicalHeaderKey(name))
	}
	for name := range header {
		if !slices.Contains(known, name) && !strings.HasPrefix(name, "Access-Control-") {
			return errors.New("there is a header " + name)
		}
	}
	return nil
}

// described is next, with every answer held against the description.
func described(t *testing.T, next http.Handler) http.Handler {
	t.Helper()
	d := openDescription(t)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kept := &keeper{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(kept, r)
		if err := d.check(r, kept.status, w.Header(), kept.body.Bytes()); err != nil {
			t.Errorf("%s %s was answered with %d, which is not as /openapi.yaml has it: %v", r.Method, r.URL.Path, kept.status, err)
		}
	})
}

// keeper keeps what is answered.
type keeper struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (k *keeper) WriteHeader(status int) {
	k.status = status
	k.ResponseWriter.WriteHeader(status)
}

func (k *keeper) Write(p []byte) (int, error) {
	k.body.Write(p)
	return k.ResponseWriter.Write(p)
}

func (k *keeper) Unwrap() http.ResponseWriter { return k.ResponseWriter }

func TestTheDescriptionIsOpenAPI31(t *testing.T) {
	t.Parallel()
	d := openDescription(t)
	if err := d.spec.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil || !d.spec.IsOpenAPI31OrLater() {
		t.Errorf("%s: %v", d.spec.OpenAPI, err)
	}
}

func TestTheDescriptionHasAnExampleOfEachCode(t *testing.T) {
	t.Parallel()
	d := openDescription(t)
	shown := map[string]bool{}
	for name, response := range d.spec.Components.Responses {
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
	for _, code := range d.spec.Components.Schemas["Code"].Value.Enum {
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
		if err := d.check(r, tt.status, tt.header, []byte(tt.body)); (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
