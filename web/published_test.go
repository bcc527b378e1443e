package web

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
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

// published are the files of the SDK as they stand in the tree, by their paths.
func published(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(files, "sdk", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := files.ReadFile(name)
		all[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEverybodyMayReadWhatIsPublished(t *testing.T) {
	t.Parallel()
	const script, types = "text/javascript; charset=utf-8", "application/typescript; charset=utf-8"
	const kept, asked = "public, max-age=300", "public, no-cache"
	base := servePublished(t)
	for path, want := range map[string]struct{ contentType, caching string }{
		"/sdk/farebox.js":                {script, kept},
		"/sdk/farebox.d.ts":              {types, kept},
		"/sdk/farebox-voice.js":          {script, asked},
		"/sdk/farebox-voice.d.ts":        {types, asked},
		"/sdk/voice/looks.js":            {script, asked},
		"/sdk/audio/player.js":           {script, asked},
		"/sdk/audio/recorder.worklet.js": {script, asked},
		"/openapi.yaml":                  {"application/yaml", kept},
	} {
		response, body := send(t, http.MethodGet, base+path, nil)
		content, err := files.ReadFile(path[1:])
		if err != nil || response.StatusCode != http.StatusOK || body != string(content) {
			t.Errorf("%s: status %d, %d bytes of %d, %v", path, response.StatusCode, len(body), len(content), err)
		}
		tag := response.Header.Get("ETag")
		for header, want := range map[string]string{
			"Content-Type":                     want.contentType,
			"Access-Control-Allow-Origin":      "*",
			"Access-Control-Allow-Credentials": "",
			"Cross-Origin-Resource-Policy":     "cross-origin",
			"Cache-Control":                    want.caching,
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

func TestEveryModuleOfTheElementIsThere(t *testing.T) {
	t.Parallel()
	all := published(t)
	seen := 0
	for name, content := range all {
		for _, match := range regexp.MustCompile(`(?:from |new URL\()'(\.?\.?[^':]+\.js)'`).FindAllStringSubmatch(content, -1) {
			seen++
			// From a file of its own, and from where farebox answers.
			inFile, atBase := path.Join(path.Dir(name), match[1]), match[1]
			if all[inFile] == "" && all[atBase] == "" {
				t.Errorf("%s imports %s, which is not there", name, match[1])
			}
		}
	}
	if seen < 8 {
		t.Errorf("only %d imports found", seen)
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
	squeezed := squeeze(content)
	if response.Header.Get("Content-Encoding") != "gzip" || len(served) > most || len(squeezed) > most {
		t.Errorf("gzipped it is %d bytes as served, %d as a file, at most %d", len(served), len(squeezed), most)
	}
}

// The element with all its parts is as much as a page loads, beside the SDK.
func TestTheElementIsSmall(t *testing.T) {
	t.Parallel()
	const most = 12_000 // bytes
	base := servePublished(t)
	total := 0
	for name := range published(t) {
		if path.Ext(name) == ".js" && name != "sdk/farebox.js" {
			_, served := send(t, http.MethodGet, base+"/"+name, http.Header{"Accept-Encoding": {"gzip"}})
			total += len(served)
		}
	}
	if total > most {
		t.Errorf("gzipped it is %d bytes, at most %d", total, most)
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
