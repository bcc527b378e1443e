package load_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"farebox/bench/load"
)

// serve answers the n-th request, from 0 on.
func serve(t *testing.T, answer func(n int, w http.ResponseWriter)) load.Config {
	t.Helper()
	var served atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(int(served.Add(1))-1, w)
	}))
	t.Cleanup(s.Close)
	return load.Config{
		Addrs: []string{strings.TrimPrefix(s.URL, "http://")}, Seen: load.NewSeen(),
		Requests: func(int) []byte { return []byte("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n") },
	}
}

func token(w http.ResponseWriter, n int) { fmt.Fprintf(w, `{"token":"sutkn_%d","more":1}`, n) }

func TestEveryRequestIsSentOnceAndChecked(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer func(n int, w http.ResponseWriter)
		want   string // of the error; "" for none
	}{
		"a token of its own for each":         {func(n int, w http.ResponseWriter) { token(w, n) }, ""},
		"a token for two":                     {func(n int, w http.ResponseWriter) { token(w, max(n, 1)) }, "1 tokens were handed out twice"},
		"a refusal":                           {func(n int, w http.ResponseWriter) { refuseFirst(n, w) }, "answered: not now"},
		"an answer without a token":           {func(_ int, w http.ResponseWriter) { fmt.Fprint(w, `{}`) }, "without a token"},
		"an answer that does not end by size": {func(_ int, w http.ResponseWriter) { w.(http.Flusher).Flush() }, "without its length"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, run := range []func(load.Config) *load.Result{
				func(cfg load.Config) *load.Result { return load.Closed(t.Context(), cfg, 3, 40, 0) },
				func(cfg load.Config) *load.Result { return load.Open(t.Context(), cfg, 1000, 40*time.Millisecond) },
			} {
				result := run(serve(t, tt.answer))
				if len(result.Samples) != 40 {
					t.Fatalf("%d samples", len(result.Samples))
				}
				err := result.Check()
				if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("%v, want %q", err, tt.want)
				}
			}
		})
	}
}

func refuseFirst(n int, w http.ResponseWriter) {
	if n == 0 {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	token(w, n)
}

func TestATokenOfAnEarlierRunIsARepetition(t *testing.T) {
	t.Parallel()
	cfg := serve(t, func(n int, w http.ResponseWriter) { token(w, n%10) })
	first, second := load.Closed(t.Context(), cfg, 2, 10, 0), load.Closed(t.Context(), cfg, 2, 10, 0)
	if first.Repeated != 0 || second.Repeated != 10 {
		t.Errorf("%d and %d repeated", first.Repeated, second.Repeated)
	}
}

// A program that stands still holds up all who come meanwhile, and all of them
// are to be seen, however few connections there would have been.
func TestAStallCountsForAllThatItHoldsUp(t *testing.T) {
	t.Parallel()
	const requests = 100
	gate := make(chan struct{})
	cfg := serve(t, func(n int, w http.ResponseWriter) {
		if n == requests-1 {
			close(gate)
		}
		<-gate
		token(w, n)
	})
	result := load.Open(t.Context(), cfg, 1000, requests*time.Millisecond)
	if err := result.Check(); err != nil {
		t.Fatal(err)
	}
	last := result.Samples[requests-1].Sent
	for _, s := range result.Samples {
		if s.Sent+s.Took < last {
			t.Fatalf("sent at %s, it took %s, though all were held up until %s", s.Sent, s.Took, last)
		}
	}
}

func TestAPercentileIsATimeThatWasMeasured(t *testing.T) {
	t.Parallel()
	result := &load.Result{}
	for i := 1000; i > 0; i-- {
		result.Samples = append(result.Samples, load.Sample{Sent: time.Duration(i), Took: time.Duration(i), Status: 200})
	}
	for p, want := range map[float64]time.Duration{0: 1, 0.1: 1, 50: 500, 50.01: 501, 99: 990, 99.9: 999, 100: 1000} {
		if got := result.Percentile(p); got != want {
			t.Errorf("percentile %v = %d, want %d", p, got, want)
		}
	}
	if got := result.Between(11, 21); len(got.Samples) != 10 || got.Percentile(100) != 20 {
		t.Errorf("between: %d samples, at most %d", len(got.Samples), got.Percentile(100))
	}
	if got := (&load.Result{}).Percentile(99); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}

// A connection that the server has closed while it was idle costs no request.
func TestAConnectionThatWasClosedMeanwhileIsReplaced(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	var served atomic.Int64
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			// One answer a connection, without a word of its end.
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				body := fmt.Sprintf(`{"token":"sutkn_%d"}`, served.Add(1))
				fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			}
			_ = conn.Close()
		}
	}()
	request := []byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	result := load.Closed(t.Context(), load.Config{Addrs: []string{listener.Addr().String()}, Requests: func(int) []byte { return request }}, 2, 20, 0)
	if err := result.Check(); err != nil || len(result.Samples) != 20 {
		t.Errorf("%d requests: %v", len(result.Samples), err)
	}
	if n := served.Load(); n != 20 {
		t.Errorf("%d were served", n)
	}
}
