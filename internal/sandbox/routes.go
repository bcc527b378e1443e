package sandbox

import (
	"net/http"
	"path"
	"strings"
)

// Handler answers all of the vendor's paths that are known, and the control
// endpoints, behind the guard.
func (s *Sandbox) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/single-use-token/{token_type}", s.call(opMint, http.MethodPost, s.mint))
	mux.Handle("/v1/models", s.call(opModels, http.MethodGet, s.models))
	mux.Handle("/v1/user", s.call(opUser, http.MethodGet, s.user))
	mux.Handle("/v1/convai/conversation/get-signed-url", s.call(opSignedURL, http.MethodGet, s.signedURL))
	mux.Handle("/v1/convai/conversation/token", s.call(opConversationToken, http.MethodGet, s.conversationToken))
	redeem := s.Redeem()
	for _, pattern := range s.RedeemPatterns() {
		mux.Handle(pattern, redeem)
	}
	mux.Handle("/_sandbox/", s.Control())
	refuse := func(w http.ResponseWriter, _ *http.Request, reason string) {
		writeError(w, apiError{status: 403, message: reason}, shapeString)
	}
	return showItself(s.guard.Wrap(s.exact(mux), refuse))
}

// RedeemPatterns are the paths of Redeem; those that end in a slash stand for
// everything below.
func (s *Sandbox) RedeemPatterns() []string {
	return []string{"/v1/speech-to-text", "/v1/speech-to-text/realtime", "/v1/text-to-speech/"}
}

// Redeem answers only the paths on which tokens are redeemed, without the
// guard, which is then the caller's duty. Its sockets still refuse an Origin
// that is not local.
func (s *Sandbox) Redeem() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/speech-to-text", s.call(opTranscribe, http.MethodPost, s.transcribe))
	mux.Handle("/v1/speech-to-text/realtime", s.call(opScribe, http.MethodGet, s.scribe))
	mux.Handle("/v1/text-to-speech/{voice_id}/stream-input", s.call(opSpeech, http.MethodGet, s.speech))
	mux.Handle("/v1/text-to-speech/{voice_id}/multi-stream-input", s.call(opSpeech, http.MethodGet, s.multiSpeech))
	return showItself(s.forPages(s.exact(mux)))
}

// exact has mux answer what it knows to the letter, and everything else with
// 501: left to itself, a mux redirects paths that it can tidy up.
func (s *Sandbox) exact(mux *http.ServeMux) http.Handler {
	other := s.call(opUnknown, "", unknown)
	mux.Handle("/", other)
	mux.Handle("/v1/text-to-speech", other)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tidy := path.Clean(r.URL.Path)
		if strings.HasSuffix(r.URL.Path, "/") && tidy != "/" {
			tidy += "/"
		}
		if tidy != r.URL.Path {
			other.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// showItself marks every answer as the sandbox's.
func showItself(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Farebox-Sandbox", "true")
		next.ServeHTTP(w, r)
	})
}

// forPages lets pages of local origins call across origins, as the vendor lets
// all pages.
func (s *Sandbox) forPages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Vary", "Origin")
		if origin := r.Header.Get("Origin"); origin != "" && s.guard.AllowsOrigin(origin) {
			h.Set("Access-Control-Allow-Origin", origin)
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				h.Set("Access-Control-Allow-Methods", "POST")
				h.Set("Access-Control-Allow-Headers", "Content-Type")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
