package service

import (
	"context"
	"errors"
	"log/slog"

	"farebox/internal/config"
	"farebox/internal/policy"
	"farebox/internal/telemetry"
	vendorclient "farebox/vendor_client"
)

// openPolicy opens the policy file, or the default policy where path is "". The
// board and the audit learn of every load; a wrong change degrades the whole,
// since what is in force is not what the operator wrote.
func (s *service) openPolicy(path string, audit *telemetry.Audit, log *slog.Logger) error {
	if path == "" {
		s.policy = policy.Default(vendorclient.TokenTypeNames()...)
		return nil
	}
	lamp := s.board.Lamp("policy", false)
	file, err := policy.Open(policy.FileConfig{
		Path: path, TokenTypes: vendorclient.TokenTypeNames(), Log: log,
		Loaded: func(err error) {
			outcome := "ok"
			if err == nil {
				lamp.Up()
			} else {
				outcome = "refused"
				lamp.Down("the file is wrong")
			}
			audit.Record(context.Background(), telemetry.Entry{Event: telemetry.EventPolicyLoaded, Outcome: outcome})
		},
	})
	if faults := (policy.Faults{}); errors.As(err, &faults) {
		// It was good a moment ago, when the settings were read.
		return config.Faults{{Setting: "FAREBOX_POLICY_FILE", Mend: faults.Error()}}
	}
	s.policy, s.policyFile = file, file
	return err
}
