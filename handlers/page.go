package handlers

import (
	"farebox/web"

	"github.com/labstack/echo/v4"
)

// page is GET /. It greets a visitor who has a good session by cookie; showing
// that is harmless, whichever site the visit came from.
func (s *server) page(c echo.Context) error {
	var visitor web.Visitor
	if raw, err := s.ambientCredential(c.Request()); err == nil && raw != "" {
		if principal, err := s.Verifier.Verify(c.Request().Context(), raw); err == nil {
			visitor = web.Visitor{SignedIn: true, Subject: principal.Subject}
		}
	}
	s.Page.ServeIndex(c.Response(), c.Request(), visitor)
	return nil
}
