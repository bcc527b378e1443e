package vendorclient_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	vendorclient "farebox/vendor_client"
)

func TestModelsTellsWhetherTheKeyIsAccepted(t *testing.T) {
	t.Parallel()
	const words = "words of the vendor"
	tests := map[string]struct {
		handle http.HandlerFunc
		kind   vendorclient.Kind // "" where the key is accepted
	}{
		"a list":                 {answers(200, `[{"model_id":"m"}]`), ""},
		"a list of many":         {answers(200, `[`+strings.Repeat(`{"model_id":"m"},`, 10_000)+`{}]`), ""},
		"a page":                 {answers(200, `<html>`+words), vendorclient.KindNoList},
		"an object":              {answers(200, `{"`+words+`":1}`), vendorclient.KindNoList},
		"nothing":                {answers(200, ``), vendorclient.KindNoList},
		"a bad key":              {answers(401, `{"detail":{"status":"invalid_api_key","message":"`+words+`"}}`), vendorclient.KindKeyInvalid},
		"a redirect":             {answers(307, ``, "Location", "/v1/models2"), vendorclient.KindRedirected},
		"switched protocols":     {answers(101, ``, "Connection", "Upgrade", "Upgrade", "x"), vendorclient.KindUnexpectedStatus},
		"a connection that ends": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, vendorclient.KindUnreachable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var last atomic.Pointer[http.Request]
			b := start(t, func(w http.ResponseWriter, r *http.Request) {
				last.Store(r)
				test.handle(w, r)
			})
			err := b.Models(t.Context())
			var e *vendorclient.Error
			if test.kind == "" && err != nil || test.kind != "" && (!errors.As(err, &e) || e.Kind != test.kind) {
				t.Fatalf("error = %v, want %q", err, test.kind)
			}
			if err != nil && (strings.Contains(err.Error(), apiKey) || strings.Contains(err.Error(), words)) {
				t.Errorf("the error tells too much: %v", err)
			}
			got := last.Load()
			if got.Method != http.MethodGet || got.URL.String() != "/v1/models" || got.Header.Get("xi-api-key") != apiKey || b.calls.Load() != 1 {
				t.Errorf("%d requests, the last %s %s %v", b.calls.Load(), got.Method, got.URL, got.Header)
			}
		})
	}
}

func TestModelsEndsWithItsTimeout(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := start(t, func(http.ResponseWriter, *http.Request) { <-release }, func(c *vendorclient.Config) { c.Timeout = 20 * time.Millisecond })
	t.Cleanup(func() { close(release) })
	var e *vendorclient.Error
	if err := b.Models(t.Context()); !errors.As(err, &e) || e.Kind != vendorclient.KindTimeout {
		t.Errorf("error = %v", err)
	}
}

func TestARefusedAddressIsNamedWhereTheVendorNamesIt(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		`{"detail":{"message":"203.0.113.7 is not allowed"}}`:             "203.0.113.7",
		`{"detail":{"message":"Your address (2001:db8::7) is refused."}}`: "2001:db8::7",
		`{"detail":"The request came from 203.0.113.7."}`:                 "203.0.113.7",
		`{"detail":{"message":"at 10:15 version 1.2.3 refused you"}}`:     "",
		`{"detail":{"message":"not from 999.1.1.1, 1.2.3.4%eth0<b>"}}`:    "1.2.3.4",
		`no`: "",
	} {
		if _, err := start(t, answers(403, message)).mint(t); err.Address != want {
			t.Errorf("%s: %q, want %q", message, err.Address, want)
		}
	}
}

func TestWorkspaceTellsSubscriptionsApart(t *testing.T) {
	t.Parallel()
	mark := func(body string) string {
		b := start(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.String() != "/v1/user" || r.Header.Get("xi-api-key") != apiKey {
				t.Errorf("request = %s %s %v", r.Method, r.URL, r.Header)
			}
			answers(200, body)(w, r)
		})
		got, err := b.Workspace(t.Context())
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		return got
	}
	one := mark(`{"user_id":"u1","subscription":{"tier":"pro","next_character_count_reset_unix":1738356858}}`)
	if one == "" || one != mark(`{"user_id":"u2","first_name":null,"subscription":{"tier":"pro","character_count":7,"next_character_count_reset_unix":1738356858}}`) {
		t.Error("two users of one workspace have different marks")
	}
	if one == mark(`{"subscription":{"tier":"pro","next_character_count_reset_unix":1738356859}}`) || one == mark(`{"subscription":{"tier":"free","next_character_count_reset_unix":1738356858}}`) {
		t.Error("two workspaces have one mark")
	}
	for _, body := range []string{`{}`, `{"subscription":{"tier":"free","next_character_count_reset_unix":null}}`} {
		if got := mark(body); got != "" {
			t.Errorf("%s: %q", body, got)
		}
	}
	var e *vendorclient.Error
	if _, err := start(t, noScope).Workspace(t.Context()); !errors.As(err, &e) || e.Kind != vendorclient.KindScopeMissing || e.Operation != "user" {
		t.Errorf("error = %v", err)
	}
	if _, err := start(t, answers(200, `[`)).Workspace(t.Context()); !errors.As(err, &e) || e.Kind != vendorclient.KindNoList {
		t.Errorf("error = %v", err)
	}
}
