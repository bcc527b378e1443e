package service

import (
	"net/http"
	"net/http/pprof"

	"farebox/handlers"
)

// profiles are Go's profiles, where they are turned on.
func profiles(on bool) []handlers.Route {
	if !on {
		return nil
	}
	var routes []handlers.Route
	for pattern, handler := range map[string]http.HandlerFunc{
		"/debug/pprof/*":       pprof.Index,
		"/debug/pprof/cmdline": pprof.Cmdline,
		"/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol":  pprof.Symbol,
		"/debug/pprof/trace":   pprof.Trace,
	} {
		routes = append(routes, handlers.Route{Pattern: pattern, Handler: handler})
	}
	return routes
}
