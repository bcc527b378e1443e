package handlers

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"farebox/internal/dispenser"
	"farebox/internal/jsontext"
	"farebox/internal/problem"
	vendorclient "farebox/vendor_client"

	"github.com/labstack/echo/v4"
)

// token is POST /v1/single-use-token/{token_type}.
func (s *server) token(c echo.Context) error {
	a := arrivalOf(c)
	ask, err := askToken(a)
	grant, err := s.handOut(a, ask, err)
	if err != nil {
		return err
	}
	body := bodies.Get().(*[]byte)
	defer bodies.Put(body)
	*body = s.appendToken((*body)[:0], a.Request(), grant)
	a.Response().Header()["Content-Type"] = asJSON
	a.Response().WriteHeader(http.StatusOK)
	_, err = a.Response().Write(*body)
	return err
}

// bodies are of answers that were written.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// appendToken appends the answer's JSON. There is one a request, so it is written
// without reflection.
func (s *server) appendToken(to []byte, r *http.Request, grant dispenser.Grant) []byte {
	base, webSocketBase := s.Addresses(r)
	to = jsontext.AppendString(append(to, `{"token":`...), grant.Token.Reveal())
	to = jsontext.AppendString(append(to, `,"token_type":`...), string(grant.Type))
	to = expiresAt(grant).AppendFormat(append(to, `,"expires_at":"`...), time.RFC3339)
	to = strconv.AppendInt(append(to, `","expires_in":`...), s.expiresIn(grant), 10)
	to = jsontext.AppendString(append(to, `,"base_url":`...), base)
	to = jsontext.AppendString(append(to, `,"websocket_base_url":`...), webSocketBase)
	to = jsontext.AppendString(append(to, `,"token_parameter":`...), grant.Type.Parameter())
	return append(to, "}\n"...)
}

func askToken(a *arrival) (ask, error) {
	tokenType, ok := vendorclient.ParseTokenType(a.Param("token_type"))
	if !ok {
		return ask{}, fail(problem.UnknownTokenType)
	}
	_, err := parseQuery(a.Request())
	return ask{name: string(tokenType), token: tokenType}, err
}
