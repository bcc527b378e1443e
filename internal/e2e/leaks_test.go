package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// secrets are those of all tests together. Every process of farebox is searched
// for them when it ends, by its own test: all that it printed, its audit, metrics
// and states, and the spans that it sent; and every answer as it comes.
var secrets = newHoard()

// announcedOps is what a process prints of its operators' listener.
var announcedOps = regexp.MustCompile(`"operators":"[^"]*:(\d+)"|http://127\.0\.0\.1:(\d+)/readyz`)

// spanKeeper is one collector for all processes, each of which has a path of its
// own there.
type spanKeeper struct {
	*httptest.Server
	mu    sync.Mutex
	spans map[string]*bytes.Buffer // by path
}

func startSpanKeeper() *spanKeeper {
	k := &spanKeeper{spans: map[string]*bytes.Buffer{}}
	k.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		k.mu.Lock()
		defer k.mu.Unlock()
		if kept := k.spans[r.URL.Path]; kept != nil {
			kept.Write(body)
		}
	}))
	return k
}

// open returns a new path.
func (k *spanKeeper) open() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	path := "/" + strconv.Itoa(len(k.spans))
	k.spans[path] = &bytes.Buffer{}
	return path
}

// of is what came to a path so far, as it was sent.
func (k *spanKeeper) of(path string) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if kept := k.spans[path]; kept != nil {
		return bytes.Clone(kept.Bytes())
	}
	return nil
}

var ownTraces = regexp.MustCompile(`^OTEL_(TRACES_EXPORTER|EXPORTER_OTLP_ENDPOINT|EXPORTER_OTLP_TRACES_ENDPOINT|SDK_DISABLED)=`)

// traced adds to the settings of a process that serves that it sends its spans to
// the collector of all tests, where they do not say anything about traces. It also
// returns the path there.
func traced(args, env []string) (settings []string, path string) {
	if len(args) == 0 || args[0] != "serve" && args[0] != "dev" || slices.ContainsFunc(env, ownTraces.MatchString) {
		return env, ""
	}
	path = spans.open()
	return append(env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+spans.URL+path, "OTEL_BSP_SCHEDULE_DELAY=500"), path
}

// wantNoSecret fails the process' test where text holds a secret.
func (p *process) wantNoSecret(where string, text []byte) {
	p.t.Helper()
	if found := secrets.find(text); found != "" {
		p.t.Errorf("%s of %s holds %s", where, strings.Join(p.cmd.Args[1:], " "), found)
	}
}

// scrape has what operators would read last of a process that is still up
// searched with all other answers.
func (p *process) scrape() {
	found := announcedOps.FindStringSubmatch(p.text())
	if found == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, path := range []string{"/metrics", "/readyz"} {
		_, _ = try(ctx, http.MethodGet, "http://127.0.0.1:"+found[1]+found[2]+path, nil, "")
	}
}

// checkLeaks searches what a process has left behind.
func (p *process) checkLeaks() {
	p.wantNoSecret("what was printed", []byte(p.text()))
	p.wantNoSecret("a span", spans.of(p.spans))
	for _, setting := range p.cmd.Env {
		if path, is := strings.CutPrefix(setting, "FAREBOX_AUDIT_FILE="); is {
			files, _ := filepath.Glob(path + "*") // it may have been rotated
			for _, file := range files {
				if text, err := os.ReadFile(file); err == nil {
					p.wantNoSecret("the audit", text)
				}
			}
		}
	}
}

// searched is next, with every answer of a process of the tests searched. What a
// request carries and what an answer hands out is noted on the way.
func searched(next http.RoundTripper) http.RoundTripper { return &searcher{next} }

type searcher struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s *searcher) RoundTrip(r *http.Request) (*http.Response, error) {
	owner := listeners.owner(r.URL.Port())
	if owner == nil {
		if owner = operators.owner(r.URL.Port()); owner == nil {
			return s.next.RoundTrip(r)
		}
	}
	noteRequest(r)
	response, err := s.next.RoundTrip(r)
	if err != nil || response.StatusCode == http.StatusSwitchingProtocols {
		return response, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	response.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), broken{err}))
	var header bytes.Buffer
	rest := withoutTheirOwn(r, response, body)
	_ = rest.header.Write(&header)
	owner.wantNoSecret("a header of the answer to "+r.Method+" "+r.URL.Path, header.Bytes())
	owner.wantNoSecret("the answer to "+r.Method+" "+r.URL.Path, rest.body)
	return response, nil
}

// CloseIdleConnections closes those of next.
func (s *searcher) CloseIdleConnections() { (&http.Client{Transport: s.next}).CloseIdleConnections() }

// broken ends as a body did.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	return 0, io.EOF
}

// markedKey tells an Idempotency-Key that nothing else is called like: those of the
// SDK, and those that say so.
var markedKey = regexp.MustCompile(`^"?canary|^"?[0-9a-f]{8}-[0-9a-f-]{27}"?$`)

func noteRequest(r *http.Request) {
	for _, values := range r.Header {
		for _, value := range values {
			for _, word := range strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '=' || r == ';' }) {
				secrets.noteSession(word)
			}
		}
	}
	if key := r.Header.Get("Idempotency-Key"); markedKey.MatchString(key) {
		secrets.note("an Idempotency-Key", strings.Trim(key, `"`))
	}
	if r.GetBody != nil && r.URL.Path == "/backchannel-logout" {
		if body, err := r.GetBody(); err == nil {
			text, _ := io.ReadAll(body)
			form, _ := url.ParseQuery(string(text))
			secrets.noteSession(form.Get("logout_token"))
		}
	}
}

// leftover is an answer without what its caller asked for.
type leftover struct {
	header http.Header
	body   []byte
}

// withoutTheirOwn notes the credential that an answer is there to bring, and takes
// it out.
func withoutTheirOwn(r *http.Request, response *http.Response, body []byte) leftover {
	rest := leftover{response.Header, body}
	isSession := r.URL.Path == "/dev/session"
	if response.StatusCode != http.StatusOK || !isSession && !strings.HasPrefix(r.URL.Path, "/v1/single-use-token/") && !strings.HasPrefix(r.URL.Path, "/v1/convai/conversation/") {
		return rest
	}
	var fields map[string]any
	if json.Unmarshal(body, &fields) != nil {
		return rest
	}
	for _, name := range []string{"token", "signed_url", "session"} {
		if value, _ := fields[name].(string); value != "" {
			if isSession {
				secrets.noteSession(value)
			} else {
				noteHandedOut(value)
			}
			delete(fields, name)
		}
	}
	if isSession {
		rest.header = rest.header.Clone()
		rest.header.Del("Set-Cookie")
	}
	rest.body, _ = json.Marshal(fields)
	return rest
}

// noteHandedOut notes a token, or of a signed URL what signs it; without what all of
// the sandbox's begin with.
func noteHandedOut(value string) {
	if u, err := url.Parse(value); err == nil && u.Host != "" {
		value = u.Query().Get("conversation_signature")
	}
	if _, own, is := strings.Cut(value, "_sandbox_"); is {
		value = own
	}
	secrets.note("what was handed out", value)
}
