package handlers

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/limit"
	"farebox/internal/policy"
	"farebox/internal/problem"
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

// answerError maps, answers and logs an error once.
func (s *server) answerError(err error, a *arrival) {
	p := toRefusal(err)
	s.logProblem(a, p)
	answer(a, p)
}

// answer writes p, unless something was answered before.
func answer(c echo.Context, p *refusal) {
	if c.Response().Committed {
		return
	}
	setRateLimit(c.Response().Header(), p.limits)
	p.Write(c.Response(), c.Request())
}

func (s *server) logProblem(a *arrival, p *refusal) {
	level := slog.LevelDebug
	var byPolicy *policy.Refusal
	var byVendor *vendorclient.Error
	switch {
	case p.quiet:
	case errors.As(p, &byVendor) && byVendor.Kind.Refused() && byVendor.Status == 0:
		// The vendor was not asked: that all its keys are set aside was told then.
	case errors.As(p, &byPolicy) && byPolicy.Broken():
		level = slog.LevelWarn
	case p.Code == problem.InternalError || p.Code == problem.VendorRefused:
		level = slog.LevelError
	case p.StatusCode() >= http.StatusInternalServerError || p.Code == problem.OriginNotAllowed:
		level = slog.LevelWarn
	}
	s.Log.Log(a.Request().Context(), level, "request refused", "request_id", a.requestID, "code", string(p.Code), "error", p.Error())
}

// toRefusal is the one table from errors to answers.
func toRefusal(err error) *refusal {
	var (
		known       *refusal
		overLimit   *dispenser.LimitError
		vendorError *vendorclient.Error
		echoError   *echo.HTTPError
		tooLarge    *http.MaxBytesError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, session.ErrExpired):
		return unauthorized(problem.SessionExpired, err)
	case errors.Is(err, dispenser.ErrRevocationsUnknown):
		r := later(problem.SessionKeysUnavailable, retryLater, err)
		r.Detail = "Whether this session was ended cannot be told now. Try again later."
		return r
	case errors.Is(err, dispenser.ErrSessionEnded):
		return unauthorized(problem.SessionRevoked, err)
	case errors.Is(err, session.ErrInvalid):
		return unauthorized(problem.SessionInvalid, err)
	case errors.Is(err, session.ErrKeysPending):
		return later(problem.SessionKeysUnavailable, retrySoon, err)
	case errors.Is(err, session.ErrKeysUnavailable):
		return later(problem.SessionKeysUnavailable, retryLater, err)
	case errors.Is(err, session.ErrOverloaded):
		return later(problem.Overloaded, retrySoon, err)
	case errors.As(err, &overLimit):
		return limitProblem(overLimit)
	case errors.Is(err, dispenser.ErrKeyReused):
		return failWith(problem.IdempotencyKeyReused, err)
	case errors.Is(err, dispenser.ErrInProgress):
		return later(problem.RequestInProgress, retrySoon, err)
	case errors.Is(err, dispenser.ErrRepeatedToken):
		return failWith(problem.VendorError, err)
	case errors.As(err, &vendorError):
		return vendorProblem(vendorError)
	case errors.Is(err, context.DeadlineExceeded):
		return later(problem.VendorUnavailable, retrySoon, err)
	case errors.Is(err, context.Canceled):
		// The caller hung up: that is nobody's fault, and nobody reads it.
		r := later(problem.VendorUnavailable, retrySoon, err)
		r.quiet = true
		return r
	case errors.As(err, &tooLarge):
		return failWith(problem.RequestTooLarge, err)
	case errors.As(err, &echoError):
		return echoProblem(echoError)
	default:
		return failWith(problem.InternalError, err)
	}
}

// later is an error that passes after a while.
func later(code problem.Code, after time.Duration, cause error) *refusal {
	return &refusal{Answer: problem.Answer{Code: code, RetryAfter: after}, cause: cause}
}

// unauthorized is a credential that came and is not good (RFC 6750, 3.1).
func unauthorized(code problem.Code, cause error) *refusal {
	return &refusal{Answer: problem.Answer{Code: code, Challenge: `Bearer error="invalid_token"`}, cause: cause}
}

// forbidden is a session that is good, and may not have what it asks for
// (RFC 6750, 3.1).
func forbidden(code problem.Code, cause error) *refusal {
	return &refusal{Answer: problem.Answer{Code: code, Challenge: `Bearer error="insufficient_scope"`}, cause: cause}
}

func limitProblem(e *dispenser.LimitError) *refusal {
	after := max(e.RetryAfter, time.Nanosecond)
	if e.Limit == limit.Global {
		return later(problem.Overloaded, after, e)
	}
	p := later(problem.RateLimited, after, e)
	if e.Limit == limit.PerUserDaily {
		p.Code = problem.QuotaExhausted
	}
	p.limits = e.States
	return p
}

func vendorProblem(e *vendorclient.Error) *refusal {
	switch {
	case e.Kind == vendorclient.KindQueueFull:
		return later(problem.Overloaded, retrySoon, e)
	case e.Kind.Refused():
		return later(problem.VendorRefused, max(cmp.Or(e.RetryAfter, retryOperator), retryLater), e)
	case e.Kind.Unavailable():
		return later(problem.VendorUnavailable, max(e.RetryAfter, retrySoon), e)
	default:
		return failWith(problem.VendorError, e)
	}
}

func echoProblem(e *echo.HTTPError) *refusal {
	switch e.Code {
	case http.StatusNotFound:
		return failWith(problem.NotFound, e)
	case http.StatusMethodNotAllowed:
		return failWith(problem.MethodNotAllowed, e)
	case http.StatusRequestEntityTooLarge:
		return failWith(problem.RequestTooLarge, e)
	case http.StatusBadRequest:
		return failWith(problem.InvalidRequest, e)
	default:
		return failWith(problem.InternalError, e)
	}
}
