package web

import (
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// Published are the files that everybody may read, from every origin, by their
// paths: the SDK with the element <farebox-voice>, and the description of the
// API. Their handlers answer GET and HEAD; the caller has matched path and
// method. They are safe for concurrent use.
func Published() (map[string]http.Handler, error) {
	names := []string{"openapi.yaml"}
	err := fs.WalkDir(files, "sdk", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	published := make(map[string]http.Handler, len(names))
	for _, name := range names {
		file, err := loadAsset(name, publishedType(name))
		if err != nil {
			return nil, err
		}
		caching := publishedCaching(name)
		published["/"+name] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", "*")
			h.Set("Cross-Origin-Resource-Policy", "cross-origin")
			h.Set("Cache-Control", caching)
			file.serve(w, r)
		})
	}
	return published, nil
}

func publishedType(name string) string {
	switch path.Ext(name) {
	case ".ts":
		return "application/typescript; charset=utf-8"
	case ".yaml":
		return "application/yaml" // RFC 9512
	}
	return contentTypeOf(path.Base(name))
}

// publishedCaching has other sites, which load these files with each of their
// pages, keep them for a while. The element is of several files: browsers ask
// each time whether they are still the same, so that a new version never runs
// with parts of an old one.
func publishedCaching(name string) string {
	if path.Dir(name) == "sdk" && !strings.HasPrefix(path.Base(name), "farebox-voice.") || name == "openapi.yaml" {
		return "public, max-age=300"
	}
	return "public, no-cache"
}
