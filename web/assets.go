package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"farebox/internal/problem"
)

const assetsPrefix = "/assets/"

// asset is one embedded file. It is squeezed when it is first asked for like that:
// to squeeze them all takes a good part of the program's start.
type asset struct {
	contentType string
	plain       variant
	squeezed    func() variant
}

// variant is a file as it goes over the wire. Each has an ETag of its own
// (RFC 9110, 8.8.3.3).
type variant struct {
	content []byte
	etag    string
}

func newVariant(content []byte) variant {
	sum := sha256.Sum256(content)
	return variant{content: content, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}

func (p *Page) loadAssets() error {
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		return fmt.Errorf("web: %w", err)
	}
	p.assets = make(map[string]asset, len(entries))
	for _, entry := range entries {
		name := entry.Name()
		contentType := contentTypeOf(name)
		if contentType == "" {
			return fmt.Errorf("web: %s is of no known type", name)
		}
		if p.assets[name], err = loadAsset("assets/"+name, contentType); err != nil {
			return err
		}
	}
	return nil
}

func loadAsset(name, contentType string) (asset, error) {
	content, err := fs.ReadFile(files, name)
	if err != nil {
		return asset{}, fmt.Errorf("web: %w", err)
	}
	return asset{
		contentType: contentType, plain: newVariant(content),
		squeezed: sync.OnceValue(func() variant { return newVariant(squeeze(content)) }),
	}, nil
}

// contentTypeOf does not ask the machine's own table, which differs.
func contentTypeOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return ""
}

// Assets serves what stands under /assets/, for GET and HEAD. Browsers keep it
// and ask each time whether it is still the same (ETag), so that a new version
// never runs with parts of an old one.
func (p *Page) Assets() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			problem.Answer{Code: problem.MethodNotAllowed}.Write(w, r)
			return
		}
		name, _ := strings.CutPrefix(r.URL.Path, assetsPrefix)
		found, ok := p.assets[name]
		if !ok {
			problem.Answer{Code: problem.NotFound}.Write(w, r)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "no-cache")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		// An SVG is a document when it is opened by itself.
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'")
		found.serve(w, r)
	})
}

// serve answers GET and HEAD with the variant that the caller takes.
func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	sent := a.plain
	h.Add("Vary", "Accept-Encoding")
	if takesGzip(r) {
		sent = a.squeezed()
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", a.contentType)
	h.Set("ETag", sent.etag)
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(sent.content))
}

// squeeze cannot fail: the level is one of gzip's, and a buffer takes everything.
func squeeze(content []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = z.Write(content)
	_ = z.Close()
	return b.Bytes()
}

// takesGzip reports whether the caller names gzip among the codings that it
// takes and does not weigh it with nothing (RFC 9110, 12.5.3).
func takesGzip(r *http.Request) bool {
	for _, coding := range strings.Split(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			_, q, _ := strings.Cut(strings.ToLower(weight), "q=")
			return q == "" || strings.Trim(strings.TrimSpace(q), "0.") != ""
		}
	}
	return false
}
