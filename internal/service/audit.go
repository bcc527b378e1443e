package service

import (
	"io"
	"log/slog"

	"farebox/internal/config"
	"farebox/internal/health"
	"farebox/internal/telemetry"
)

// openAudit opens the audit, which goes to the file at path, or to otherwise
// where there is none. The caller closes it by close.
func openAudit(path string, otherwise io.Writer, board *health.Board, log *slog.Logger) (_ *telemetry.Audit, close func(), err error) {
	if path == "" {
		return telemetry.NewAudit(otherwise), func() {}, nil
	}
	file, err := telemetry.OpenAuditFile(telemetry.AuditFileConfig{
		Path: path, Otherwise: otherwise, State: board.Lamp("audit", false), Log: log,
	})
	if err != nil {
		// It could be opened a moment ago, when the settings were read.
		return nil, nil, config.Faults{{Setting: "FAREBOX_AUDIT_FILE", Mend: "names a file that cannot be written"}}
	}
	return telemetry.NewAudit(file), file.CloseSoon, nil
}

// openAudit opens the service's own. It is closed last, since what ends may
// still have something to say.
func (s *service) openAudit(path string, otherwise io.Writer, log *slog.Logger) (*telemetry.Audit, error) {
	audit, closeAudit, err := openAudit(path, otherwise, s.board, log)
	if err == nil {
		s.closers = append(s.closers, closeAudit)
	}
	return audit, err
}
