package handlers

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// Observer counts what becomes of requests. It is safe for concurrent use, and
// costs next to nothing.
type Observer interface {
	// Route returns what is told of each answer at a route.
	Route(route string) func(ctx context.Context, status int, took time.Duration)
	// Dispensed is told of what was handed out, by the name that it has in the
	// audit, and where it came from.
	Dispensed(what, source string)
	// Refused is told of what was not, "" where it is not known what, with the
	// problem's code and its blame.
	Refused(what, reason, blame string)
}

// Tracer begins the spans of requests. It is safe for concurrent use.
type Tracer interface {
	// Request begins a span in the trace that header names. The context is the
	// request's from then on, and the function ends the span.
	Request(ctx context.Context, header http.Header, method, route string) (context.Context, func(status int))
}

type unobserved struct{}

func (unobserved) Route(string) func(context.Context, int, time.Duration) {
	return func(context.Context, int, time.Duration) {}
}
func (unobserved) Dispensed(string, string)       {}
func (unobserved) Refused(string, string, string) {}

// otherRoute stands for all paths that are no route.
const otherRoute = "other"

// observeRoutes finds out once who is to be told of which route's answers.
func (s *server) observeRoutes(e *echo.Echo) {
	s.routes = map[string]func(context.Context, int, time.Duration){otherRoute: s.Observer.Route(otherRoute)}
	for _, route := range e.Routes() {
		if s.routes[route.Path] == nil {
			s.routes[route.Path] = s.Observer.Route(route.Path)
		}
	}
}

// trace begins the span of a request, and returns what ends it.
func (s *server) trace(c echo.Context) (end func(status int)) {
	if s.Tracer == nil || strings.HasPrefix(c.Path(), "/health/") {
		return func(int) {}
	}
	r, route := c.Request(), c.Path()
	if s.routes[route] == nil {
		route = otherRoute
	}
	ctx, end := s.Tracer.Request(r.Context(), r.Header, knownMethod(r.Method), route)
	c.SetRequest(r.WithContext(ctx))
	return end
}

func (s *server) observerOf(route string) func(context.Context, int, time.Duration) {
	if told := s.routes[route]; told != nil {
		return told
	}
	return s.routes[otherRoute]
}
