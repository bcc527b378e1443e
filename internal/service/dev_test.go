package service

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"farebox/internal/apidoc"
	"farebox/internal/config"
	"farebox/internal/sandbox"
)

func TestWhatDevAddsIsDescribedOrAnothers(t *testing.T) {
	t.Parallel()
	description, err := apidoc.Open()
	if err != nil {
		t.Fatal(err)
	}
	vendor, err := sandbox.New(sandbox.Config{TokenLifetime: time.Minute, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range devRoutes(&config.Config{}, vendor) {
		path := strings.TrimSuffix(route.Pattern, "*")
		if description.Spec.Paths.Value(path) == nil && !apidoc.Beyond(path) {
			t.Errorf("%s is not described", path)
		}
	}
}
