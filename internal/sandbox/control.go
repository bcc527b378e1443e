package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Control answers the control endpoints in JSON, without the guard, which is
// then the caller's duty:
//
//	GET    /_sandbox/          the sandbox's state
//	GET    /_sandbox/calls     the record of calls; DELETE clears it
//	GET    /_sandbox/faults    active faults and all kinds; POST adds one, DELETE clears all
//	PUT    /_sandbox/settings  {"token_lifetime_seconds": 5}
func (s *Sandbox) Control() http.Handler {
	endpoints := map[string]map[string]http.HandlerFunc{
		"/_sandbox/":         {http.MethodGet: s.state},
		"/_sandbox/calls":    {http.MethodGet: s.listCalls, http.MethodDelete: s.clear(s.ClearCalls)},
		"/_sandbox/faults":   {http.MethodGet: s.listFaults, http.MethodPost: s.addFault, http.MethodDelete: s.clear(s.ClearFaults)},
		"/_sandbox/settings": {http.MethodPut: s.set},
	}
	paths := strings.Join(slices.Sorted(maps.Keys(endpoints)), ", ")
	return showItself(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		methods, known := endpoints[r.URL.Path]
		if !known {
			complain(w, http.StatusNotFound, "the control endpoints are "+paths)
			return
		}
		handle, known := methods[r.Method]
		if !known {
			allowed := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
			w.Header().Set("Allow", allowed)
			complain(w, http.StatusMethodNotAllowed, "the methods here are "+allowed)
			return
		}
		handle(w, r)
	}))
}

func (s *Sandbox) state(w http.ResponseWriter, _ *http.Request) {
	lifetime, fresh, used, expired := s.tokens.count()
	writeJSON(w, http.StatusOK, map[string]any{
		"sandbox":                true,
		"token_lifetime_seconds": lifetime.Seconds(),
		"tokens":                 map[string]int{"fresh": fresh, "used": used, "expired": expired},
		"calls":                  len(s.Calls()),
		"faults":                 s.faults.list(),
	})
}

func (s *Sandbox) listCalls(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"calls": s.Calls()})
}

func (s *Sandbox) listFaults(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"faults": s.faults.list(), "kinds": FaultKinds(), "operations": operations(), "shapes": shapes(),
	})
}

func (s *Sandbox) addFault(w http.ResponseWriter, r *http.Request) {
	var fault Fault
	err := readJSON(w, r, &fault, "operation, fault, shape, times, delay_ms, retry_after_seconds, token_type, key")
	if err == nil {
		err = s.Inject(fault)
	}
	answer(w, err)
}

func (s *Sandbox) set(w http.ResponseWriter, r *http.Request) {
	var settings struct {
		Seconds float64 `json:"token_lifetime_seconds"`
	}
	err := readJSON(w, r, &settings, "token_lifetime_seconds")
	lifetime := time.Duration(settings.Seconds * float64(time.Second))
	if err == nil && (lifetime < time.Millisecond || lifetime > longestLifetime) {
		err = fmt.Errorf("token_lifetime_seconds must lie between 0.001 and %.0f", longestLifetime.Seconds())
	}
	if err == nil {
		s.tokens.setLifetime(lifetime)
	}
	answer(w, err)
}

func (s *Sandbox) clear(what func()) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		what()
		w.WriteHeader(http.StatusNoContent)
	}
}

// readJSON reads one object of the named fields and nothing more.
func readJSON(w http.ResponseWriter, r *http.Request, into any, fields string) error {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Errorf("%s has the wrong type", wrong.Field)
	case err != nil:
		return fmt.Errorf("the body must be one JSON object with fields of %s", fields)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the body goes on after the JSON object")
	}
	return nil
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		complain(w, http.StatusBadRequest, err.Error())
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func complain(w http.ResponseWriter, status int, what string) {
	writeJSON(w, status, map[string]any{"error": what})
}
