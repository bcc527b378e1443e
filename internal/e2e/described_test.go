package e2e_test

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// listening are listeners that are up, by port, and whose they are.
type listening struct {
	announced *regexp.Regexp // how they are printed, with the port in a group
	mu        sync.Mutex
	owners    map[string]*process
}

func newListening(announced *regexp.Regexp) *listening {
	return &listening{announced: announced, owners: map[string]*process{}}
}

// announced is what a process prints of its public listener; dev and serve do so
// each in its own way.
var announced = regexp.MustCompile(`^  curl -X POST http://localhost:(\d+)/|"msg":"farebox serves","address":"[^"]*:(\d+)"`)

// note reads a line that p has printed.
func (l *listening) note(p *process, line []byte) {
	found := l.announced.FindSubmatch(line)
	if found == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.owners[string(found[1])+string(found[2])] = p
}

// forget takes out what p had.
func (l *listening) forget(p *process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for port, owner := range l.owners {
		if owner == p {
			delete(l.owners, port)
		}
	}
}

// owner is who listens at a port; nil for nobody.
func (l *listening) owner(port string) *process {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.owners[port]
}

// complain fails the test that asks a listener; nil for other requests.
func (l *listening) complain(r *http.Request) func(error) {
	if owner := l.owner(r.URL.Port()); owner != nil {
		return func(err error) { owner.t.Error(err) }
	}
	return nil
}

// described is next, with every answer of a public listener held against
// /openapi.yaml, and searched for secrets.
func described(next http.RoundTripper) http.RoundTripper {
	return description.Transport(searched(next), listeners.complain)
}

// The document has no path that the program lacks; handlers hold the reverse.
func TestDevAnswersEveryPathOfTheDescription(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	const absent = "/backchannel-logout" // it is there only where it is set up
	for path, item := range description.Spec.Paths.Map() {
		for method := range item.Operations() {
			path := strings.NewReplacer("{token_type}", "realtime_scribe", "{folder}", "audio", "{file}", "pcm.js").Replace(path)
			a := do(t, method, d.url+path, nil, "")
			if code := a.body["code"]; (code == "not_found" || code == "method_not_allowed") != (path == absent) {
				t.Errorf("%s %s: %d %s", method, path, a.status, a.raw)
			}
		}
	}
}

func TestAnAnswerUnlikeTheDescriptionIsFoundOnItsWay(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	var complaints []error
	spoiled := description.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		response, err := http.DefaultTransport.RoundTrip(r)
		if err == nil && r.URL.Query().Has("spoil") {
			response.Header.Del("X-Request-Id")
		}
		return response, err
	}), func(r *http.Request) func(error) {
		if listeners.complain(r) == nil {
			return nil
		}
		return func(err error) { complaints = append(complaints, err) }
	})
	for url, want := range map[string]int{d.url + "/health/live": 0, d.url + "/health/live?spoil": 1, d.sandbox + "/health/live?spoil": 0} {
		complaints = nil
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := spoiled.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if len(complaints) != want {
			t.Errorf("%s: %v", url, complaints)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
