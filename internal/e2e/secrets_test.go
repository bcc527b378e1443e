package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// hoard is every secret that the suite has used so far. It finds them again in
// what a process prints, sends or stores: as they are, in hexadecimal digits, in
// base64 at any offset, escaped for a URL or for JSON; whole, or a part of 23
// bytes, or no more than their first or last 12. It is safe for concurrent use.
type hoard struct {
	mu        sync.RWMutex
	known     map[string]bool
	fragments map[[fragmentSize]byte]string // what they are fragments of, in words
	sieve     []uint64                      // bits for the first four bytes of fragments
}

// A shorter fragment would be found by chance; a shorter secret is not noted.
const fragmentSize = 12

const sieveBits = 24

func newHoard() *hoard {
	return &hoard{known: map[string]bool{}, fragments: map[[fragmentSize]byte]string{}, sieve: make([]uint64, 1<<sieveBits/64)}
}

// note adds a secret. what says what it is, for who reads of a leak.
func (h *hoard) note(what, secret string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known[secret] {
		return
	}
	h.known[secret] = true
	for _, form := range forms(secret) {
		for at := 0; at+fragmentSize <= len(form); at += fragmentSize {
			h.add(what, form[at:at+fragmentSize])
		}
		if len(form) > fragmentSize {
			h.add(what, form[len(form)-fragmentSize:])
		}
	}
}

func (h *hoard) add(what, text string) {
	distinct := map[byte]bool{}
	for i := range len(text) {
		distinct[text[i]] = true
	}
	const tooFew = 5 // padding is no secret
	if len(distinct) <= tooFew {
		return
	}
	fragment := [fragmentSize]byte([]byte(text))
	h.fragments[fragment] = what
	bit := bitOf(fragment[:])
	h.sieve[bit/64] |= 1 << (bit % 64)
}

func bitOf(text []byte) uint32 {
	const spread = 2654435761
	first := uint32(text[0]) | uint32(text[1])<<8 | uint32(text[2])<<16 | uint32(text[3])<<24
	return first * spread >> (32 - sieveBits)
}

// forms are the ways in which a secret may be written.
func forms(secret string) []string {
	quoted, _ := json.Marshal(secret)
	digits := hex.EncodeToString([]byte(secret))
	all := []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), string(bytes.Trim(quoted, `"`)), digits, strings.ToUpper(digits),
	}
	for shift := range min(3, len(secret)) {
		rest := secret[shift:]
		rest = rest[:len(rest)/3*3] // what follows would change the last digits
		all = append(all, base64.RawStdEncoding.EncodeToString([]byte(rest)), base64.RawURLEncoding.EncodeToString([]byte(rest)))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// noteSession adds a JWT: its payload and its signature each by themselves. The
// header is none of the secret.
func (h *hoard) noteSession(raw string) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !json.Valid(claims) {
		return
	}
	h.note("a session's payload", parts[1])
	h.note("a session's signature", parts[2])
}

// noteSettings adds the secrets among settings.
func (h *hoard) noteSettings(env []string) {
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		if of, isFile := strings.CutSuffix(name, "_FILE"); isFile {
			text, err := os.ReadFile(value)
			if err != nil {
				continue
			}
			name, value = of, string(text)
		}
		switch name {
		case "ELEVENLABS_API_KEY", "FAREBOX_SECRET", "FAREBOX_SESSION_HS256_SECRET":
			for _, secret := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == '\n' }) {
				h.note(name, strings.TrimSpace(secret))
			}
		case "REDIS_URL":
			if u, err := url.Parse(value); err == nil {
				password, _ := u.User.Password()
				h.note(name, password)
				h.note(name, u.Query().Get("password"))
			}
		case "OTEL_EXPORTER_OTLP_HEADERS":
			for _, header := range strings.Split(value, ",") {
				_, secret, _ := strings.Cut(header, "=")
				secret, _ = url.PathUnescape(secret)
				h.note(name, secret)
			}
		case "FAREBOX_TLS_KEY", "FAREBOX_REDIS_KEY":
			for line := range strings.Lines(value) {
				if !strings.HasPrefix(line, "-----") {
					h.note(name, strings.TrimSpace(line))
				}
			}
		}
	}
}

// shapes are credentials that nobody had to note.
var shapes = map[string]*regexp.Regexp{
	"sutkn_": regexp.MustCompile(`sutkn_[A-Za-z0-9_]{12}`),
	"eyJ":    regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.`),
	"cvtkn_": regexp.MustCompile(`cvtkn_[A-Za-z0-9_]{12}`),
}

// find is what secret is in text, in words; "" for none. It tells where by what
// stands around it, and never more of the secret than a fragment.
func (h *hoard) find(text []byte) string {
	for mark, shape := range shapes {
		if bytes.Contains(text, []byte(mark)) {
			if found := shape.FindIndex(text); found != nil {
				return "what looks like " + mark + "…: " + around(text, found[0])
			}
		}
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	for at := 0; at+fragmentSize <= len(text); at++ {
		bit := bitOf(text[at:])
		if h.sieve[bit/64]&(1<<(bit%64)) == 0 {
			continue
		}
		if what, is := h.fragments[[fragmentSize]byte(text[at:])]; is {
			return "a part of " + what + ": " + around(text, at)
		}
	}
	return ""
}

func around(text []byte, at int) string {
	return strings.ToValidUTF8(string(text[max(0, at-100):min(len(text), at+fragmentSize)]), "?")
}

// A search that finds nothing whatever there is would prove nothing.
func TestASecretIsFoundInWhateverFormItLeaks(t *testing.T) {
	t.Parallel()
	h := newHoard()
	const key, session = `sk_Qm7"x+Zt/4w?Kd9LpVb2YhNc`, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEiLCJpYXQiOjE3NjQwMDAwMDB9.3kPq0mVz8sJ1nXy5RtB7uWc2LdFh6GaE"
	h.note("key", key)
	h.noteSession(session)
	payload, signature := strings.Split(session, ".")[1], strings.Split(session, ".")[2]
	quoted, _ := json.Marshal(map[string]string{"k": key})
	for form, leak := range map[string]string{
		"as it is": key, "its first twelve": key[:12] + "…", "its last twelve": "…" + key[len(key)-12:], "the middle of it": "…" + key[2:25] + "…",
		"in JSON": string(quoted), "in a query": "?k=" + url.QueryEscape(key), "in a path": "/" + url.PathEscape(key),
		"in digits": hex.EncodeToString([]byte("x" + key)), "in capital digits": strings.ToUpper(hex.EncodeToString([]byte(key))),
		"in base64":           base64.StdEncoding.EncodeToString([]byte(key)),
		"in base64, second":   base64.StdEncoding.EncodeToString([]byte("u" + key + ":p")),
		"in base64, third":    base64.URLEncoding.EncodeToString([]byte("us" + key + ":p")),
		"a session":           session,
		"a session's payload": payload, "a session's signature": signature, "the beginning of a signature": signature[:12],
		"a token of nobody's": "sutkn_sandbox_ABCDEFGH", "a session of nobody's": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJib2IifQ.",
		"a signed URL of nobody's": "wss://h/v1?conversation_signature=cvtkn_sandbox_ABCDEFGH",
	} {
		if h.find([]byte("before "+leak+" after")) == "" {
			t.Errorf("not found %s: %s", form, leak)
		}
	}
	for what, text := range map[string]string{
		"other words": `{"msg":"request","status":200,"token":"sutkn_…"}`, "a shorter part": key[:11], "a header alone": strings.Split(session, ".")[0],
		"nothing": "",
	} {
		if found := h.find([]byte(text)); found != "" {
			t.Errorf("%s is %s", what, found)
		}
	}
}

func TestTheSecretsAmongSettingsAreKnown(t *testing.T) {
	t.Parallel()
	h := newHoard()
	path := writeFile(t, t.TempDir()+"/keys", "first-key-of-the-ring\n second-key-of-the-ring\n")
	h.noteSettings([]string{
		"ELEVENLABS_API_KEY_FILE=" + path, "FAREBOX_SECRET=Qm7xZt4wKd9LpVb2YhNc,older-Rt5BuWc2LdFh", "FAREBOX_SESSION_HS256_SECRET=shared-8sJ1nXy5RtB7",
		"REDIS_URL=redis://user:password-of-redis@host", "OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20collectors-own,b=c", "FAREBOX_LISTEN=not-a-secret-at-all",
	})
	for _, secret := range []string{
		"first-key-of-the-ring", "second-key-of-the-ring", "Qm7xZt4wKd9LpVb2YhNc", "older-Rt5BuWc2LdFh", "shared-8sJ1nXy5RtB7", "password-of-redis", "Bearer collectors-own",
	} {
		if h.find([]byte(secret)) == "" {
			t.Errorf("%s is not known", secret)
		}
	}
	if h.find([]byte("not-a-secret-at-all")) != "" {
		t.Error("an address is taken for a secret")
	}
}
