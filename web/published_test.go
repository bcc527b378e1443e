package web

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func servePublished(t *testing.T) string {
	t.Helper()
	published, err := Published()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for path, handler := range published {
		mux.Handle(path, handler)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestEverybodyMayReadWhatIsPublished(t *testing.T) {
	t.Parallel()
	base := servePublished(t)
	for path, contentType := range map[string]string{
		"/sdk/farebox.js":   "text/javascript; charset=utf-8",
		"/sdk/farebox.d.ts": "application/typescript; charset=utf-8",
		"/openapi.yaml":     "application/yaml",
	} {
		response, body := send(t, http.MethodGet, base+path, nil)
		want, err := files.ReadFile(path[1:])
		if err != nil || response.StatusCode != http.StatusOK || body != string(want) {
			t.Errorf("%s: status %d, %d bytes of %d, %v", path, response.StatusCode, len(body), len(want), err)
		}
		tag := response.Header.Get("ETag")
		for header, want := range map[string]string{
			"Content-Type":                     contentType,
			"Access-Control-Allow-Origin":      "*",
			"Access-Control-Allow-Credentials": "",
			"Cross-Origin-Resource-Policy":     "cross-origin",
			"Cache-Control":                    "public, max-age=300",
			"Vary":                             "Accept-Encoding",
		} {
			if got := response.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", path, header, got, want)
			}
		}
		if again, _ := send(t, http.MethodGet, base+path, http.Header{"If-None-Match": {tag}}); tag == "" || again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: the same again is %d, entity tag %q", path, again.StatusCode, tag)
		}
	}
}

func TestTheSDKIsSmall(t *testing.T) {
	t.Parallel()
	const most = 3000 // bytes
	base := servePublished(t)
	response, served := send(t, http.MethodGet, base+"/sdk/farebox.js", http.Header{"Accept-Encoding": {"gzip"}})
	content, err := files.ReadFile("sdk/farebox.js")
	if err != nil {
		t.Fatal(err)
	}
	squeezed, err := squeeze(content)
	if err != nil {
		t.Fatal(err)
	}
	if response.Header.Get("Content-Encoding") != "gzip" || len(served) > most || len(squeezed) > most {
		t.Errorf("gzipped it is %d bytes as served, %d as a file, at most %d", len(served), len(squeezed), most)
	}
}

// codes are the words between two marks of a published file, sorted.
func codes(t *testing.T, name, from, to, pattern string) []string {
	t.Helper()
	content, err := files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(string(content), from)
	list, _, ends := strings.Cut(list, to)
	if !found || !ends {
		t.Fatalf("%s has no list of codes", name)
	}
	var all []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(list, -1) {
		all = append(all, match[1])
	}
	slices.Sort(all)
	return all
}

func TestTheTypesKnowTheCodesOfTheDescription(t *testing.T) {
	t.Parallel()
	described := codes(t, "openapi.yaml", "\n    Code:", "\n    Problem:", `(?m)^ +- ([a-z_]+)$`)
	typed := codes(t, "sdk/farebox.d.ts", "type FareboxErrorCode =", "/**", `'([a-z_]+)'`)
	if diff := cmp.Diff(described, typed); diff != "" || len(typed) < 20 {
		t.Errorf("codes (-openapi.yaml +farebox.d.ts):\n%s", diff)
	}
}
