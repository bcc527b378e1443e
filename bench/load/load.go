// Package load asks one path over and over and keeps every answer's time. It is
// made to cost little beside what it measures: requests are made beforehand, and
// answers are read no further than their status, length and token.
package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what to send, and where.
type Config struct {
	Addrs    []string           // host:port; connections are dealt out in turn
	Requests func(i int) []byte // the i-th request, whole; safe for concurrent use
	Seen     *Seen              // tokens of earlier runs; nil for none
}

// Sample is one request and its end.
type Sample struct {
	Sent   time.Duration // since the start: when it was to be sent
	Took   time.Duration // from then to the whole answer
	Status int           // 0 where there was no answer
	token  uint64
}

// Result is one run.
type Result struct {
	Samples  []Sample // by when they were to be sent
	Elapsed  time.Duration
	Repeated int   // tokens that were handed out before
	Err      error // how the first request without a token ended; nil for none
}

// Closed sends from so many connections, each its next request when the last is
// answered, until count requests are sent, or, with a count of 0, for a time.
func Closed(ctx context.Context, cfg Config, connections, count int, lasting time.Duration) *Result {
	var next atomic.Int64
	var all sync.WaitGroup
	parts := make([][]Sample, connections)
	run := newRun(cfg)
	for c := range connections {
		all.Go(func() {
			line := line{addr: cfg.Addrs[c%len(cfg.Addrs)]}
			defer line.close()
			part := make([]Sample, 0, max(count/connections*2, 1<<12))
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				sent := time.Since(run.start)
				if count > 0 && i >= count || count == 0 && sent >= lasting {
					break
				}
				part = append(part, run.send(&line, i, sent))
			}
			parts[c] = part
		})
	}
	all.Wait()
	return run.end(slices.Concat(parts...))
}

// Open sends a fixed number of requests a second whatever becomes of them, each
// on a connection that is free, or a new one. Times are counted from when a
// request was to be sent, so that a stall counts for all that it holds up.
func Open(ctx context.Context, cfg Config, perSecond int, lasting time.Duration) *Result {
	count := int(lasting.Seconds() * float64(perSecond))
	samples := make([]Sample, count)
	var all sync.WaitGroup
	var mu sync.Mutex
	var free, every []*line
	run := newRun(cfg)
	sent := 0
	for ; sent < count && ctx.Err() == nil; sent++ {
		i, due := sent, time.Duration(sent)*time.Second/time.Duration(perSecond)
		time.Sleep(due - time.Since(run.start))
		mu.Lock()
		if len(free) == 0 {
			every = append(every, &line{addr: cfg.Addrs[len(every)%len(cfg.Addrs)]})
			free = append(free, every[len(every)-1])
		}
		line := free[len(free)-1]
		free = free[:len(free)-1]
		mu.Unlock()
		all.Go(func() {
			samples[i] = run.send(line, i, due)
			mu.Lock()
			free = append(free, line)
			mu.Unlock()
		})
	}
	all.Wait()
	for _, line := range every {
		line.close()
	}
	return run.end(samples[:sent])
}

// run is one under way.
type run struct {
	cfg   Config
	start time.Time
	once  sync.Once
	err   error
}

func newRun(cfg Config) *run { return &run{cfg: cfg, start: time.Now()} }

func (r *run) send(line *line, i int, due time.Duration) Sample {
	status, token, err := line.exchange(r.cfg.Requests(i))
	if err != nil {
		r.once.Do(func() { r.err = err })
		if status == 0 {
			line.close()
		}
	}
	return Sample{Sent: due, Took: time.Since(r.start) - due, Status: status, token: token}
}

func (r *run) end(samples []Sample) *Result {
	result := &Result{Samples: samples, Elapsed: time.Since(r.start), Err: r.err}
	slices.SortFunc(samples, func(a, b Sample) int { return int(a.Sent - b.Sent) })
	if r.cfg.Seen != nil {
		result.Repeated = r.cfg.Seen.add(samples)
	}
	return result
}

// Seen remembers tokens by a 64-bit hash. It is for one run at a time.
type Seen struct{ hashes map[uint64]struct{} }

// NewSeen remembers nothing yet.
func NewSeen() *Seen { return &Seen{hashes: map[uint64]struct{}{}} }

func (s *Seen) add(samples []Sample) (repeated int) {
	for _, sample := range samples {
		if sample.Status != 200 {
			continue
		}
		if _, known := s.hashes[sample.token]; known {
			repeated++
		}
		s.hashes[sample.token] = struct{}{}
	}
	return repeated
}

// line is a connection, made when it is needed.
type line struct {
	addr string
	conn net.Conn
	buf  []byte
}

const (
	// patience bounds one exchange, so that a run ends whatever it meets.
	patience = 30 * time.Second
	bufSize  = 16 << 10
)

var (
	headEnd   = []byte("\r\n\r\n")
	lengthKey = []byte("\r\nContent-Length: ")
	tokenKey  = []byte(`"token":"`)
)

func (l *line) close() {
	if l.conn != nil {
		_ = l.conn.Close()
		l.conn = nil
	}
}

// exchange sends one request and reads the whole answer. The status is 0 where
// the connection is of no more use. A server may close a connection that was idle
// in the moment in which it is used again: then the request goes over a new one,
// as with every client, and its time goes on.
func (l *line) exchange(request []byte) (status int, token uint64, err error) {
	used := l.conn != nil
	status, token, err = l.once(request)
	if used && errors.Is(err, errUnanswered) {
		l.close()
		status, token, err = l.once(request)
	}
	return status, token, err
}

// errUnanswered is a connection that ended before anything was answered.
var errUnanswered = errors.New("no answer")

func (l *line) once(request []byte) (status int, token uint64, err error) {
	if l.conn == nil {
		if l.conn, err = net.DialTimeout("tcp", l.addr, patience); err != nil {
			l.conn = nil
			return 0, 0, err
		}
		if l.buf == nil {
			l.buf = make([]byte, bufSize)
		}
	}
	if err := l.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, 0, err
	}
	if _, err := l.conn.Write(request); err != nil {
		return 0, 0, fmt.Errorf("%w: %w", errUnanswered, err)
	}
	read, whole := 0, -1
	for whole < 0 || read < whole {
		if read == len(l.buf) {
			return 0, 0, errors.New("an answer is too long")
		}
		n, err := l.conn.Read(l.buf[read:])
		if read += n; err != nil && read == 0 && !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, 0, fmt.Errorf("%w: %w", errUnanswered, err)
		} else if err != nil {
			return 0, 0, err
		}
		if whole >= 0 {
			continue
		}
		if whole, err = size(l.buf[:read]); err != nil {
			return 0, 0, err
		}
	}
	return parse(l.buf[:read])
}

// size is an answer's, or -1 as long as its head is not there.
func size(answer []byte) (int, error) {
	head := bytes.Index(answer, headEnd)
	if head < 0 {
		return -1, nil
	}
	at := bytes.Index(answer[:head], lengthKey)
	if at < 0 {
		return 0, fmt.Errorf("an answer without its length: %.200q", answer[:head])
	}
	digits := answer[at+len(lengthKey) : head]
	if end := bytes.IndexByte(digits, '\r'); end >= 0 {
		digits = digits[:end]
	}
	length, err := strconv.Atoi(string(digits))
	return head + len(headEnd) + length, err
}

func parse(answer []byte) (status int, token uint64, err error) {
	if len(answer) < 12 {
		return 0, 0, errors.New("an answer is too short")
	}
	if status, err = strconv.Atoi(string(answer[9:12])); err != nil {
		return 0, 0, err
	}
	if status != 200 {
		return status, 0, fmt.Errorf("answered: %s", bytes.TrimSpace(answer[bytes.Index(answer, headEnd):]))
	}
	_, rest, found := bytes.Cut(answer, tokenKey)
	end := bytes.IndexByte(rest, '"')
	if !found || end < 1 {
		return 0, 0, errors.New("an answer without a token")
	}
	hash := fnv.New64a()
	_, _ = hash.Write(rest[:end])
	return status, hash.Sum64(), nil
}
