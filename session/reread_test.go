package session

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A file that is being written can end between two blocks, and then looks
// whole.
func TestAChangeOfAPEMFileCountsOnceTwoReadingsAgreeOnIt(t *testing.T) {
	t.Parallel()
	var file []byte
	for range 2 {
		public, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		file = append(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...)
	}
	first, rest := file[:len(file)/2], file[len(file)/2:]
	path := filepath.Join(t.TempDir(), "keys.pem")
	put := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(file)
	s, err := NewPEM(PEMConfig{Path: path, Now: time.Now, Log: slog.New(slog.DiscardHandler), Refresh: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	keys := func() int { return len(s.keys.Load().keys) }
	put(first)
	seen := s.reread(nil)
	if keys() != 2 {
		t.Fatal("one reading was enough")
	}
	put(append(first, rest...))
	if seen = s.reread(seen); keys() != 2 {
		t.Error("a key was lost while the file was being written")
	}
	put(rest)
	seen = s.reread(seen)
	if s.reread(seen); keys() != 1 {
		t.Error("a change that stays is not taken")
	}
}
