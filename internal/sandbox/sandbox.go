package sandbox

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"farebox/internal/localguard"
)

// Config is what a Sandbox may be told. The zero Config is good.
type Config struct {
	TokenLifetime time.Duration    // 0: 15 minutes
	Now           func() time.Time // nil: time.Now
	Log           *slog.Logger     // nil: nothing is logged
	Guard         localguard.Guard // who may talk to it
}

// Sandbox is the stand-in for the vendor. It is safe for concurrent use.
type Sandbox struct {
	guard  localguard.Guard
	now    func() time.Time
	log    *slog.Logger
	tokens *tokens
	faults *faults
	calls  *calls
}

const (
	defaultLifetime = 15 * time.Minute
	longestLifetime = 24 * time.Hour
)

// New returns a Sandbox.
func New(cfg Config) (*Sandbox, error) {
	if cfg.TokenLifetime < 0 || cfg.TokenLifetime > longestLifetime {
		return nil, errors.New("sandbox: the token lifetime must lie between 0 and 24 hours")
	}
	if cfg.TokenLifetime == 0 {
		cfg.TokenLifetime = defaultLifetime
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Sandbox{
		guard: cfg.Guard, now: cfg.Now, log: cfg.Log,
		tokens: newTokens(cfg.TokenLifetime, cfg.Now), faults: &faults{}, calls: &calls{now: cfg.Now},
	}, nil
}

// RealKey reports whether key looks like a key of the real vendor.
func RealKey(key string) bool { return strings.HasPrefix(strings.TrimSpace(key), "sk_") }

// Handler answers all of the vendor's paths that are known, and the control
// endpoints, behind the guard.
func (s *Sandbox) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/single-use-token/{token_type}", s.call(opMint, http.MethodPost, s.mint))
	mux.Handle("/v1/models", s.call(opModels, http.MethodGet, s.models))
	mux.Handle("/v1/convai/conversation/get-signed-url", s.call(opSignedURL, http.MethodGet, s.signedURL))
	mux.Handle("/v1/convai/conversation/token", s.call(opConversationToken, http.MethodGet, s.conversationToken))
	for _, pattern := range s.RedeemPatterns() {
		mux.Handle(pattern, s.Redeem())
	}
	mux.Handle("/_sandbox/", s.Control())
	mux.Handle("/", s.call(opUnknown, "", unknown))
	return s.guard.Wrap(showItself(mux), nil)
}

// RedeemPatterns are the paths of Redeem; those that end in a slash stand for
// everything below.
func (s *Sandbox) RedeemPatterns() []string {
	return []string{"/v1/speech-to-text", "/v1/speech-to-text/realtime", "/v1/text-to-speech/"}
}

// Redeem answers only the paths on which tokens are redeemed, without the
// guard, which is then the caller's duty.
func (s *Sandbox) Redeem() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/speech-to-text", s.call(opTranscribe, http.MethodPost, s.transcribe))
	mux.Handle("/v1/speech-to-text/realtime", s.call(opScribe, http.MethodGet, s.scribe))
	mux.Handle("/v1/text-to-speech/{voice_id}/stream-input", s.call(opSpeech, http.MethodGet, s.speech))
	mux.Handle("/v1/text-to-speech/{voice_id}/multi-stream-input", s.call(opSpeech, http.MethodGet, s.multiSpeech))
	mux.Handle("/", s.call(opUnknown, "", unknown))
	return showItself(s.forPages(mux))
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
		origin := r.Header.Get("Origin")
		if origin == "" || !s.guard.AllowsOrigin(origin) {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Vary", "Origin")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", "POST")
			h.Set("Access-Control-Allow-Headers", "Content-Type")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// The operations, as faults and records name them.
const (
	opMint              = "mint"
	opModels            = "models"
	opSignedURL         = "signed_url"
	opConversationToken = "conversation_token"
	opScribe            = "scribe"
	opSpeech            = "speech"
	opTranscribe        = "transcribe"
	opUnknown           = "unknown"
)

// operations are those that faults can be for.
func operations() []string {
	return []string{opMint, opModels, opSignedURL, opConversationToken, opScribe, opSpeech, opTranscribe}
}

// exchange is one call under way.
type exchange struct {
	w http.ResponseWriter
	r *http.Request
	// fault is the injected fault for the socket to show, where it is not an
	// HTTP answer; nil for none.
	fault *Fault
}

// call makes a handler of an operation: recorded, with its faults, and with a
// key where the operation needs one.
func (s *Sandbox) call(operation, method string, handle func(*exchange)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if RealKey(r.Header.Get("xi-api-key")) {
			writeError(w, faultKinds["key_invalid"], "")
			return
		}
		recorder := &statusRecorder{ResponseWriter: w}
		x := &exchange{w: recorder, r: r}
		fault := s.faults.next(operation)
		// Recorded before it is answered, so that who has the answer finds it.
		record := s.calls.begin(operation, r, fault)
		defer func() { s.calls.end(record, recorder.status) }()
		if fault != nil && !pause(r, fault.delay()) {
			return
		}
		switch {
		case operation == opUnknown:
			handle(x)
		case r.Method != method:
			w.Header().Set("Allow", method)
			writeError(recorder, apiError{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "Method Not Allowed"}, shapeString)
		case fault != nil && fault.socket() && (operation == opScribe || operation == opSpeech):
			x.fault = fault
			handle(x)
		case fault != nil && s.misbehave(x, fault):
		default:
			handle(x)
		}
	})
}

// keyed reports whether the call carries a key; otherwise it is answered as the
// vendor would.
func keyed(x *exchange) bool {
	if strings.TrimSpace(x.r.Header.Get("xi-api-key")) != "" {
		return true
	}
	writeError(x.w, faultKinds["key_invalid"], "")
	return false
}

func unknown(x *exchange) {
	writeError(x.w, apiError{status: http.StatusNotImplemented, code: "not_in_sandbox", message: "The farebox sandbox does not know this path."}, shapeNew)
}

// pause waits for d and reports whether the caller is still there.
func pause(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
