package sandbox

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"time"
)

// writeCredential answers as if value were what was asked for; nil leaves it
// out.
func writeCredential(x *exchange, value any) {
	body := map[string]any{}
	switch {
	case value == nil:
	case x.operation == opSignedURL:
		body["signed_url"] = value
	default:
		body["token"] = value
	}
	writeJSON(x.w, http.StatusOK, body)
}

func writeHTML(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<!doctype html><title>An answer from something else</title>")
}

func writeRedirect(_ *Sandbox, x *exchange) {
	http.Redirect(x.w, x.r, "/v1/models", http.StatusTemporaryRedirect)
}

// writeHuge is small on the wire and large once unpacked.
func writeHuge(w http.ResponseWriter) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, `{"token":"sutkn_sandbox_huge","padding":"`)
	_, _ = z.Write(bytes.Repeat([]byte("x"), 8<<20))
	_, _ = io.WriteString(z, `"}`)
	_ = z.Close()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = w.Write(packed.Bytes())
}

// truncate breaks off in the middle of an answer.
func truncate(w http.ResponseWriter) {
	cut(w, "HTTP/1.1 200 OK\r\nX-Farebox-Sandbox: true\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{\"token\":\"sut")
}

// cut writes text to the bare connection and resets it; with no text, by RST.
func cut(w http.ResponseWriter, text string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: ends the stream
	}
	_, _ = io.WriteString(conn, text)
	if tcp, ok := conn.(*net.TCPConn); ok && text == "" {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// hang says nothing until the caller goes or a minute is over, and then breaks
// the connection.
func hang(_ *Sandbox, x *exchange) {
	// Whether the caller has gone is seen only once the body has been read.
	_, _ = io.Copy(io.Discard, http.MaxBytesReader(x.w, x.r.Body, maxFile))
	if pause(x.r, time.Minute) {
		cut(x.w, "")
	}
}

// pause waits for d and reports whether the caller is still there.
func pause(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
