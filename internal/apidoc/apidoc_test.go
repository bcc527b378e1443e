package apidoc_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"farebox/internal/apidoc"
)

func TestAnAnswerThatIsNotAsDescribedIsFound(t *testing.T) {
	t.Parallel()
	d, err := apidoc.Open()
	if err != nil {
		t.Fatal(err)
	}
	const good = `{"type":"urn:farebox:problem:rate_limited","title":"T","status":429,"detail":"D","code":"rate_limited","request_id":"R1"}`
	limited := func(pairs ...string) http.Header {
		h := http.Header{"Content-Type": {"application/problem+json"}, "X-Request-Id": {"R1"}, "Cache-Control": {"no-store"}}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	named := func(id string) string { return strings.ReplaceAll(good, "R1", id) }
	token := http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"R1"}, "Cache-Control": {"no-store"}, "Pragma": {"no-cache"}}
	const granted = `{"token":"t","token_type":"batch_scribe","expires_at":"2026-11-24T10:15:00Z","expires_in":873,"base_url":"https://v","websocket_base_url":"wss://v","token_parameter":"token"}`
	answers := map[string]struct {
		status int
		header http.Header
		body   string
		good   bool
	}{
		"a token":                        {200, token, granted, true},
		"a problem":                      {429, limited("Retry-After", "7"), good, true},
		"without Retry-After":            {429, limited(), good, false},
		"an odd Retry-After":             {429, limited("Retry-After", "soon"), good, false},
		"another code of the status":     {429, limited("Retry-After", "7"), strings.ReplaceAll(good, "rate_limited", "overloaded"), false},
		"another status in the body":     {429, limited("Retry-After", "7"), strings.ReplaceAll(good, "429", "503"), false},
		"a field too few":                {429, limited("Retry-After", "7"), strings.ReplaceAll(good, `"title":"T",`, ""), false},
		"a field too many":               {429, limited("Retry-After", "7"), strings.ReplaceAll(good, `"title"`, `"vendor":"x","title"`), false},
		"a status that is not listed":    {418, limited(), good, false},
		"a problem under another status": {418, limited("Retry-After", "7"), good, false},
		"another type of content":        {200, http.Header{"Content-Type": {"text/html"}, "X-Request-Id": {"R1"}, "Cache-Control": {"no-store"}, "Pragma": {"no-cache"}}, granted, false},
		"a header that is not listed":    {429, limited("Retry-After", "7", "Server", "x"), good, false},
		"a token that may be stored":     {200, http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"R1"}, "Pragma": {"no-cache"}}, granted, false},
		"a token for another parameter":  {200, token, strings.ReplaceAll(granted, `"token_parameter":"token"`, `"token_parameter":"single_use_token"`), false},
		"no whole seconds":               {200, token, strings.ReplaceAll(granted, "873", "873.5"), false},
		"an id like a word of it":        {429, limited("Retry-After", "7", "X-Request-Id", "T"), named("T"), true},
		"that id, and no such word":      {429, limited("Retry-After", "7", "X-Request-Id", "T"), strings.ReplaceAll(named("T"), `"title":"T"`, `"title":""`), false},
		"an id that is none":             {429, limited("Retry-After", "7", "X-Request-Id", "R 1"), named("R 1"), false},
		"the id of another request":      {429, limited("Retry-After", "7", "X-Request-Id", "R2"), good, false},
		"no id":                          {429, limited("Retry-After", "7", "X-Request-Id", ""), named(""), false},
	}
	// What is wrong is looked at again when all that is good is known.
	for range 2 {
		for name, tt := range answers {
			r := httptest.NewRequest(http.MethodPost, "/v1/single-use-token/realtime_scribe", nil)
			if err := d.Check(r, tt.status, tt.header, []byte(tt.body)); (err == nil) != tt.good {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	head := httptest.NewRequest(http.MethodHead, "/nowhere", nil)
	if err := d.Check(head, 404, limited(), []byte(strings.NewReplacer("429", "404", "rate_limited", "not_found").Replace(good))); err == nil {
		t.Error("an answer to HEAD has a body")
	}
}
