//go:build real

package e2e_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"sync"
	"testing"
	"time"

	"farebox/internal/history"
)

// mood is how a mill does its work.
type mood string

const (
	well      mood = "well"
	slow      mood = "slow"
	erring    mood = "erring"    // some of it was made all the same
	hanging   mood = "hanging"   // likewise, and nobody is told
	repeating mood = "repeating" // every token is given twice
)

// mill is a vendor that mints and writes down every token, and has moods. It is
// safe for concurrent use.
type mill struct {
	url     string
	history *history.History

	mu    sync.Mutex
	mood  mood
	again map[string][]string // by type: tokens given once in this mood
}

func startMill(t *testing.T, written *history.History) *mill {
	t.Helper()
	m := &mill{history: written, mood: well}
	server := httptest.NewServer(m)
	m.url = server.URL
	t.Cleanup(func() {
		m.feel(well)
		server.CloseClientConnections()
		server.Close()
	})
	return m
}

// feel changes the mood for calls that come from now on.
func (m *mill) feel(mood mood) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mood, m.again = mood, map[string][]string{}
}

func (m *mill) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began, tokenType := time.Now(), path.Base(r.URL.Path)
	m.mu.Lock()
	mood := m.mood
	m.mu.Unlock()
	pause := 30 * time.Millisecond
	if mood == slow {
		pause = 500 * time.Millisecond
	}
	time.Sleep(pause)
	token := m.mint(tokenType, began)
	switch mood {
	case erring:
		http.Error(w, `{"detail":"internal"}`, http.StatusInternalServerError)
	case hanging:
		<-r.Context().Done()
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"token":%q}`, token)
	}
}

// mint makes a token, or gives one a second time.
func (m *mill) mint(tokenType string, began time.Time) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	token := "sutkn_" + rand.Text()
	if once := m.again[tokenType]; m.mood == repeating && len(once) > 0 {
		token, m.again[tokenType] = once[0], once[1:]
	} else if m.mood == repeating {
		m.again[tokenType] = append(once, token)
	}
	m.history.Mint(history.Mint{Token: token, Type: tokenType, At: began})
	return token
}
