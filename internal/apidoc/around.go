package apidoc

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// Handler is next, with every answer held against the description. complain gets
// what is wrong with one, while its request is under way.
func (d *Description) Handler(next http.Handler, complain func(error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kept := &keeper{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(kept, r)
		if err := d.Check(r, kept.status, w.Header(), kept.body.Bytes()); err != nil {
			complain(unlike(r, kept.status, err))
		}
	})
}

// Transport is next, with answers held against the description. whose tells who
// gets what is wrong with the answer to a request; nil has it not looked at. It
// reads answers whole before it gives them.
func (d *Description) Transport(next http.RoundTripper, whose func(*http.Request) func(error)) http.RoundTripper {
	return &transport{d, next, whose}
}

type transport struct {
	description *Description
	next        http.RoundTripper
	whose       func(*http.Request) func(error)
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	complain := t.whose(r)
	response, err := t.next.RoundTrip(r)
	if err != nil || complain == nil || response.StatusCode == http.StatusSwitchingProtocols {
		return response, err
	}
	body, err := io.ReadAll(response.Body)
	// What broke off is for the caller to find out.
	response.Body = &replayed{io.MultiReader(bytes.NewReader(body), failing{err}), response.Body}
	if err != nil {
		return response, nil
	}
	if err := t.description.Check(r, response.StatusCode, response.Header, body); err != nil {
		complain(unlike(r, response.StatusCode, err))
	}
	return response, nil
}

// CloseIdleConnections closes those of next.
func (t *transport) CloseIdleConnections() {
	(&http.Client{Transport: t.next}).CloseIdleConnections()
}

func unlike(r *http.Request, status int, err error) error {
	return fmt.Errorf("%s %s was answered with %d, which is not as /openapi.yaml has it: %w", r.Method, r.URL.Path, status, err)
}

// replayed is a body that was read before.
type replayed struct {
	io.Reader
	io.Closer
}

// failing ends as the body did.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

// keeper keeps what is answered.
type keeper struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (k *keeper) WriteHeader(status int) {
	k.status = status
	k.ResponseWriter.WriteHeader(status)
}

func (k *keeper) Write(p []byte) (int, error) {
	k.body.Write(p)
	return k.ResponseWriter.Write(p)
}

// Unwrap has http.ResponseController find what is beneath.
func (k *keeper) Unwrap() http.ResponseWriter { return k.ResponseWriter }
