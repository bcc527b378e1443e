//go:build real

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// wire stands between a browser and dev. It counts what is asked for, and
// spoils it as told.
type wire struct {
	url string

	mu     sync.Mutex
	spoils []spoil // for the next requests for a token, one each
	keys   []string
	conns  []net.Conn
}

// spoil answers a request in place of dev, which next asks.
type spoil func(w http.ResponseWriter, r *http.Request, next http.Handler)

func (d *dev) wire() *wire {
	d.t.Helper()
	target, err := url.Parse(d.url)
	if err != nil {
		d.t.Fatal(err)
	}
	// The host stays the caller's, so that sockets come this way too.
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
	}, Transport: described(http.DefaultTransport), ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }}
	w := &wire{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/v1/single-use-token/") && !strings.HasPrefix(r.URL.Path, "/v1/convai/") || r.Method == http.MethodOptions {
			proxy.ServeHTTP(rw, r)
			return
		}
		w.next(r)(rw, r, proxy)
	}))
	server.Listener = &tracked{server.Listener, w}
	server.Start()
	d.t.Cleanup(func() {
		w.cut()
		server.Close()
	})
	w.url = server.URL
	return w
}

// tracked keeps all connections, those of sockets too.
type tracked struct {
	net.Listener
	w *wire
}

func (l *tracked) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.w.mu.Lock()
		l.w.conns = append(l.w.conns, conn)
		l.w.mu.Unlock()
	}
	return conn, err
}

// cut ends every connection without a word.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		_ = conn.Close()
	}
	w.conns = nil
}

func (w *wire) next(r *http.Request) spoil {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys = append(w.keys, r.Header.Get("Idempotency-Key"))
	if len(w.spoils) == 0 {
		return pass
	}
	first := w.spoils[0]
	w.spoils = w.spoils[1:]
	return first
}

// spoil has the next requests answered so, and forgets what was asked before.
func (w *wire) spoil(spoils ...spoil) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spoils, w.keys = spoils, nil
}

// asked are the idempotency keys of the requests since the last spoil.
func (w *wire) asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{}, w.keys...)
}

// pass spoils nothing.
func pass(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }

// lose has dev answer, and drops the answer.
func lose(_ http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// truncate breaks off in the middle of dev's answer.
func truncate(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := httptest.NewRecorder()
	next.ServeHTTP(answer, r)
	copyHeader(w, answer)
	_, _ = w.Write(answer.Body.Bytes()[:20])
	panic(http.ErrAbortHandler)
}

// hang answers nothing until the caller goes.
func hang(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// hold passes once gate is closed.
func hold(gate <-chan struct{}) spoil {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		<-gate
		next.ServeHTTP(w, r)
	}
}

// refuse answers with a problem.
func refuse(status int, code, retryAfter string) spoil {
	return answerWith(status, retryAfter, "application/problem+json", fmt.Sprintf(`{"code":%q,"status":%d,"detail":"Told so.","request_id":"R1"}`, code, status))
}

func answerWith(status int, retryAfter, contentType, body string) spoil {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Expose-Headers", "Retry-After")
		h.Set("Content-Type", contentType)
		if retryAfter != "" {
			h.Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// amend changes the fields of dev's answer.
func amend(fields map[string]any) spoil {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		body := map[string]any{}
		_ = json.Unmarshal(answer.Body.Bytes(), &body)
		for name, value := range fields {
			body[name] = value
		}
		copyHeader(w, answer)
		w.Header().Del("Content-Length")
		w.WriteHeader(answer.Code)
		_ = json.NewEncoder(w).Encode(body)
	}
}

func copyHeader(w http.ResponseWriter, from *httptest.ResponseRecorder) {
	for name, values := range from.Header() {
		w.Header()[name] = values
	}
}

// wantAsked checks how many requests there were, and for how many tokens.
func (w *wire) wantAsked(t *testing.T, requests, tokens int) {
	t.Helper()
	keys := map[string]bool{}
	for _, key := range w.asked() {
		keys[key] = true
	}
	if len(w.asked()) != requests || len(keys) != tokens || keys[""] {
		t.Errorf("%d requests with %d keys, want %d with %d: %q", len(w.asked()), len(keys), requests, tokens, w.asked())
	}
}
