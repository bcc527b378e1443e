package sandbox_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
)

func TestTheRecordHoldsNoCredentialAndNoRealKeysCall(t *testing.T) {
	t.Parallel()
	v := start(t)
	token := v.mint(t, "realtime_scribe")
	v.dial(t, scribePath+"&token="+token).receive()
	v.do(t, http.MethodGet, "/v1/models", "sk_0123456789", "")
	v.do(t, http.MethodGet, "/v1/models", "a-good-key", "")
	record := v.do(t, http.MethodGet, "/_sandbox/calls", "", "")
	calls := v.Calls()
	if len(calls) != 3 || calls[0].Operation != "mint" || calls[0].Status != 200 || calls[2].Operation != "models" || calls[2].Key == "" {
		t.Errorf("calls = %+v", calls)
	}
	for _, word := range []string{token, "sk_0", "a-good-key"} {
		if strings.Contains(record.raw, word) {
			t.Errorf("the record holds %q", word)
		}
	}
	if v.do(t, http.MethodDelete, "/_sandbox/calls", "", "").status != 204 || len(v.Calls()) != 0 {
		t.Error("the record was not cleared")
	}
}

func TestTheRecordRedactsWhatStrayedAndStaysSmall(t *testing.T) {
	t.Parallel()
	v := start(t)
	token := v.mint(t, "realtime_scribe")
	header := http.Header{
		"Xi-Api-Key": {"good-key"}, "Cookie": {"c=cookie-value"}, "Authorization": {"Bearer bearer-value"}, "Proxy-Authorization": {"p"},
		"Referer": {"http://localhost/?q=referer-value"}, "X-Strayed": {token}, "X-Key": {"sk_stray"}, "X-Long": {strings.Repeat("é", 5000)}, "X-Kept": {"kept"},
	}
	for i := range 100 {
		header.Set("Z-"+strconv.Itoa(i), "z")
	}
	v.ClearCalls()
	v.ask(t, http.MethodGet, "/v1/voices/"+token, header)
	calls := v.Calls()
	text := v.do(t, http.MethodGet, "/_sandbox/calls", "", "").raw
	for _, word := range []string{token, "sk_stray", "good-key", "cookie-value", "bearer-value", "referer-value"} {
		if strings.Contains(text, word) {
			t.Errorf("the record holds %q", word)
		}
	}
	if len(calls) != 1 || calls[0].Operation != "unknown" || calls[0].Status != 501 || calls[0].Headers["X-Kept"] != "kept" || calls[0].Seq != 2 {
		t.Errorf("calls = %+v", calls)
	}
	if len(text) > 4<<10 || len(calls[0].Headers) > 40 {
		t.Errorf("one call takes %d bytes and has %d headers", len(text), len(calls[0].Headers))
	}
}

func TestTheRecordKeepsTheLastThousandInOrder(t *testing.T) {
	t.Parallel()
	v := start(t)
	handler := v.Redeem()
	for range 1500 {
		serve(handler, http.MethodGet, "/v1/speech-to-text")
	}
	calls := v.Calls()
	if len(calls) != 1000 {
		t.Fatalf("%d calls", len(calls))
	}
	for i, call := range calls {
		if call.Seq != 501+i || call.Status != 405 {
			t.Fatalf("call %d is number %d with status %d", i, call.Seq, call.Status)
		}
	}
}
