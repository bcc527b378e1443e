package sandbox

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"farebox/internal/localguard"
)

// Config is what a Sandbox may be told. The zero Config is good.
type Config struct {
	TokenLifetime time.Duration    // 0: 15 minutes
	Now           func() time.Time // nil: time.Now
	Log           *slog.Logger     // each call, at debug level; nil: nothing is logged
	Guard         localguard.Guard // who may talk to it
}

// Sandbox is the stand-in for the vendor. It is safe for concurrent use.
type Sandbox struct {
	guard  localguard.Guard
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
		guard: cfg.Guard, log: cfg.Log,
		tokens: newTokens(cfg.TokenLifetime, cfg.Now), faults: &faults{kinds: kinds()}, calls: newCalls(cfg.Now),
	}, nil
}

// The operations, as faults and records name them.
const (
	opMint              = "mint"
	opModels            = "models"
	opUser              = "user"
	opSignedURL         = "signed_url"
	opConversationToken = "conversation_token"
	opScribe            = "scribe"
	opSpeech            = "speech"
	opTranscribe        = "transcribe"
	opUnknown           = "unknown"
)

// operations are those that faults can be for.
func operations() []string {
	return []string{opMint, opModels, opUser, opSignedURL, opConversationToken, opScribe, opSpeech, opTranscribe}
}

// exchange is one call under way.
type exchange struct {
	w         http.ResponseWriter
	r         *http.Request
	operation string
	// frame is the error that the open socket is to show; "" for none.
	frame string
}

// call makes a handler of an operation: recorded, with its faults, and with one
// method alone.
func (s *Sandbox) call(operation, method string, handle func(*exchange)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.ContainsFunc(r.Header.Values("xi-api-key"), localguard.RealKey) {
			writeError(w, badKey(), "")
			return
		}
		recorder := &statusRecorder{ResponseWriter: w}
		fault := s.faults.next(operation, r)
		// Recorded before it is answered, so that who has the answer finds it.
		record := s.calls.begin(operation, r, fault)
		defer func() {
			s.calls.end(record, recorder.status)
			s.log.Debug("sandbox call", "operation", operation, "method", r.Method, "status", recorder.status, "faulty", fault != nil)
		}()
		x := &exchange{w: recorder, r: r, operation: operation}
		switch {
		case operation != opUnknown && r.Method != method:
			w.Header().Set("Allow", method)
			writeError(recorder, apiError{status: 405, code: "method_not_allowed", message: "Method Not Allowed"}, shapeString)
		case fault == nil:
			handle(x)
		case pause(r, fault.delay()):
			s.handleFaulty(x, fault, handle)
		}
	})
}

// handleFaulty handles a call with an injected fault.
func (s *Sandbox) handleFaulty(x *exchange, fault *Fault, handle func(*exchange)) {
	kind := s.faults.kinds[fault.Kind]
	if kind.onSocket(x.operation) {
		x.frame = kind.frame
		handle(x)
		return
	}
	if !s.misbehave(x, fault) {
		handle(x)
	}
}

// keyed reports whether the call carries one key; otherwise it is answered as
// the vendor would.
func keyed(x *exchange) bool {
	keys := x.r.Header.Values("xi-api-key")
	if len(keys) == 1 && strings.TrimSpace(keys[0]) != "" {
		return true
	}
	writeError(x.w, badKey(), "")
	return false
}

func unknown(x *exchange) {
	writeError(x.w, apiError{status: 501, code: "not_in_sandbox", message: "The farebox sandbox does not know this path."}, shapeNew)
}
