package httpserver_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"farebox/internal/httpserver"
)

// serve runs one listener until the test ends.
func serve(t *testing.T, l httpserver.Listener) (addr string) {
	t.Helper()
	l.Name, l.Setting, l.Addr = "public", "FAREBOX_LISTEN", "127.0.0.1:0"
	group, err := httpserver.Listen(slog.New(slog.DiscardHandler), l)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = group.Run(ctx, httpserver.Drain{})
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return group.Addr("public")
}

// brief is long enough for the test's own requests to be answered.
const brief = 200 * time.Millisecond

func TestWhoIsSlowIsCutOff(t *testing.T) {
	t.Parallel()
	usual := func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			_, _ = io.WriteString(w, "read")
		}
	}
	tests := map[string]struct {
		limits httpserver.Limits
		says   []string
	}{
		"with the header":             {httpserver.Limits{Header: brief}, []string{"GET / HTTP/1.1\r\nHost: h\r\nX-Slow: "}},
		"with the first byte":         {httpserver.Limits{Header: brief}, []string{""}},
		"with the body":               {httpserver.Limits{Request: brief}, []string{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n", "a"}},
		"to ask again":                {httpserver.Limits{Idle: brief}, []string{"GET / HTTP/1.1\r\nHost: h\r\n\r\n"}},
		"to ask again, bit after bit": {httpserver.Limits{Header: brief}, []string{"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HT"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", serve(t, httpserver.Listener{Handler: http.HandlerFunc(usual), Limits: test.limits}))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			for _, part := range test.says {
				if _, err := io.WriteString(conn, part); err != nil {
					t.Fatal(err)
				}
			}
			// A guard against hanging: the usual limits, 5 s at least, would not do.
			if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			var timeout net.Error
			if _, err := io.Copy(io.Discard, conn); errors.As(err, &timeout) && timeout.Timeout() {
				t.Error("it waits on")
			}
		})
	}
}

func TestWhoDoesNotReadIsCutOff(t *testing.T) {
	t.Parallel()
	stopped := make(chan error, 1)
	addr := serve(t, httpserver.Listener{
		Limits: httpserver.Limits{Answer: brief},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			part := make([]byte, 1<<20)
			for {
				if _, err := w.Write(part); err != nil {
					stopped <- err
					return
				}
			}
		}),
	})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-stopped:
	case <-time.After(time.Minute):
		t.Error("it writes on")
	}
}

// A socket that was taken over lives on: dev has the sandbox's sockets on the
// same listener.
func TestASocketOutlivesEveryLimit(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	addr := serve(t, httpserver.Listener{
		Limits: httpserver.Limits{Header: brief, Request: brief, Answer: brief, Idle: brief},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, buffered, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			<-over // well after the limits
			_, _ = io.WriteString(conn, "still here\n")
			line, _ := buffered.ReadString('\n')
			_, _ = io.WriteString(conn, line)
		}),
	})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(3*brief, func() { close(over) })
	lines := bufio.NewReader(conn)
	if line, err := lines.ReadString('\n'); err != nil || line != "still here\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := io.WriteString(conn, "and reads\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := lines.ReadString('\n'); err != nil || line != "and reads\n" {
		t.Errorf("%q, %v", line, err)
	}
}

func TestATakenAddressIsNamedWithItsSettingAndNothingStaysBound(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	_ = free.Close()
	_, err = httpserver.Listen(slog.New(slog.DiscardHandler),
		httpserver.Listener{Name: "public", Setting: "FAREBOX_LISTEN", Addr: addr},
		httpserver.Listener{Name: "operators", Setting: "FAREBOX_OPS_LISTEN", Addr: taken.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), "FAREBOX_OPS_LISTEN") {
		t.Fatalf("err = %v", err)
	}
	again, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("the first address stays bound: %v", err)
	}
	_ = again.Close()
}
