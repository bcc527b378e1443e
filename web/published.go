package web

import "net/http"

// Published are the files that everybody may read, from every origin, by their
// paths: the SDK and the description of the API. Their handlers answer GET and
// HEAD; the caller has matched path and method. They are safe for concurrent
// use.
func Published() (map[string]http.Handler, error) {
	published := map[string]http.Handler{}
	for name, contentType := range map[string]string{
		"sdk/farebox.js":   contentTypeOf(".js"),
		"sdk/farebox.d.ts": "application/typescript; charset=utf-8",
		"openapi.yaml":     "application/yaml", // RFC 9512
	} {
		file, err := loadAsset(name, contentType)
		if err != nil {
			return nil, err
		}
		published["/"+name] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", "*")
			h.Set("Cross-Origin-Resource-Policy", "cross-origin")
			// Other sites load them with each of their pages.
			h.Set("Cache-Control", "public, max-age=300")
			file.serve(w, r)
		})
	}
	return published, nil
}
