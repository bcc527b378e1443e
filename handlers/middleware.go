package handlers

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"farebox/internal/problem"

	"github.com/labstack/echo/v4"
)

const (
	// maxHeader bounds a request's header; what the server itself reads is
	// bounded far above, so that this answer is ours.
	maxHeader = 32 << 10
	// maxBody bounds the body of a request that needs none.
	maxBody = 16 << 10

	arrivalKey = "farebox.arrival"
)

// observe gives the request its id, and logs it when it is answered: the
// route, never the path or the query as sent.
func (s *server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := s.Now()
		id := c.Request().Header.Get(echo.HeaderXRequestID)
		if !goodRequestID(id) || s.secretOf(c.Request(), id) {
			id = newRequestID()
		}
		client := c.RealIP()
		c.Set(arrivalKey, &arrival{requestID: id, client: client})
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		end := s.trace(c)
		if err := next(c); err != nil {
			c.Error(err)
		}
		end(c.Response().Status)
		took := s.Now().Sub(start)
		s.observerOf(c.Path())(c.Request().Context(), c.Response().Status, took)
		s.Log.LogAttrs(c.Request().Context(), s.levelOf(c), "request",
			slog.String("request_id", id), slog.String("method", knownMethod(c.Request().Method)), slog.String("route", c.Path()),
			slog.Int("status", c.Response().Status), slog.Float64("duration_ms", float64(took.Microseconds())/1000),
			slog.String("client", client))
		return nil
	}
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

// recoverPanic makes a panic a 500 that ends one request alone.
func (s *server) recoverPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch r := recover(); {
			case r == nil:
			case r == http.ErrAbortHandler: //nolint:errorlint // the server's own sentinel, compared as it does
				panic(r)
			default:
				// Its value may hold anything, so only its type is told.
				s.Log.Error("panic", "request_id", requestID(c), "type", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
				err = failWith(problem.InternalError, errors.New("a handler panicked"))
			}
		}()
		return next(c)
	}
}

// Values of headers that many answers have: they are shared, and never written to.
var (
	nosniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
	noStore    = []string{"no-store"}
	noCache    = []string{"no-cache"}
)

func secureHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h["X-Content-Type-Options"] = nosniff
		h["Referrer-Policy"] = noReferrer
		if c.IsTLS() {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		return next(c)
	}
}

// guard refuses what must not reach this server at all.
func (s *server) guard(next echo.HandlerFunc) echo.HandlerFunc {
	if s.Guard == nil {
		return next
	}
	return func(c echo.Context) error {
		if reason := s.Guard(c.Request()); reason != "" {
			return &refusal{Answer: problem.Answer{Code: problem.OriginNotAllowed, Detail: reason}}
		}
		return next(c)
	}
}

func (s *server) boundHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		size := len(r.Method) + len(r.RequestURI) + len(r.Host)
		for name, values := range r.Header {
			for _, value := range values {
				size += len(name) + len(value) + len(": \r\n")
			}
		}
		if size > maxHeader {
			return &refusal{Answer: problem.Answer{Code: problem.RequestTooLarge, Status: http.StatusRequestHeaderFieldsTooLarge}}
		}
		return next(c)
	}
}

// arrival is what observe found out about a request.
type arrival struct {
	requestID string
	client    string // its address
}

func arrivalOf(c echo.Context) arrival {
	if a, ok := c.Get(arrivalKey).(*arrival); ok {
		return *a
	}
	return arrival{}
}

func requestID(c echo.Context) string { return arrivalOf(c).requestID }

func clientOf(c echo.Context) string { return arrivalOf(c).client }

// goodRequestID accepts a caller's id where it is short and harmless in a log.
func goodRequestID(id string) bool {
	const most = 128
	return id != "" && len(id) <= most && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// secretOf reports whether id is a credential that strayed, as far as that can be
// told: one of a known shape, or a part of one that the same request carries.
func (s *server) secretOf(r *http.Request, id string) bool {
	for _, mark := range []string{"eyJ", "sutkn_", "sk_"} { // a JWT, a token, a key
		if strings.Contains(id, mark) {
			return true
		}
	}
	const byChance = 8 // bytes; an id as short may well be a part of something
	if len(id) < byChance {
		return false
	}
	for _, name := range []string{"Authorization", "Cookie", "Idempotency-Key", s.Header} {
		for _, value := range r.Header.Values(name) {
			if strings.Contains(value, id) {
				return true
			}
		}
	}
	return false
}

func newRequestID() string { return rand.Text() }
