// Package telemetry is what farebox tells its operators: log and audit.
package telemetry

import (
	"io"
	"log/slog"
)

// NewLogger returns a logger that writes to w from level on, as JSON or text.
func NewLogger(w io.Writer, level slog.Level, text bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if text {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
