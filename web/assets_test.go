package web

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

// sources are the assets as they stand in the tree.
func sources(t *testing.T) map[string]string {
	t.Helper()
	entries, err := files.ReadDir("assets")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, entry := range entries {
		content, err := files.ReadFile("assets/" + entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		all[entry.Name()] = string(content)
	}
	return all
}

// shared are the parts of the SDK that the page uses, by their addresses from
// its assets.
func shared(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, content := range published(t) {
		if path.Dir(name) == "sdk/audio" {
			all["../"+name] = content
		}
	}
	return all
}

func TestAssetsAreServedWithTheirType(t *testing.T) {
	t.Parallel()
	base := serve(t, Config{}, Visitor{})
	types := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
	for name, content := range sources(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, body := send(t, http.MethodGet, base+"/assets/"+name, nil)
			if response.StatusCode != http.StatusOK || body != content {
				t.Errorf("status %d, %d bytes of %d", response.StatusCode, len(body), len(content))
			}
			for header, want := range map[string]string{
				"Content-Type":                 types[path.Ext(name)],
				"Cache-Control":                "no-cache",
				"Vary":                         "Accept-Encoding",
				"X-Content-Type-Options":       "nosniff",
				"Cross-Origin-Resource-Policy": "same-origin",
				"Content-Encoding":             "",
			} {
				if got := response.Header.Get(header); got != want {
					t.Errorf("%s is %q, want %q", header, got, want)
				}
			}
		})
	}
}

func TestAnAssetThatIsStillTheSameIsNotSentAgain(t *testing.T) {
	t.Parallel()
	base := serve(t, Config{}, Visitor{})
	tags := map[string]string{}
	for name, encoding := range map[string]string{"plain": "identity", "squeezed": "gzip"} {
		first, _ := send(t, http.MethodGet, base+"/assets/main.js", http.Header{"Accept-Encoding": {encoding}})
		tag := first.Header.Get("ETag")
		tags[tag] = name
		again, body := send(t, http.MethodGet, base+"/assets/main.js", http.Header{"Accept-Encoding": {encoding}, "If-None-Match": {tag}})
		if again.StatusCode != http.StatusNotModified || body != "" {
			t.Errorf("%s, the same: status %d, %d bytes", name, again.StatusCode, len(body))
		}
		changed, body := send(t, http.MethodGet, base+"/assets/main.js", http.Header{"Accept-Encoding": {encoding}, "If-None-Match": {`"old"`}})
		if changed.StatusCode != http.StatusOK || body == "" {
			t.Errorf("%s, changed: status %d, %d bytes", name, changed.StatusCode, len(body))
		}
	}
	other, _ := send(t, http.MethodGet, base+"/assets/dom.js", nil)
	tags[other.Header.Get("ETag")] = "another file"
	if len(tags) != 3 || tags[""] != "" {
		t.Errorf("entity tags are not each of one content: %v", tags)
	}
}

func TestGzipIsForThoseWhoTakeIt(t *testing.T) {
	t.Parallel()
	base := serve(t, Config{}, Visitor{})
	want := sources(t)["page.css"]
	for accept, squeezed := range map[string]bool{
		"": false, "identity": false, "br": false, "gzip;q=0": false, "gzip; q=0.000": false, "xgzip": false,
		"gzip": true, "br, GZIP": true, "gzip;q=0.5, br": true, "deflate, gzip;q=1.0": true,
	} {
		response, body := send(t, http.MethodGet, base+"/assets/page.css", http.Header{"Accept-Encoding": {accept}})
		if got := response.Header.Get("Content-Encoding") == "gzip"; got != squeezed {
			t.Errorf("Accept-Encoding %q: gzip is %v, want %v", accept, got, squeezed)
			continue
		}
		if squeezed {
			body = unzip(t, body)
		}
		if body != want {
			t.Errorf("Accept-Encoding %q: another content", accept)
		}
	}
}

func unzip(t *testing.T, body string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, z); err != nil { //nolint:gosec // our own content
		t.Fatal(err)
	}
	return b.String()
}

func TestNothingButAssetsIsServed(t *testing.T) {
	t.Parallel()
	assets := newPage(t, Config{}).Assets()
	for _, address := range []string{
		"/assets/", "/assets/index.html", "/assets/nothing.js", "/assets/../index.html", "/assets/%2e%2e/index.html",
		"/assets/..%2findex.html", "/assets/./main.js", "/assets//main.js", "/assets/main.js/", "/assets/main.js%00", "/assets/assets/main.js", "/index.html",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = address
		if unescaped, err := r.URL.Parse(address); err == nil && strings.Contains(address, "%") {
			r.URL.Path = unescaped.Path
		}
		w := httptest.NewRecorder()
		w.Header().Set("X-Request-Id", "R1")
		assets.ServeHTTP(w, r)
		wantProblem(t, address, w, http.StatusNotFound, "not_found")
	}
}

func TestAssetsAreOnlyRead(t *testing.T) {
	t.Parallel()
	assets := newPage(t, Config{}).Assets()
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		w := httptest.NewRecorder()
		w.Header().Set("X-Request-Id", "R1")
		assets.ServeHTTP(w, httptest.NewRequest(method, "/assets/main.js", nil))
		wantProblem(t, method, w, http.StatusMethodNotAllowed, "method_not_allowed")
		if got := w.Header().Get("Allow"); got != "GET, HEAD" {
			t.Errorf("%s: Allow is %q", method, got)
		}
	}
	w := httptest.NewRecorder()
	assets.ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/assets/main.js", nil))
	if w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("ETag") == "" {
		t.Errorf("HEAD: status %d, %d bytes", w.Code, w.Body.Len())
	}
}

func wantProblem(t *testing.T, what string, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var problem struct {
		Type, Title, Detail, Code string
		Status                    int
		RequestID                 string `json:"request_id"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
		t.Errorf("%s: status %d, no problem details: %v", what, w.Code, err)
		return
	}
	if w.Code != status || problem.Status != status || problem.Code != code || problem.RequestID != "R1" ||
		problem.Type == "" || problem.Title == "" || problem.Detail == "" ||
		w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: status %d, %+v", what, w.Code, problem)
	}
}

func TestEveryModuleThatIsImportedIsThere(t *testing.T) {
	t.Parallel()
	all := sources(t)
	maps.Copy(all, shared(t))
	imports := regexp.MustCompile(`(?:from |new URL\()'([^']+\.js)'`)
	reached := map[string]bool{}
	var follow func(name string)
	follow = func(name string) {
		if reached[name] {
			return
		}
		reached[name] = true
		if name == "../sdk/farebox.js" { // which is served beside the assets
			return
		}
		content, ok := all[name]
		if !ok {
			t.Errorf("%s is imported and not there", name)
		}
		for _, match := range imports.FindAllStringSubmatch(content, -1) {
			follow(strings.TrimPrefix(match[1], "./"))
		}
	}
	follow("main.js")
	for name := range all {
		if path.Ext(name) == ".js" && !reached[name] {
			t.Errorf("%s is there and not imported", name)
		}
	}
}

func TestAssetsHoldNothingOfOthersAndNoMarkup(t *testing.T) {
	t.Parallel()
	outside := regexp.MustCompile(`(?:https?|wss?):?//[^\s'"` + "`" + `]+`)
	sinks := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|cssText|setAttribute\('style'|@import|localStorage|sessionStorage|document\.cookie|console\.`)
	// The page's own addresses have to be relative.
	rooted := regexp.MustCompile(`(?:fetch|fetcher|addModule)\(['"` + "`" + `]/`)
	all := sources(t)
	maps.Copy(all, published(t))
	for name, content := range all {
		for _, address := range outside.FindAllString(content, -1) {
			if address != "http://www.w3.org/2000/svg" && path.Ext(name) != ".ts" {
				t.Errorf("%s names %s", name, address)
			}
		}
		if found := sinks.FindString(content); found != "" {
			t.Errorf("%s has %s", name, found)
		}
		if found := rooted.FindString(content); found != "" {
			t.Errorf("%s has a rooted address: %s", name, found)
		}
	}
}

func TestTheWholePageIsSmall(t *testing.T) {
	t.Parallel()
	const most = 60_000 // bytes over the wire, for a first visit
	base := serve(t, Config{Dev: true}, Visitor{})
	_, page := send(t, http.MethodGet, base+"/", nil)
	total := len(page)
	all := sources(t)
	maps.Copy(all, shared(t))
	all["../sdk/farebox.js"] = ""
	for name := range all {
		response, body := send(t, http.MethodGet, base+path.Join("/assets", name), http.Header{"Accept-Encoding": {"gzip"}})
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", name, response.StatusCode)
		}
		total += len(body)
	}
	if total >= most {
		t.Errorf("the page is %d bytes, at most %d", total, most)
	}
}
