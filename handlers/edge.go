package handlers

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"farebox/internal/problem"

	"github.com/labstack/echo/v4"
)

const (
	// maxHeader bounds a request's header; what the server itself reads is
	// bounded far above, so that this answer is ours.
	maxHeader = 32 << 10
	// maxBody bounds the body of a request that needs none.
	maxBody = 16 << 10
)

// edge is the way of every request, whatever its route. It is one function for
// all that comes before and after a handler: of a chain of middleware Echo would
// make each link anew for each request.
func (s *server) edge(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := s.Now()
		a := s.arrive(c)
		end := s.trace(a)
		if err := s.admit(a, next); err != nil {
			s.answerError(err, a)
		}
		end(a.Response().Status)
		s.observe(a, s.Now().Sub(start))
		return nil
	}
}

// admit has a request answered that may be, and makes a panic a 500 that ends one
// request alone.
func (s *server) admit(a *arrival, next echo.HandlerFunc) (err error) {
	defer func() {
		switch r := recover(); {
		case r == nil:
		case r == http.ErrAbortHandler: //nolint:errorlint // the server's own sentinel, compared as it does
			panic(r)
		default:
			// Its value may hold anything, so only its type is told.
			s.Log.Error("panic", "request_id", a.requestID, "type", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
			err = failWith(problem.InternalError, errors.New("a handler panicked"))
		}
	}()
	secure(a)
	if answered, err := s.cors(a); answered || err != nil {
		return err
	}
	if s.Guard != nil {
		if reason := s.Guard(a.Request()); reason != "" {
			return &refusal{Answer: problem.Answer{Code: problem.OriginNotAllowed, Detail: reason}}
		}
	}
	if headerSize(a.Request()) > maxHeader {
		return &refusal{Answer: problem.Answer{Code: problem.RequestTooLarge, Status: http.StatusRequestHeaderFieldsTooLarge}}
	}
	return next(a)
}

// observe counts and logs an answer: by its route, never the path or the query as
// sent.
func (s *server) observe(a *arrival, took time.Duration) {
	ctx, status := a.Request().Context(), a.Response().Status
	s.observerOf(a.Path())(ctx, status, took)
	level := s.levelOf(a)
	if !s.Log.Enabled(ctx, level) {
		return
	}
	s.Log.LogAttrs(ctx, level, "request",
		slog.String("request_id", a.requestID), slog.String("method", knownMethod(a.Request().Method)), slog.String("route", a.Path()),
		slog.Int("status", status), slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.String("client", a.client))
}

// levelOf keeps what browsers and platforms ask for again and again out of the
// usual log, as long as it goes well.
func (s *server) levelOf(c echo.Context) slog.Level {
	often := s.published[c.Path()] != nil
	switch c.Path() {
	case "/assets/*", "/health/live", "/health/ready":
		often = true
	}
	if often && c.Response().Status < http.StatusBadRequest {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// knownMethod keeps what a stranger invents out of the log.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	default:
		return "other"
	}
}

// Values of headers that many answers have: they are shared, and never written to.
var (
	nosniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
	noStore    = []string{"no-store"}
	noCache    = []string{"no-cache"}
	byOrigin   = []string{"Origin"}
	asJSON     = []string{"application/json"}
)

func secure(c echo.Context) {
	h := c.Response().Header()
	h["X-Content-Type-Options"] = nosniff
	h["Referrer-Policy"] = noReferrer
	if c.IsTLS() {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

func headerSize(r *http.Request) int {
	size := len(r.Method) + len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value) + len(": \r\n")
		}
	}
	return size
}
