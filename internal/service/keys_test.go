package service

import (
	"bytes"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farebox/internal/config"
	"farebox/internal/filewatch"
	"farebox/internal/health"
	"farebox/internal/secret"
	"farebox/internal/telemetry"
)

func TestTheFileOfKeysCountsFromTheFirstLookAndAWrongOneKeepsTheKeysBefore(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		content string // between the settings' reading and the first look
		keys    string
		state   string
	}{
		"as the settings had it": {"canary-one\ncanary-two\n", "canary-one canary-two", health.StateUp},
		"changed meanwhile":      {"canary-three", "canary-three", health.StateUp},
		"emptied meanwhile":      {" \n", "canary-one canary-two", health.StateDown},
	} {
		path := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		board := health.NewBoard(time.Now, log)
		k, err := openKeyring(config.Vendor{
			APIKeys: []secret.Text{secret.New("canary-one"), secret.New("canary-two")}, APIKeyFile: path,
			BaseURL: &url.URL{Scheme: "https", Host: "vendor.example"},
		}, board, telemetry.NewAudit(&out), log)
		if err != nil {
			t.Fatal(err)
		}
		want := func(when, keys, state string) {
			t.Helper()
			var have []string
			for _, key := range k.Keys() {
				have = append(have, key.Value().Reveal())
			}
			if lamp := board.Report().Dependencies["api_keys"]; strings.Join(have, " ") != keys || lamp.State != state {
				t.Errorf("%s, %s: keys %v, lamp %+v", name, when, have, lamp)
			}
		}
		want("at first", tt.keys, tt.state)
		k.take(filewatch.Content{Data: []byte("canary-one, canary two")})
		want("wrong", tt.keys, health.StateDown)
		k.take(filewatch.Content{Problem: "it does not exist"})
		want("gone", tt.keys, health.StateDown)
		k.take(filewatch.Content{Data: bytes.Repeat([]byte("k"), config.MaxKeyFile+1)})
		want("too large", tt.keys, health.StateDown)
		k.take(filewatch.Content{Data: []byte("canary-four\r\n")})
		want("good again", "canary-four", health.StateUp)
		if strings.Contains(out.String(), "canary") {
			t.Errorf("a key is told:\n%s", out.String())
		}
	}
}
