package apidoc_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"farebox/internal/apidoc"
)

func TestAnAnswerThatIsNotAsDescribedIsToldThoughOthersLikeItWereGood(t *testing.T) {
	t.Parallel()
	d, err := apidoc.Open()
	if err != nil {
		t.Fatal(err)
	}
	const good = `{"type":"urn:farebox:problem:not_found","title":"Not found","status":404,"detail":"There is nothing here.","code":"not_found","request_id":"id-1"}`
	check := func(method, id string, status int, body string, more map[string]string) error {
		header := http.Header{"Content-Type": {"application/problem+json"}, "X-Request-Id": {id}, "Cache-Control": {"no-store"}}
		for name, value := range more {
			header.Set(name, value)
		}
		return d.Check(httptest.NewRequest(method, "/nowhere", nil), status, header, []byte(body))
	}
	for range 2 {
		if err := check(http.MethodGet, "id-1", 404, good, nil); err != nil {
			t.Fatal(err)
		}
	}
	for name, err := range map[string]error{
		"another body":                     check(http.MethodGet, "id-1", 404, good[:len(good)-1]+`,"more":1}`, nil),
		"another status":                   check(http.MethodGet, "id-1", 418, good, nil),
		"a header that is not named":       check(http.MethodGet, "id-1", 404, good, map[string]string{"X-More": "1"}),
		"an id that is none":               check(http.MethodGet, "id 1", 404, strings.Replace(good, "id-1", "id 1", 1), nil),
		"the id of another request":        check(http.MethodGet, "id-2", 404, good, nil),
		"a body where there is to be none": check(http.MethodHead, "id-1", 404, good, nil),
	} {
		if err == nil {
			t.Errorf("%s was found good", name)
		}
	}
}
