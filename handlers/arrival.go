package handlers

import (
	"crypto/rand"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// arrival is a request as it came, and what the edge found out about it.
type arrival struct {
	echo.Context
	requestID string
	client    string // its address
}

// arrive gives a request its id, and finds out who sent it.
func (s *server) arrive(c echo.Context) *arrival {
	r := c.Request()
	id := r.Header.Get(echo.HeaderXRequestID)
	if !goodRequestID(id) || s.secretOf(r, id) {
		id = newRequestID()
	}
	c.Response().Header()["X-Request-Id"] = []string{id}
	return &arrival{Context: c, requestID: id, client: c.RealIP()}
}

// arrivalOf is the request that a handler is given, since the edge stands before
// all of them.
func arrivalOf(c echo.Context) *arrival { return c.(*arrival) }

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
