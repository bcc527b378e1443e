package e2e_test

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// publics are the public listeners that are up, by port, and whose they are.
type publics struct {
	mu     sync.Mutex
	owners map[string]*process
}

// announced is what a process prints of its public listener; dev and serve do so
// each in its own way.
var announced = regexp.MustCompile(`^  curl -X POST http://localhost:(\d+)/|"msg":"farebox serves","address":"[^"]*:(\d+)"`)

// note reads a line that p has printed.
func (l *publics) note(p *process, line []byte) {
	found := announced.FindSubmatch(line)
	if found == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.owners[string(found[1])+string(found[2])] = p
}

// forget takes out what p had.
func (l *publics) forget(p *process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for port, owner := range l.owners {
		if owner == p {
			delete(l.owners, port)
		}
	}
}

// complain fails the test that asks a public listener; nil for other requests.
func (l *publics) complain(r *http.Request) func(error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if owner := l.owners[r.URL.Port()]; owner != nil {
		return func(err error) { owner.t.Error(err) }
	}
	return nil
}

// described is next, with every answer of a public listener held against
// /openapi.yaml.
func described(next http.RoundTripper) http.RoundTripper {
	return description.Transport(next, listeners.complain)
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
