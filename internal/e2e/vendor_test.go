package e2e_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"farebox/internal/sandbox"
	"farebox/internal/secret"
	vendorclient "farebox/vendor_client"
)

// Client and sandbox share no types, so that one can catch the other's
// mistakes; here they meet.
func TestEveryFaultOfTheSandboxIsKnownToTheClient(t *testing.T) {
	t.Parallel()
	// What each fault is to the client, by shape where that matters: "" is the
	// fault's usual one.
	tests := map[string]map[string]vendorclient.Kind{
		"key_invalid":       {"": vendorclient.KindKeyInvalid, "new": vendorclient.KindKeyInvalid, "legacy": vendorclient.KindKeyInvalid, "string": vendorclient.KindKeyInvalid, "list": vendorclient.KindKeyInvalid},
		"key_id_as_key":     {"": vendorclient.KindKeyIDAsKey, "legacy": vendorclient.KindKeyIDAsKey},
		"scope_missing":     {"": vendorclient.KindScopeMissing, "legacy": vendorclient.KindScopeMissing},
		"credits_exhausted": {"": vendorclient.KindCreditsExhausted, "new": vendorclient.KindCreditsExhausted},
		"plan_too_low":      {"": vendorclient.KindPlanTooLow, "legacy": vendorclient.KindPlanTooLow, "string": vendorclient.KindPlanTooLow},
		"address_refused":   {"": vendorclient.KindAddressRefused, "legacy": vendorclient.KindAddressRefused, "string": vendorclient.KindAddressRefused, "list": vendorclient.KindAddressRefused},
		"too_many_at_once":  {"": vendorclient.KindTooManyAtOnce, "legacy": vendorclient.KindTooManyAtOnce},
		"rate_limited":      {"": vendorclient.KindRateLimited, "legacy": vendorclient.KindRateLimited, "string": vendorclient.KindRateLimited, "list": vendorclient.KindRateLimited},
		"busy":              {"": vendorclient.KindBusy, "legacy": vendorclient.KindBusy},
		"validation":        {"": vendorclient.KindValidation, "new": vendorclient.KindValidation, "string": vendorclient.KindValidation},
		"not_found":         {"": vendorclient.KindUnexpectedStatus},
		"request_timeout":   {"": vendorclient.KindTimeout},
		"server_error":      {"": vendorclient.KindServerError, "new": vendorclient.KindServerError},
		"bad_gateway":       {"": vendorclient.KindServerError},
		"unavailable":       {"": vendorclient.KindServerError},
		"gateway_timeout":   {"": vendorclient.KindServerError},
		"html_error":        {"": vendorclient.KindServerError},
		"html":              {"": vendorclient.KindNoToken},
		"no_token":          {"": vendorclient.KindNoToken},
		"empty_token":       {"": vendorclient.KindNoToken},
		"odd_token":         {"": vendorclient.KindNoToken},
		"long_token":        {"": vendorclient.KindNoToken},
		"wrong_type":        {"": vendorclient.KindNoToken},
		"huge_body":         {"": vendorclient.KindBodyTooLarge},
		"redirect":          {"": vendorclient.KindRedirected},
		"broken_connection": {"": vendorclient.KindUnreachable},
		"truncated":         {"": vendorclient.KindUnreachable},
		"hang":              {"": vendorclient.KindTimeout},
		// No errors to the client: a slow answer, and a token that it cannot
		// know to be an old one.
		"delay": {"": ""}, "same_token": {"": ""},
	}
	sockets := []string{"quota_exceeded", "queue_overflow", "resource_exhausted", "session_time_limit_exceeded", "transcriber_error", "unaccepted_terms", "drop"}
	for _, kind := range sockets {
		tests[kind] = nil // only on sockets
	}
	for _, kind := range sandbox.FaultKinds() {
		if _, known := tests[kind]; !known {
			t.Errorf("the fault %s is not in this table", kind)
		}
	}
	calls := map[string]func(context.Context, *vendorclient.Client) error{
		"mint": func(ctx context.Context, c *vendorclient.Client) error {
			_, err := c.Mint(ctx, vendorclient.BatchScribe)
			return err
		},
		"signed_url": func(ctx context.Context, c *vendorclient.Client) error {
			_, err := c.SignedURL(ctx, "agent_1")
			return err
		},
		"conversation_token": func(ctx context.Context, c *vendorclient.Client) error {
			_, err := c.ConversationToken(ctx, "agent_1", "ada")
			return err
		},
	}
	for fault, byShape := range tests {
		for shape, want := range byShape {
			for operation, call := range calls {
				if fault == "same_token" && operation != "mint" {
					continue // which the sandbox has for tokens alone
				}
				t.Run(operation+" "+fault+" "+shape, func(t *testing.T) {
					t.Parallel()
					meetFault(t, sandbox.Fault{Operation: operation, Kind: fault, Shape: shape, DelayMS: 1}, want, call)
				})
			}
		}
	}
}

// meetFault makes calls of one operation while the sandbox has a fault, and once
// it has none.
func meetFault(t *testing.T, fault sandbox.Fault, want vendorclient.Kind, call func(context.Context, *vendorclient.Client) error) {
	t.Helper()
	vendor, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(vendor.Handler())
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	timeout := 10 * time.Second
	if fault.Kind == "hang" {
		timeout = 30 * time.Millisecond
	}
	// A key that was refused is tried again after a while.
	var later atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	keys, err := vendorclient.NewRing(vendorclient.RingConfig{
		Keys: []secret.Text{secret.New("sandbox")}, Host: base.Host, Now: now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := vendorclient.New(vendorclient.Config{
		BaseURL: base, Keys: keys, Timeout: timeout, Concurrency: 2,
		Now: now, Log: slog.New(slog.DiscardHandler),
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := vendor.Inject(fault); err != nil {
		t.Fatal(err)
	}
	err = call(t.Context(), client)
	var got vendorclient.Kind
	var vendorError *vendorclient.Error
	if errors.As(err, &vendorError) {
		got = vendorError.Kind
	}
	if got != want || (err == nil) != (want == "") {
		t.Errorf("error = %v, want %q", err, want)
	}
	if vendorError != nil && fault.Kind == "scope_missing" && vendorError.Permission != "speech_to_text" {
		t.Errorf("permission = %q", vendorError.Permission)
	}
	vendor.ClearFaults()
	later.Store(int64(time.Minute))
	if err := call(t.Context(), client); err != nil {
		t.Errorf("once the fault is gone: %v", err)
	}
	for _, call := range vendor.Calls() {
		if call.Headers["Cache-Control"] != "no-store" {
			t.Errorf("a call without no-store: %v", call.Headers)
		}
	}
}
