package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"farebox/internal/localguard"
)

// fetchTimeout bounds one fetch, discovery included.
const fetchTimeout = 5 * time.Second

// newFetcher returns a client for documents of the issuer: no redirects, and no
// body beyond maxSetSize. transport may be nil.
func newFetcher(transport http.RoundTripper) *http.Client {
	if transport == nil {
		transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
			TLSHandshakeTimeout: 3 * time.Second,
			ForceAttemptHTTP2:   true,
			IdleConnTimeout:     90 * time.Second,
		}
	}
	return &http.Client{
		Transport:     capped{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// capped bounds every answer's body.
type capped struct{ next http.RoundTripper }

func (c capped) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = http.MaxBytesReader(nil, answer.Body, maxSetSize)
	return answer, nil
}

// CloseIdleConnections passes the call on, as http.Client asks for.
func (c capped) CloseIdleConnections() {
	if closer, ok := c.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

func fetch(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("the address is malformed")
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	answer, err := client.Do(request)
	if err != nil {
		return nil, whyNoAnswer(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", answer.StatusCode)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, errors.New("the answer is too large or broke off")
	}
	return body, nil
}

// whyNoAnswer puts a failed request in words without the address, which may
// hold what is nobody's business.
func whyNoAnswer(err error) error {
	var certificate *tls.CertificateVerificationError
	var name *net.DNSError
	switch {
	case errors.As(err, &certificate):
		return errors.New("the host's certificate is not trusted")
	case errors.As(err, &name):
		return errors.New("the host's name cannot be resolved")
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	default:
		return errors.New("no answer")
	}
}

// checkAddress asks for https, save on loopback.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil {
		return errors.New("the address is malformed")
	}
	if u.Scheme == "https" || u.Scheme == "http" && localguard.Loopback(u.Hostname()) {
		return nil
	}
	return errors.New("the address is not https")
}
