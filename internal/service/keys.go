package service

import (
	"context"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"farebox/internal/config"
	"farebox/internal/filewatch"
	"farebox/internal/health"
	"farebox/internal/telemetry"
	vendorclient "farebox/vendor_client"
)

// keyring is the ring of API keys, which follows its file. The board and the audit
// learn of what becomes of its keys.
type keyring struct {
	*vendorclient.Ring
	file  *filewatch.File // nil where there is none
	wrong atomic.Bool     // what the file holds now
	lamp  *health.Lamp
	audit *telemetry.Audit
	log   *slog.Logger
}

func openKeyring(cfg config.Vendor, board *health.Board, audit *telemetry.Audit, log *slog.Logger) (*keyring, error) {
	k := &keyring{lamp: board.Lamp("api_keys", false), audit: audit, log: log}
	keys := cfg.APIKeys
	if cfg.APIKeyFile != "" {
		var first filewatch.Content
		k.file, first = filewatch.Open(cfg.APIKeyFile, config.MaxKeyFile)
		// It was good a moment ago, when the settings were read, and may be another now.
		if changed, err := config.APIKeysIn(first); err == nil {
			keys = changed
		} else {
			k.wrong.Store(true)
		}
	}
	var err error
	k.Ring, err = vendorclient.NewRing(vendorclient.RingConfig{
		Keys: keys, Host: cfg.BaseURL.Host, Changed: k.changed, Now: time.Now, Log: log,
	})
	if err == nil {
		k.show()
	}
	return k, err
}

// changed tells of a key that is set aside, or usable again.
func (k *keyring) changed(c vendorclient.KeyChange) {
	e := telemetry.Entry{Event: telemetry.EventKeyAside, Key: strconv.Itoa(c.Position), Type: c.Only, Outcome: string(c.Kind)}
	if c.Kind == "" {
		e.Event, e.Outcome = telemetry.EventKeyUsable, "ok"
	}
	k.audit.Record(context.Background(), e)
	k.show()
}

// show has the board say what is wrong.
func (k *keyring) show() {
	switch trouble := k.Trouble(); {
	case trouble != "":
		k.lamp.Down(trouble)
	case k.wrong.Load():
		k.lamp.Down("the file is wrong")
	default:
		k.lamp.Up()
	}
}

// watch follows the file until ctx ends.
func (k *keyring) watch(ctx context.Context) {
	if k.file != nil {
		k.file.Watch(ctx, k.take)
	}
}

func (k *keyring) take(c filewatch.Content) {
	keys, err := config.APIKeysIn(c)
	if err == nil {
		err = k.Replace(keys)
	}
	k.wrong.Store(err != nil)
	outcome := "ok"
	if err != nil {
		outcome = "refused"
		k.log.Error("the file of API keys is wrong: the keys before it stay in use", "setting", "ELEVENLABS_API_KEY_FILE", "fault", err.Error())
	} else {
		k.log.Info("the file of API keys has changed and is in use", "keys", len(keys))
	}
	k.audit.Record(context.Background(), telemetry.Entry{Event: telemetry.EventKeysLoaded, Outcome: outcome})
	k.show()
}
