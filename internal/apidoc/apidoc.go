// Package apidoc holds the answers of tests against the API's description,
// /openapi.yaml.
package apidoc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"

	"farebox/web"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Description is the API's own, as it is served. It is safe for concurrent use.
type Description struct {
	Spec   *openapi3.T
	router routers.Router
	good   sync.Map // digests of answers that were found as described
}

// Open reads the description that the program serves.
func Open() (*Description, error) {
	published, err := web.Published()
	if err != nil {
		return nil, err
	}
	served := httptest.NewRecorder()
	published["/openapi.yaml"].ServeHTTP(served, httptest.NewRequest(http.MethodGet, "/openapi.yaml", nil))
	return Parse(served.Body.Bytes())
}

// Parse reads a description.
func Parse(document []byte) (*Description, error) {
	spec, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return nil, err
	}
	router, err := gorillamux.NewRouter(spec)
	return &Description{Spec: spec, router: router}, err
}

// Beyond reports whether a path is not the API's own, and so not described: the
// page's files, and in dev what the vendor or its stand-in answers.
func Beyond(path string) bool {
	for _, other := range []string{"/assets/", "/_sandbox/", "/v1/speech-to-text", "/v1/text-to-speech/"} {
		if strings.HasPrefix(path, other) {
			return true
		}
	}
	return false
}

// Check holds an answer to r against the description: status, headers, type of
// content and body. A HEAD is described by its GET. Of what is Beyond, only the
// request's id is.
func (d *Description) Check(r *http.Request, status int, header http.Header, body []byte) error {
	if id := header.Values("X-Request-Id"); len(id) != 1 {
		return fmt.Errorf("X-Request-Id is %q", id)
	}
	if Beyond(r.URL.Path) {
		return nil
	}
	if r.Method == http.MethodHead {
		if len(body) > 0 {
			return errors.New("there is a body")
		}
		r = r.Clone(r.Context())
		r.Method = http.MethodGet
		return d.check(r, status, header, nil, true)
	}
	// A flood is of a few answers, and to validate one takes milliseconds, since
	// schemas are compiled for each.
	same := digest(r, status, header, body)
	if _, known := d.good.Load(same); !known {
		if err := d.check(r, status, header, body, false); err != nil {
			return err
		}
		d.good.Store(same, nil)
	}
	return agrees(header, body)
}

// digest is the same for answers that differ by nothing but which request they
// are to, and when.
func digest(r *http.Request, status int, header http.Header, body []byte) [sha256.Size]byte {
	id := header.Get("X-Request-Id")
	all := bytes.NewBufferString(fmt.Sprintf("%q %q %d %q\n", r.Method, r.URL.Path, status, form(id)))
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if name != "Date" && name != "X-Request-Id" {
			fmt.Fprintf(all, "%q %q\n", name, header[name])
		}
	}
	// No more than where a problem names the request: an id may be as short as a
	// letter that stands elsewhere too.
	all.Write(bytes.ReplaceAll(body, []byte(`"request_id":"`+id+`"`), nil))
	return sha256.Sum256(all.Bytes())
}

// form is how an id is written, without what it is.
func form(id string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return 'x'
		}
		return r
	}, id)
}

func (d *Description) check(r *http.Request, status int, header http.Header, body []byte, headersAlone bool) error {
	route, _, err := d.router.FindRoute(r)
	if err != nil {
		route = &routers.Route{Spec: d.Spec, Operation: &openapi3.Operation{Responses: d.answers()}}
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, Route: route},
		Status:                 status, Header: header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeResponseBody: headersAlone},
	}
	if err := openapi3filter.ValidateResponse(context.Background(), input); err != nil {
		return err
	}
	return undescribed(route.Operation.Responses.Status(status).Value, header, body)
}

// answers are those that any path and method can give, by status.
func (d *Description) answers() *openapi3.Responses {
	all := openapi3.NewResponsesWithCapacity(8)
	for status, name := range map[int]string{
		204: "Preflight", 400: "Malformed", 403: "OriginForbidden", 404: "NotFound", 405: "MethodNotAllowed", 413: "TooLarge", 431: "HeadersTooLarge",
	} {
		all.Set(strconv.Itoa(status), d.Spec.Components.Responses[name])
	}
	return all
}

// undescribed complains of what the description does not name.
func undescribed(response *openapi3.Response, header http.Header, body []byte) error {
	if response.Content == nil && len(body) > 0 {
		return errors.New("there is a body")
	}
	// These are any answer's.
	known := []string{"Content-Type", "Content-Length", "Date", "Vary", "X-Content-Type-Options", "Referrer-Policy", "X-Request-Id"}
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

// agrees complains of a problem that names another request than its header.
func agrees(header http.Header, body []byte) error {
	if header.Get("Content-Type") != "application/problem+json" {
		return nil
	}
	var problem struct {
		Type      string `json:"type"`
		Code      string `json:"code"`
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal(body, &problem); err != nil {
		return err
	}
	if problem.RequestID != header.Get("X-Request-Id") || problem.Type != "urn:farebox:problem:"+problem.Code {
		return fmt.Errorf("the problem %+v came with X-Request-Id %q", problem, header.Get("X-Request-Id"))
	}
	return nil
}
