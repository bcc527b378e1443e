package session_test

import (
	"context"
	"encoding/base64"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"farebox/session"

	"github.com/golang-jwt/jwt/v5"
)

// slow is an algorithm whose signatures are all good, once the test lets them.
// It is a source of itself.
type slow struct {
	name        string
	under, most atomic.Int32
	release     chan struct{}
}

func newSlow(name string) *slow {
	s := &slow{name: name, release: make(chan struct{})}
	jwt.RegisterSigningMethod(name, func() jwt.SigningMethod { return s })
	return s
}

func (s *slow) Alg() string                      { return s.name }
func (s *slow) Sign(string, any) ([]byte, error) { return []byte("good"), nil }

func (s *slow) Verify(string, []byte, any) error {
	under := s.under.Add(1)
	defer s.under.Add(-1)
	for most := s.most.Load(); under > most && !s.most.CompareAndSwap(most, under); most = s.most.Load() {
	}
	<-s.release
	return nil
}

func (s *slow) Algorithms() []string { return []string{s.name} }

func (s *slow) Keys(context.Context, string, string) ([]session.Key, error) {
	return []session.Key{{Algorithms: s.Algorithms()}}, nil
}

func (s *slow) Holds(string, session.Thumbprint) bool { return false }

func (s *slow) sign(t *testing.T) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"`+s.name+`"}`)) + "." + encode([]byte(mustJSON(t, claims(nil)))) + "." + encode([]byte("good"))
}

func (s *slow) Status() session.KeyStatus { return session.KeyStatus{Usable: true} }

func TestAFloodOfSignaturesIsBoundedAndTheRestIsOverload(t *testing.T) {
	t.Parallel()
	s := newSlow("TEST-SLOW")
	v, raw := verifier(t, s), s.sign(t)
	processors := runtime.GOMAXPROCS(0)
	callers := processors * 300
	var good, overloaded atomic.Int32
	var flood sync.WaitGroup
	for range callers {
		flood.Go(func() {
			switch _, err := v.Verify(t.Context(), raw); {
			case err == nil:
				good.Add(1)
			case errors.Is(err, session.ErrOverloaded):
				overloaded.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	eventually(t, "every processor is busy", func() bool { return int(s.under.Load()) == processors })
	// A caller who has hung up gives its place in the queue back at once; when
	// the queue is full, it never gets one.
	gone, leave := context.WithCancel(t.Context())
	leave()
	eventually(t, "the queue is full", func() bool {
		_, err := v.Verify(gone, raw)
		if !errors.Is(err, session.ErrOverloaded) {
			t.Errorf("error = %v", err)
		}
		return !errors.Is(err, context.Canceled)
	})
	eventually(t, "those beyond it are refused", func() bool { return overloaded.Load() > 0 })
	close(s.release)
	flood.Wait()
	if most := int(s.most.Load()); most != processors {
		t.Errorf("%d signatures at once on %d processors", most, processors)
	}
	if good.Load() == 0 || overloaded.Load() == 0 || int(good.Load()+overloaded.Load()) != callers {
		t.Errorf("%d good and %d refused of %d", good.Load(), overloaded.Load(), callers)
	}
	if _, err := v.Verify(t.Context(), raw); err != nil {
		t.Errorf("after the flood: %v", err)
	}
}
