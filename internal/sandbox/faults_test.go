package sandbox_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"farebox/internal/sandbox"

	"github.com/coder/websocket"
)

func TestFaultsComeAsOftenAsToldAndInTheShapeAskedFor(t *testing.T) {
	t.Parallel()
	v := start(t)
	for shape, holds := range map[string]string{"new": `"code":"rate_limit_exceeded"`, "legacy": `{"detail":{"message"`, "string": `{"detail":"`, "list": `{"detail":[`} {
		a := v.do(t, http.MethodPost, "/_sandbox/faults", "", `{"operation":"mint","fault":"rate_limited","shape":"`+shape+`","times":1,"retry_after_seconds":7}`)
		if a.status != 204 {
			t.Fatalf("inject: %d %s", a.status, a.raw)
		}
		a = v.do(t, http.MethodPost, "/v1/single-use-token/realtime_scribe", "k", "")
		if a.status != 429 || !strings.Contains(a.raw, holds) || a.header.Get("Retry-After") != "7" {
			t.Errorf("%s: %d %s", shape, a.status, a.raw)
		}
		v.mint(t, "realtime_scribe")
	}
	first := v.mint(t, "realtime_scribe")
	if err := v.Inject(sandbox.Fault{Operation: "*", Kind: "same_token"}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if v.mint(t, "realtime_scribe") != first {
			t.Error("the same token was asked for")
		}
	}
	v.ClearFaults()
	if v.mint(t, "realtime_scribe") == first {
		t.Error("the faults were not cleared")
	}
	for _, body := range []string{
		`{}`, `x`, `{"operation":"mint","fault":"nothing"}`, `{"operation":"x","fault":"delay"}`, `{"operation":"mint","fault":"delay","times":-1}`,
		`{"operation":"mint","fault":"delay","delay_ms":1000000}`, `{"operation":"mint","fault":"delay","extra":1}`, `{"operation":"mint","fault":"busy","shape":"odd"}`,
	} {
		if a := v.do(t, http.MethodPost, "/_sandbox/faults", "", body); a.status != 400 {
			t.Errorf("%s: %d", body, a.status)
		}
	}
	if a := v.do(t, http.MethodGet, "/_sandbox/faults", "", ""); !strings.Contains(a.raw, `"faults":[]`) {
		t.Errorf("a wrong fault changed something: %s", a.raw)
	}
}

func TestEveryFaultOnTheWire(t *testing.T) {
	t.Parallel()
	refusal := func(status int) func(*testing.T, reply, error) {
		return func(t *testing.T, a reply, err error) {
			if err != nil || a.status != status || !strings.HasPrefix(a.raw, `{"detail":`) {
				t.Errorf("%d %s, %v; want %d", a.status, a.raw, err, status)
			}
		}
	}
	exactly := func(status int, contentType, raw string) func(*testing.T, reply, error) {
		return func(t *testing.T, a reply, err error) {
			if err != nil || a.status != status || a.header.Get("Content-Type") != contentType || !strings.HasPrefix(a.raw, raw) {
				t.Errorf("%d %s, %v", a.status, a.raw, err)
			}
		}
	}
	broken := func(t *testing.T, a reply, err error) {
		if err == nil {
			t.Errorf("%d %s; want a broken connection", a.status, a.raw)
		}
	}
	const inJSON = "application/json"
	tests := map[string]func(*testing.T, reply, error){
		"key_invalid": refusal(401), "key_id_as_key": refusal(400), "scope_missing": refusal(401), "credits_exhausted": refusal(401),
		"plan_too_low": refusal(402), "address_refused": refusal(403), "too_many_at_once": refusal(429), "rate_limited": refusal(429),
		"busy": refusal(429), "validation": refusal(422), "not_found": refusal(404), "request_timeout": refusal(408),
		"server_error": refusal(500), "bad_gateway": refusal(502), "unavailable": refusal(503), "gateway_timeout": refusal(504),
		"delay":       exactly(200, inJSON, `{"token":"sutkn_sandbox_`),
		"same_token":  exactly(200, inJSON, `{"token":"sutkn_sandbox_`),
		"no_token":    exactly(200, inJSON, `{}`),
		"empty_token": exactly(200, inJSON, `{"token":""}`),
		"wrong_type":  exactly(200, inJSON, `{"token":42}`),
		"odd_token":   exactly(200, inJSON, `{"token":"sutkn_\u0001ü"}`),
		"long_token":  exactly(200, inJSON, `{"token":"`+strings.Repeat("x", 4097)+`"}`),
		"html":        exactly(200, "text/html", "<!doctype"),
		"html_error":  exactly(502, "text/html", "<!doctype"),
		"redirect": func(t *testing.T, a reply, err error) {
			if err != nil || a.status != 307 || a.header.Get("Location") != "/v1/models" {
				t.Errorf("%d %v, %v", a.status, a.header, err)
			}
		},
		"huge_body": func(t *testing.T, a reply, err error) {
			if err != nil || len(a.raw) < 8<<20 {
				t.Errorf("%d bytes, %v", len(a.raw), err)
			}
		},
		"truncated": func(t *testing.T, a reply, err error) {
			if err == nil || a.status != 200 || a.header.Get("X-Farebox-Sandbox") != "true" {
				t.Errorf("%d %v, %v; want half an answer", a.status, a.header, err)
			}
		},
		"broken_connection": broken, "hang": broken,
	}
	for _, kind := range sandbox.FaultKinds() {
		check := tests[kind]
		if check == nil {
			continue // shown on open sockets alone; tried there
		}
		delete(tests, kind)
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			v := start(t)
			if err := v.Inject(sandbox.Fault{Operation: "mint", Kind: kind, Times: 1, DelayMS: 1}); err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			if kind == "hang" {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
				defer cancel()
			}
			a, err := v.try(ctx)
			check(t, a, err)
			if err == nil && a.header.Get("X-Farebox-Sandbox") != "true" {
				t.Error("the answer does not say whose it is")
			}
			if calls := v.Calls(); len(calls) != 1 || calls[0].Fault != kind || calls[0].Status != a.status && err == nil {
				t.Errorf("recorded: %+v", calls)
			}
			v.mint(t, "realtime_scribe")
		})
	}
	if len(tests) > 0 {
		t.Errorf("these are no faults: %v", tests)
	}
}

// try mints without following redirects.
func (v *vendor) try(ctx context.Context) (reply, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, v.URL+"/v1/single-use-token/realtime_scribe", nil)
	if err != nil {
		return reply{}, err
	}
	r.Header.Set("xi-api-key", "k")
	response, err := v.Client().Transport.RoundTrip(r)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return reply{status: response.StatusCode, header: response.Header, raw: string(data)}, err
}

func TestFaultsComeOnlyWhereTheyCanBeShown(t *testing.T) {
	t.Parallel()
	v := start(t)
	for _, fault := range []sandbox.Fault{
		{Operation: "mint", Kind: "quota_exceeded"}, {Operation: "models", Kind: "no_token"}, {Operation: "signed_url", Kind: "same_token"},
		{Operation: "mint", Kind: "delay"}, {Operation: "mint", Kind: "html", Shape: "new"}, {Operation: "unknown", Kind: "busy"},
	} {
		if err := v.Inject(fault); err == nil {
			t.Errorf("%+v was taken", fault)
		}
	}
	// What is for all waits for the first that can show it.
	if err := v.Inject(sandbox.Fault{Operation: "*", Kind: "no_token", Times: 1}); err != nil {
		t.Fatal(err)
	}
	if a := v.do(t, http.MethodGet, "/v1/models", "k", ""); a.status != 200 || !strings.HasPrefix(a.raw, "[") {
		t.Errorf("models: %d %s", a.status, a.raw)
	}
	if a := v.do(t, http.MethodGet, "/v1/voices", "k", ""); a.status != 501 {
		t.Errorf("what is unknown: %d", a.status)
	}
	if a := v.do(t, http.MethodGet, "/v1/convai/conversation/get-signed-url?agent_id=a", "k", ""); a.raw != "{}\n" {
		t.Errorf("a signed URL: %s", a.raw)
	}
	if err := v.Inject(sandbox.Fault{Operation: "signed_url", Kind: "wrong_type", Times: 1}); err != nil {
		t.Fatal(err)
	}
	if a := v.do(t, http.MethodGet, "/v1/convai/conversation/get-signed-url?agent_id=a", "k", ""); a.raw != `{"signed_url":42}`+"\n" {
		t.Errorf("a signed URL of another type: %s", a.raw)
	}
}

func TestNoFaultGivesATokenWithoutAKey(t *testing.T) {
	t.Parallel()
	v := start(t)
	v.mint(t, "realtime_scribe")
	for _, kind := range []string{"same_token", "delay"} {
		if err := v.Inject(sandbox.Fault{Operation: "mint", Kind: kind, Times: 1, DelayMS: 1}); err != nil {
			t.Fatal(err)
		}
		if a := v.do(t, http.MethodPost, "/v1/single-use-token/realtime_scribe", "", ""); a.status != 401 {
			t.Errorf("%s: %d %s", kind, a.status, a.raw)
		}
	}
}

func TestADelayKeepsTheCallerWaiting(t *testing.T) {
	t.Parallel()
	v := start(t)
	if err := v.Inject(sandbox.Fault{Operation: "mint", Kind: "delay", Times: 1, DelayMS: 60_000}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if a, err := v.try(ctx); err == nil {
		t.Errorf("answered at once: %d", a.status)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	v := start(t)
	var err error
	n := 0
	for ; n < 5000 && err == nil; n++ {
		err = v.Inject(sandbox.Fault{Operation: "mint", Kind: "busy"})
	}
	if n != 1001 {
		t.Errorf("injected %d times: %v", n, err)
	}
}

func TestFaultsOnOpenSockets(t *testing.T) {
	t.Parallel()
	v := start(t)
	for _, kind := range []string{
		"quota_exceeded", "rate_limited", "queue_overflow", "resource_exhausted", "session_time_limit_exceeded", "transcriber_error", "unaccepted_terms",
	} {
		for _, operation := range []string{"scribe", "speech"} {
			if err := v.Inject(sandbox.Fault{Operation: operation, Kind: kind, Times: 1}); err != nil {
				t.Fatal(err)
			}
		}
		l := v.dial(t, scribePath+"&token="+v.mint(t, "realtime_scribe"))
		l.until("session_started")
		if m := l.receive(); m["message_type"] != kind || m["error"] == "" {
			t.Errorf("%s on Scribe: %v", kind, m)
		}
		if code := l.closed(); code != websocket.StatusNormalClosure {
			t.Errorf("%s on Scribe: closed with %d", kind, code)
		}
		l = v.dial(t, "/v1/text-to-speech/v/stream-input?output_format=pcm_16000&single_use_token="+v.mint(t, "tts_websocket"))
		if m := l.receive(); m["error"] != kind || m["code"] != 1008.0 {
			t.Errorf("%s on speech: %v", kind, m)
		}
		if code := l.closed(); code != websocket.StatusPolicyViolation {
			t.Errorf("%s on speech: closed with %d", kind, code)
		}
	}
}

func TestADroppedSocketEndsWithoutAWord(t *testing.T) {
	t.Parallel()
	v := start(t)
	for _, operation := range []string{"scribe", "speech"} {
		if err := v.Inject(sandbox.Fault{Operation: operation, Kind: "drop", Times: 1}); err != nil {
			t.Fatal(err)
		}
	}
	l := v.dial(t, scribePath+"&token="+v.mint(t, "realtime_scribe"))
	l.until("session_started")
	if code := l.closed(); code != -1 {
		t.Errorf("Scribe: closed with %d", code)
	}
	l = v.dial(t, "/v1/text-to-speech/v/stream-input?output_format=pcm_16000&single_use_token="+v.mint(t, "tts_websocket"))
	if code := l.closed(); code != -1 {
		t.Errorf("speech: closed with %d", code)
	}
}

func TestAFaultCanBeForOneKeyAndOneTokenTypeAlone(t *testing.T) {
	t.Parallel()
	v := start(t)
	mint := func(key, tokenType string) int {
		return v.do(t, http.MethodPost, "/v1/single-use-token/"+tokenType, key, "").status
	}
	mint("one", "batch_scribe")
	mark := v.Calls()[0].Key
	for fault, want := range map[string][3]int{ // one's batch and realtime tokens, and two's batch ones
		`{"operation":"mint","fault":"key_invalid","key":"` + mark + `"}`:                                        {401, 401, 200},
		`{"operation":"*","fault":"plan_too_low","key":"` + mark + `"}`:                                          {402, 402, 200},
		`{"operation":"mint","fault":"key_invalid","token_type":"batch_scribe"}`:                                 {401, 200, 401},
		`{"operation":"mint","fault":"key_invalid","token_type":"batch_scribe","key":"` + mark + `"}`:            {401, 200, 200},
		`{"operation":"signed_url","fault":"key_invalid","key":"` + mark + `"}`:                                  {200, 200, 200},
		`{"operation":"mint","fault":"key_invalid","times":1,"token_type":"tts_websocket","key":"` + mark + `"}`: {200, 200, 200},
	} {
		v.ClearFaults()
		if a := v.do(t, http.MethodPost, "/_sandbox/faults", "", fault); a.status != 204 {
			t.Fatalf("%s: %d %s", fault, a.status, a.raw)
		}
		if got := [3]int{mint("one", "batch_scribe"), mint("one", "realtime_scribe"), mint("two", "batch_scribe")}; got != want {
			t.Errorf("%s: %v, want %v", fault, got, want)
		}
	}
	for _, body := range []string{
		`{"operation":"mint","fault":"delay","delay_ms":1,"key":"one"}`, `{"operation":"mint","fault":"delay","delay_ms":1,"token_type":"one"}`,
		`{"operation":"models","fault":"delay","delay_ms":1,"token_type":"batch_scribe"}`,
	} {
		if a := v.do(t, http.MethodPost, "/_sandbox/faults", "", body); a.status != 400 {
			t.Errorf("%s: %d", body, a.status)
		}
	}
}
