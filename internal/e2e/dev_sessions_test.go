package e2e_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

const backEnd = "http://localhost:3000"

// backEndsKeys are the settings that name key, in each form.
func backEndsKeys(t *testing.T, key *ecdsa.PrivateKey) map[string]string {
	t.Helper()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k1", Algorithm: "ES256", Use: "sig"}}}
	published := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answerJSON(t, w, set) }))
	t.Cleanup(published.Close)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"a JWKS": "FAREBOX_SESSION_JWKS_URL=" + published.URL, "a PEM file": "FAREBOX_SESSION_PUBLIC_KEY_FILE=" + path}
}

// A secret that was set is good elsewhere, too: who could have dev sign with it
// would be whoever they like there.
func TestDevSignsNothingWithASecretThatWasSet(t *testing.T) {
	t.Parallel()
	const shared = "a secret that a back end shares with farebox"
	d := startDev(t, "FAREBOX_SESSION_HS256_SECRET="+shared, "FAREBOX_SESSION_ISSUER="+backEnd, "FAREBOX_SESSION_AUDIENCE=farebox")
	if a := do(t, http.MethodPost, d.url+"/dev/session", http.Header{"Content-Type": {"application/json"}}, `{"sub":"admin"}`); a.status != http.StatusNotFound {
		t.Errorf("the demo sign-in: %d %s", a.status, a.raw)
	}
	raw, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": backEnd, "aud": "farebox", "sub": "ada", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	}).SignedString([]byte(shared))
	if err != nil {
		t.Fatal(err)
	}
	if a := mint(t, d.url, scribePath, raw, ""); a.status != http.StatusOK {
		t.Errorf("a session of the back end: %d %s", a.status, a.raw)
	}
}

func TestDevTakesABackEndsOwnSessionsInPlaceOfTheDemoSignIn(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	for name, setting := range backEndsKeys(t, key) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDev(t, setting, "FAREBOX_SESSION_ISSUER="+backEnd, "FAREBOX_SESSION_AUDIENCE=farebox", "FAREBOX_LOGOUT_AUDIENCE=farebox")
			if !strings.Contains(d.text(), "sign-in    yours") || strings.Contains(d.text(), "/dev/session") {
				t.Errorf("it greets with\n%s", d.text())
			}
			for _, path := range []string{"/dev/session", "/"} {
				if a := do(t, http.MethodPost, d.url+path, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, "sub=ada"); a.status != http.StatusNotFound {
					t.Errorf("%s: %d %s", path, a.status, a.raw)
				}
			}
			claims := func(more jwt.MapClaims) string {
				all := jwt.MapClaims{"iss": backEnd, "aud": "farebox", "sub": "ada", "sid": "s1", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix()}
				for claim, value := range more {
					all[claim] = value
				}
				token := jwt.NewWithClaims(jwt.SigningMethodES256, all)
				token.Header["kid"] = "k1"
				raw, err := token.SignedString(key)
				if err != nil {
					t.Fatal(err)
				}
				return raw
			}
			session := claims(nil)
			a := mint(t, d.url, scribePath, session, "")
			if a.status != http.StatusOK {
				t.Fatalf("a session of the back end: %d %s", a.status, a.raw)
			}
			wantWorksOnce(t, a)
			for what, stranger := range map[string]string{
				"another issuer":   claims(jwt.MapClaims{"iss": "https://dev.farebox.invalid"}),
				"another audience": claims(jwt.MapClaims{"aud": "other"}),
				"another's key":    sessionBy(t, newKey(t), "k1", backEnd),
			} {
				if a := mint(t, d.url, scribePath, stranger, ""); a.body["code"] != "session_invalid" {
					t.Errorf("%s: %d %s", what, a.status, a.raw)
				}
			}

			logout := claims(jwt.MapClaims{"jti": "l1", "events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}})
			if a := do(t, http.MethodPost, d.url+"/backchannel-logout", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, "logout_token="+logout); a.status != http.StatusOK {
				t.Fatalf("logout: %d %s", a.status, a.raw)
			}
			if a := mint(t, d.url, scribePath, session, ""); a.body["code"] != "session_revoked" {
				t.Errorf("after the logout: %d %s", a.status, a.raw)
			}
		})
	}
}
