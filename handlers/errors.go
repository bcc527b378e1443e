package handlers

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/limit"
	"farebox/session"
	vendorclient "farebox/vendor_client"

	"github.com/labstack/echo/v4"
)

// How long callers are asked to stay away where nothing better is known.
const (
	retrySoon     = time.Second
	retryLater    = 5 * time.Second
	retryOperator = 30 * time.Second // operators have to mend something first
)

// answerError is Echo's error handler: it maps, answers and logs an error once.
func (s *server) answerError(err error, c echo.Context) {
	p := toProblem(err)
	if p.code == CodeMethodNotAllowed && c.Response().Header().Get(echo.HeaderAllow) == "" {
		if allow, ok := c.Get(echo.ContextKeyHeaderAllow).(string); ok {
			c.Response().Header().Set(echo.HeaderAllow, allow)
		}
	}
	s.logProblem(c, p)
	if !c.Response().Committed {
		p.write(c.Response(), c.Request(), requestID(c))
	}
}

func (s *server) logProblem(c echo.Context, p *problem) {
	level := slog.LevelDebug
	switch {
	case p.code == CodeInternalError || p.code == CodeVendorRefused:
		level = slog.LevelError
	case p.statusCode() >= http.StatusInternalServerError || p.code == CodeOriginNotAllowed:
		level = slog.LevelWarn
	}
	s.Log.Log(c.Request().Context(), level, "request refused", "request_id", requestID(c), "code", string(p.code), "error", p.Error())
}

// toProblem is the one table from errors to answers.
func toProblem(err error) *problem {
	var (
		known       *problem
		overLimit   *dispenser.LimitError
		vendorError *vendorclient.Error
		echoError   *echo.HTTPError
		tooLarge    *http.MaxBytesError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, session.ErrExpired):
		return unauthorized(CodeSessionExpired, err)
	case errors.Is(err, session.ErrInvalid):
		return unauthorized(CodeSessionInvalid, err)
	case errors.Is(err, session.ErrKeysUnavailable):
		return &problem{code: CodeSessionKeys, retryAfter: retryLater, cause: err}
	case errors.Is(err, session.ErrOverloaded):
		return &problem{code: CodeOverloaded, retryAfter: retrySoon, cause: err}
	case errors.As(err, &overLimit):
		return limitProblem(overLimit)
	case errors.Is(err, dispenser.ErrKeyReused):
		return failWith(CodeIdempotencyKeyReused, err)
	case errors.Is(err, dispenser.ErrInProgress):
		return &problem{code: CodeRequestInProgress, retryAfter: retrySoon, cause: err}
	case errors.Is(err, dispenser.ErrRepeatedToken):
		return failWith(CodeVendorError, err)
	case errors.As(err, &vendorError):
		return vendorProblem(vendorError)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &problem{code: CodeVendorUnavailable, retryAfter: retrySoon, cause: err}
	case errors.As(err, &tooLarge):
		return failWith(CodeRequestTooLarge, err)
	case errors.As(err, &echoError):
		return echoProblem(echoError)
	default:
		return failWith(CodeInternalError, err)
	}
}

// unauthorized is a credential that came and is not good (RFC 6750, 3.1).
func unauthorized(code Code, cause error) *problem {
	return &problem{code: code, cause: cause, challenge: `Bearer error="invalid_token"`}
}

func limitProblem(e *dispenser.LimitError) *problem {
	p := &problem{retryAfter: max(e.RetryAfter, time.Nanosecond), limits: e.States, cause: e}
	switch e.Limit {
	case limit.Global:
		p.code, p.limits = CodeOverloaded, nil
	case limit.PerUserDaily:
		p.code = CodeQuotaExhausted
	default:
		p.code = CodeRateLimited
	}
	return p
}

func vendorProblem(e *vendorclient.Error) *problem {
	p := &problem{code: CodeVendorError, cause: e}
	switch {
	case e.Kind == vendorclient.KindQueueFull:
		p.code, p.retryAfter = CodeOverloaded, retrySoon
	case e.Kind.Refused():
		p.code, p.retryAfter = CodeVendorRefused, retryOperator
	case e.Kind.Unavailable():
		p.code, p.retryAfter = CodeVendorUnavailable, max(e.RetryAfter, retrySoon)
	}
	return p
}

func echoProblem(e *echo.HTTPError) *problem {
	switch e.Code {
	case http.StatusNotFound:
		return failWith(CodeNotFound, e)
	case http.StatusMethodNotAllowed:
		return failWith(CodeMethodNotAllowed, e)
	case http.StatusRequestEntityTooLarge:
		return failWith(CodeRequestTooLarge, e)
	case http.StatusBadRequest:
		return failWith(CodeInvalidRequest, e)
	default:
		return failWith(CodeInternalError, e)
	}
}
