package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Control answers the control endpoints, without the guard, which is then the
// caller's duty:
//
//	GET    /_sandbox/          the sandbox's state
//	GET    /_sandbox/calls     the record of calls; DELETE clears it
//	GET    /_sandbox/faults    active faults and all kinds; POST adds one, DELETE clears all
//	PUT    /_sandbox/settings  {"token_lifetime_seconds": 5}
func (s *Sandbox) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sandbox/{$}", func(w http.ResponseWriter, _ *http.Request) {
		lifetime, fresh, used, expired := s.tokens.count()
		writeJSON(w, http.StatusOK, map[string]any{
			"sandbox":                true,
			"token_lifetime_seconds": lifetime.Seconds(),
			"tokens":                 map[string]int{"fresh": fresh, "used": used, "expired": expired},
			"calls":                  len(s.Calls()),
			"faults":                 s.faults.list(),
		})
	})
	mux.HandleFunc("GET /_sandbox/calls", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"calls": append([]Call{}, s.Calls()...)})
	})
	mux.HandleFunc("DELETE /_sandbox/calls", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearCalls()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /_sandbox/faults", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"faults": s.faults.list(), "kinds": FaultKinds(), "operations": operations(), "shapes": shapes()})
	})
	mux.HandleFunc("POST /_sandbox/faults", func(w http.ResponseWriter, r *http.Request) {
		var fault Fault
		err := readJSON(w, r, &fault)
		if err == nil {
			err = s.Inject(fault)
		}
		answer(w, err)
	})
	mux.HandleFunc("DELETE /_sandbox/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("PUT /_sandbox/settings", func(w http.ResponseWriter, r *http.Request) {
		var settings struct {
			Seconds float64 `json:"token_lifetime_seconds"`
		}
		err := readJSON(w, r, &settings)
		if err == nil && (settings.Seconds <= 0 || settings.Seconds > longestLifetime.Seconds()) {
			err = fmt.Errorf("token_lifetime_seconds must be more than 0 and at most %v", longestLifetime.Seconds())
		}
		if err == nil {
			s.tokens.setLifetime(time.Duration(settings.Seconds * float64(time.Second)))
		}
		answer(w, err)
	})
	return showItself(mux)
}

func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return errors.New("the body is no JSON object of the fields that are known here")
	}
	return nil
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": err.Error()})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
