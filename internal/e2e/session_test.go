package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// The vendor of startServe is away: a session that is accepted is answered with
// that.
const accepted = "vendor_unavailable"

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sessionBy is a session of iss, signed by key under kid.
func sessionBy(t *testing.T, key *ecdsa.PrivateKey, kid, iss string) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": iss, "aud": "farebox", "sub": "ada", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	})
	token.Header["kid"] = kid
	raw, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// becomes asks with session until the answer has this code. Until then it may be
// that the keys are away, and as says what else.
func (p *serving) becomes(t *testing.T, session, code string, as ...string) {
	t.Helper()
	// Not so often that it makes this address a suspect.
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		a := mint(t, p.url, scribePath, session, "")
		switch got, _ := a.body["code"].(string); {
		case got == code:
			return
		case got != "session_keys_unavailable" && (len(as) == 0 || got != as[0]), time.Now().After(deadline):
			t.Fatalf("%d %s, want %s", a.status, a.raw, code)
		}
	}
}

func TestAnIssuersRotationIsFollowedWithJunkInBetween(t *testing.T) {
	t.Parallel()
	old, young := newKey(t), newKey(t)
	var set atomic.Pointer[jose.JSONWebKeySet]
	publish := func(keys ...jose.JSONWebKey) { set.Store(&jose.JSONWebKeySet{Keys: keys}) }
	asKey := func(key *ecdsa.PrivateKey, kid string) jose.JSONWebKey {
		return jose.JSONWebKey{Key: &key.PublicKey, KeyID: kid, Algorithm: "ES256", Use: "sig"}
	}
	publish(asKey(old, "old"))
	mux := http.NewServeMux()
	issuer := httptest.NewServer(mux)
	t.Cleanup(issuer.Close)
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) { answerJSON(t, w, set.Load()) })
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(t, w, map[string]string{"issuer": issuer.URL, "jwks_uri": issuer.URL + "/jwks", "authorization_endpoint": issuer.URL, "token_endpoint": issuer.URL})
	})
	p := startServe(t, "FAREBOX_SESSION_HS256_SECRET=", "FAREBOX_SESSION_ISSUER="+issuer.URL)
	ofOld, ofYoung := sessionBy(t, old, "old", issuer.URL), sessionBy(t, young, "young", issuer.URL)
	p.becomes(t, ofOld, accepted)
	p.becomes(t, ofYoung, "session_invalid")
	publish(asKey(old, "old"), asKey(young, "young"))
	p.becomes(t, ofYoung, accepted) // never again called invalid
	publish(asKey(young, "young"))
	// Junk has the set loaded, and the removed key goes with that.
	p.becomes(t, sessionBy(t, old, "junk", issuer.URL), "session_invalid")
	p.becomes(t, ofOld, "session_invalid")
	p.becomes(t, ofYoung, accepted)
}

func TestTheAgeOfTheKeysIsAMetric(t *testing.T) {
	t.Parallel()
	age := func(p *serving) float64 {
		t.Helper()
		a := do(t, http.MethodGet, p.ops+"/metrics", nil, "")
		found := regexp.MustCompile(`(?m)^farebox_session_keys_age_seconds (\S+)$`).FindStringSubmatch(a.raw)
		if a.status != http.StatusOK || found == nil {
			t.Fatalf("%d %s", a.status, a.raw)
		}
		seconds, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return seconds
	}
	if got := age(startServe(t)); got != 0 {
		t.Errorf("a shared secret is %v seconds old", got)
	}
	var down atomic.Bool
	key := newKey(t)
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		answerJSON(t, w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k"}}})
	}))
	t.Cleanup(host.Close)
	p := startServe(t, "FAREBOX_SESSION_HS256_SECRET=", "FAREBOX_SESSION_JWKS_URL="+host.URL)
	p.becomes(t, sessionBy(t, key, "k", "https://issuer.example"), accepted)
	down.Store(true)
	before := age(p)
	// Asking does not make the keys younger while their host is broken.
	mint(t, p.url, scribePath, sessionBy(t, key, "unknown", "https://issuer.example"), "")
	if after := age(p); before <= 0 || after <= before {
		t.Errorf("the age went from %v to %v", before, after)
	}
	p.becomes(t, sessionBy(t, key, "k", "https://issuer.example"), accepted)
}

func answerJSON(t *testing.T, w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		t.Error(err)
	}
}

func TestAChangedFileOfKeysIsTakenWithoutARestart(t *testing.T) {
	t.Parallel()
	const issuer = "https://issuer.example"
	old, young := newKey(t), newKey(t)
	path := filepath.Join(t.TempDir(), "keys.pem")
	put := func(key *ecdsa.PrivateKey) {
		t.Helper()
		der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(old)
	p := startServe(t, "FAREBOX_SESSION_HS256_SECRET=", "FAREBOX_SESSION_PUBLIC_KEY_FILE="+path)
	p.becomes(t, sessionBy(t, old, "any", issuer), accepted)
	if err := os.WriteFile(path, []byte("-----BEGIN PUBLIC KEY-----\nMFkw"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.printed("(the old keys stay)")
	p.becomes(t, sessionBy(t, old, "any", issuer), accepted)
	put(young)
	p.becomes(t, sessionBy(t, young, "any", issuer), accepted, "session_invalid")
	p.becomes(t, sessionBy(t, old, "any", issuer), "session_invalid")
}

func TestForwardedAddressesAreBelievedOfNamedProxiesAlone(t *testing.T) {
	t.Parallel()
	sent := http.Header{"X-Forwarded-For": {"203.0.113.66, 203.0.113.7"}, "Fly-Client-Ip": {"203.0.113.8"}}
	for name, tt := range map[string]struct{ setting, want string }{
		"a proxy on loopback":   {"FAREBOX_TRUSTED_PROXIES=127.0.0.0/8", "203.0.113.7"},
		"a proxy elsewhere":     {"FAREBOX_TRUSTED_PROXIES=10.0.0.0/8", "127.0.0.1"},
		"the platform's header": {"FAREBOX_CLIENT_IP_HEADER=Fly-Client-IP", "203.0.113.8"},
	} {
		p := startServe(t, tt.setting)
		do(t, http.MethodPost, p.url+scribePath, sent, "")
		if got := p.printed(`"event":"token_refused".*"client":"([^"]+)"`); got != tt.want {
			t.Errorf("%s: client %s, want %s", name, got, tt.want)
		}
	}
}

func TestALoginProxysHeaderIsJudgedLikeACookie(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startServe(t, "FAREBOX_SESSION_HS256_SECRET=", "FAREBOX_SESSION_PUBLIC_KEY_FILE="+path,
		"FAREBOX_SESSION_HEADER=X-Forwarded-Access-Token", "FAREBOX_SESSION_COOKIE=session", "FAREBOX_ALLOWED_ORIGINS=https://app.example.com,https://*.preview.example.com")
	raw := sessionBy(t, key, "any", "https://issuer.example")
	for _, carrier := range []http.Header{{"X-Forwarded-Access-Token": {raw}}, {"Cookie": {"session=" + raw}}} {
		for sent, want := range map[string]string{
			"":                                      "origin_not_allowed",
			"Sec-Fetch-Site: same-origin":           accepted,
			"Sec-Fetch-Site: same-site":             "origin_not_allowed",
			"Sec-Fetch-Site: none":                  "origin_not_allowed",
			"Origin: https://app.example.com":       accepted,
			"Origin: " + p.url:                      accepted,
			"Origin: https://evil.example":          "origin_not_allowed",
			"Origin: https://a.preview.example.com": "origin_not_allowed",
		} {
			h := carrier.Clone()
			if name, value, ok := strings.Cut(sent, ": "); ok {
				h.Set(name, value)
			}
			if a := do(t, http.MethodPost, p.url+scribePath, h, ""); a.body["code"] != want {
				t.Errorf("%q: %s, want %s", sent, a.raw, want)
			}
		}
	}
}

func TestAnAddressThatSendsMuchJunkIsToldToStop(t *testing.T) {
	t.Parallel()
	p := startServe(t, "FAREBOX_TRUSTED_PROXIES=127.0.0.1")
	from := func(address string) answer {
		t.Helper()
		return do(t, http.MethodPost, p.url+scribePath, http.Header{"Authorization": {"Bearer x.y.z"}, "X-Forwarded-For": {address}}, "")
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		a := from("2001:db8::1")
		if a.status == 429 {
			if a.body["code"] != "rate_limited" || a.header.Get("Retry-After") == "" || !strings.HasPrefix(a.header.Get("RateLimit"), `"per_address";r=0;`) {
				t.Errorf("%s, %v", a.raw, a.header)
			}
			break
		}
		if a.body["code"] != "session_invalid" || time.Now().After(deadline) {
			t.Fatalf("%d %s", a.status, a.raw)
		}
	}
	p.printed(`"msg":"(many sessions that are not accepted)`)
	// One more is let through every fifth of a second, whoever asks first.
	neighbour := slices.ContainsFunc(make([]int, 20), func(int) bool { return from("2001:db8::ffff:1").status == 429 })
	if !neighbour {
		t.Error("its neighbour in the /64 has a limit of its own")
	}
	if a := from("2001:db8:0:1::1"); a.body["code"] != "session_invalid" {
		t.Errorf("another network: %s", a.raw)
	}
}
