package handlers

import (
	"net/http"

	"farebox/internal/health"

	"github.com/labstack/echo/v4"
)

// live is GET /health/live on the public listener: the status alone.
func (s *server) live(c echo.Context) error { return c.NoContent(http.StatusOK) }

// ready is GET /health/ready on the public listener: the status alone.
func (s *server) ready(c echo.Context) error { return c.NoContent(readyStatus(s.Board.Report())) }

func readyStatus(r health.Report) int {
	if r.Status == health.NotReady {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// NewOps returns the handler of the operators' listener. metrics answers
// /metrics, and what more there is follows.
func NewOps(board *health.Board, metrics http.Handler, more ...Route) http.Handler {
	e := newEcho()
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		c.Response().Header().Set(echo.HeaderXRequestID, newRequestID())
		answer(c, toRefusal(err))
	}
	e.GET("/livez", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	e.GET("/metrics", echo.WrapHandler(metrics))
	for _, route := range more {
		e.Any(route.Pattern, echo.WrapHandler(route.Handler))
	}
	e.GET("/readyz", func(c echo.Context) error {
		report := board.Report()
		c.Response().Header().Set("Cache-Control", "no-store")
		return c.JSON(readyStatus(report), report)
	})
	return e
}
