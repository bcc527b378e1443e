package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// profiled is how long a run's processor time is looked into; each is longer.
const profiled = 2 * time.Second

// profile keeps what a replica spends its processor time and its memory on from
// now on, in files of the folder that was asked for. The function waits for the
// end of it.
func (s *stage) profile(ctx context.Context, p *process) (wait func() error) {
	if s.b.profiles == "" || p.ops == "" {
		return func() error { return nil }
	}
	s.b.profile++
	done := make(chan error, 2)
	for _, what := range []string{"profile", "allocs"} {
		url := fmt.Sprintf("http://%s/debug/pprof/%s?seconds=%.0f", p.ops, what, profiled.Seconds())
		file := filepath.Join(s.b.profiles, fmt.Sprintf("%s-%02d-%s.pprof", p.name, s.b.profile, what))
		go func() { done <- fetchProfile(ctx, url, file) }()
	}
	return func() error { return errors.Join(<-done, <-done) }
}

func fetchProfile(ctx context.Context, url, file string) error {
	asked, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(asked)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("profile: %s", answer.Status)
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, answer.Body); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}
