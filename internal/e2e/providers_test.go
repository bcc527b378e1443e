package e2e_test

import (
	"crypto/rand"
	"crypto/rsa"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// providerCase is a provider with a session of its shape and with what it also
// signs, or somebody else does, that is no session here.
type providerCase struct {
	settings []string
	header   map[string]any
	session  jwt.MapClaims // iat and exp are added
	subject  string
	refused  map[string]jwt.MapClaims // in place of the session's claims; nil takes one away
}

const tenant = "11111111-2222-3333-4444-555555555555"

func providerCases() map[string]providerCase {
	return map[string]providerCase{
		"auth0": {
			[]string{"FAREBOX_SESSION_PROVIDER_ID=example.eu.auth0.com", "FAREBOX_SESSION_AUDIENCE=https://voice.example.com"},
			map[string]any{"typ": "JWT"},
			jwt.MapClaims{
				"iss": "https://example.eu.auth0.com/", "sub": "auth0|5f7c8ec7c33c6c004bbafe82", "azp": "app123", "scope": "openid profile email",
				"aud": []string{"https://voice.example.com", "https://example.eu.auth0.com/userinfo"},
			}, "auth0|5f7c8ec7c33c6c004bbafe82",
			map[string]jwt.MapClaims{
				"an ID token":                  {"aud": "app123", "nonce": "n", "sid": "s", "azp": nil, "scope": nil},
				"another tenant's":             {"iss": "https://other.eu.auth0.com/"},
				"the issuer without its slash": {"iss": "https://example.eu.auth0.com"},
				"for the tenant's own API":     {"aud": "https://example.eu.auth0.com/api/v2/"},
			},
		},
		"okta": {
			[]string{"FAREBOX_SESSION_PROVIDER_ID=example.okta.com/oauth2/default", "FAREBOX_SESSION_AUDIENCE=api://default"},
			nil,
			jwt.MapClaims{
				"ver": 1, "jti": "AT.abc", "iss": "https://example.okta.com/oauth2/default", "aud": "api://default", "cid": "0oa1", "uid": "00u1",
				"scp": []string{"openid", "speech"}, "auth_time": 1700000000, "sub": "ada@example.com",
			}, "00u1",
			map[string]jwt.MapClaims{
				"an ID token":                   {"aud": "0oa1", "sub": "00u1", "uid": nil, "cid": nil, "scp": nil, "nonce": "n"},
				"the organization's own server": {"iss": "https://example.okta.com"},
				"another server's":              {"iss": "https://example.okta.com/oauth2/aus1"},
				"a machine's":                   {"uid": nil, "sub": "0oa1"},
			},
		},
		"keycloak": {
			[]string{"FAREBOX_SESSION_PROVIDER_ID=https://login.example.com/realms/example", "FAREBOX_SESSION_AUDIENCE=voice"},
			map[string]any{"typ": "JWT"},
			jwt.MapClaims{
				"jti": "onrtac:1", "iss": "https://login.example.com/realms/example", "aud": []string{"voice", "account"}, "sub": "b1f3", "typ": "Bearer", "azp": "app",
				"sid": "7c5e", "acr": "1", "realm_access": map[string]any{"roles": []string{"user"}}, "scope": "openid email", "preferred_username": "ada",
			}, "b1f3",
			map[string]jwt.MapClaims{
				"an ID token":                {"typ": "ID", "aud": "app"},
				"an ID token of one client":  {"typ": "ID", "aud": "voice"},
				"a refresh token":            {"typ": "Refresh", "aud": "https://login.example.com/realms/example"},
				"another realm's":            {"iss": "https://login.example.com/realms/other"},
				"without an audience mapper": {"aud": "account"},
				"a logout token":             {"typ": "Logout", "events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}},
			},
		},
		"clerk": {
			[]string{"FAREBOX_SESSION_PROVIDER_ID=clerk.example.com", "FAREBOX_SESSION_REQUIRED_CLAIMS=azp=https://app.example.com"},
			map[string]any{"typ": "JWT", "cat": "cl_B7d4PD111AAA"},
			jwt.MapClaims{"azp": "https://app.example.com", "fva": []int{0, -1}, "iss": "https://clerk.example.com", "nbf": 1700000000, "sid": "sess_1", "sts": "active", "sub": "user_1", "v": 2}, "user_1",
			map[string]jwt.MapClaims{
				"another instance's":               {"iss": "https://other.clerk.accounts.dev"},
				"for another application's origin": {"azp": "https://evil.example"},
				"of a template without azp":        {"azp": nil, "sid": nil},
			},
		},
		"supabase": {
			[]string{"FAREBOX_SESSION_PROVIDER_ID=abcdefghijklmnopqrst"},
			map[string]any{"typ": "JWT"},
			jwt.MapClaims{
				"iss": "https://abcdefghijklmnopqrst.supabase.co/auth/v1", "sub": "0b1c", "aud": "authenticated", "email": "ada@example.com", "phone": "",
				"app_metadata": map[string]any{"provider": "email"}, "user_metadata": map[string]any{}, "role": "authenticated", "aal": "aal1",
				"amr": []any{map[string]any{"method": "password", "timestamp": 1700000000}}, "session_id": "9d2e", "is_anonymous": false,
			}, "0b1c",
			map[string]jwt.MapClaims{
				"another project's":                        {"iss": "https://zzzzzzzzzzzzzzzzzzzz.supabase.co/auth/v1"},
				"the anonymous key":                        {"iss": "supabase", "ref": "abcdefghijklmnopqrst", "role": "anon", "sub": nil, "aud": nil, "session_id": nil, "is_anonymous": nil},
				"the anonymous key, in the project's name": {"role": "anon", "sub": nil},
				"the service key":                          {"role": "service_role", "sub": nil},
				"a stranger's of anonymous sign-in":        {"is_anonymous": true, "email": ""},
			},
		},
		"firebase": {
			[]string{"FAREBOX_SESSION_PROVIDER_ID=example-project"},
			map[string]any{"typ": "JWT"},
			jwt.MapClaims{
				"name": "Ada", "iss": "https://securetoken.google.com/example-project", "aud": "example-project", "auth_time": 1700000000, "user_id": "uid1", "sub": "uid1",
				"email": "ada@example.com", "email_verified": true, "firebase": map[string]any{"identities": map[string]any{}, "sign_in_provider": "google.com"},
			}, "uid1",
			map[string]jwt.MapClaims{
				"another project's": {"iss": "https://securetoken.google.com/other-project", "aud": "other-project"},
				"a session cookie":  {"iss": "https://session.firebase.google.com/example-project"},
				"a custom token": {
					"iss": "sa@example-project.iam.gserviceaccount.com", "aud": "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit", "uid": "uid1",
				},
				"an App Check token": {"iss": "https://firebaseappcheck.googleapis.com/123", "aud": []string{"projects/123", "projects/example-project"}},
			},
		},
		"cognito": {
			[]string{"FAREBOX_SESSION_PROVIDER_ID=eu-west-1_AbCdEfGhI", "FAREBOX_SESSION_REQUIRED_CLAIMS=client_id=app123"},
			nil,
			jwt.MapClaims{
				"sub": "aaaa-bbbb", "cognito:groups": []string{"admin"}, "iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI", "client_id": "app123",
				"origin_jti": "o1", "event_id": "e1", "token_use": "access", "scope": "aws.cognito.signin.user.admin", "auth_time": 1700000000, "jti": "j1", "username": "ada",
			}, "aaaa-bbbb",
			map[string]jwt.MapClaims{
				"an ID token":          {"token_use": "id", "aud": "app123", "client_id": nil, "cognito:username": "ada"},
				"another app client's": {"client_id": "other"},
				"another pool's":       {"iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_ZzZzZzZzZ"},
			},
		},
		"entra": {
			[]string{"FAREBOX_SESSION_PROVIDER_ID=" + tenant, "FAREBOX_SESSION_AUDIENCE=api-client-id"},
			map[string]any{"typ": "JWT"},
			jwt.MapClaims{
				"aud": "api-client-id", "iss": "https://login.microsoftonline.com/" + tenant + "/v2.0", "nbf": 1700000000, "azp": "spa-client-id", "azpacr": "0",
				"name": "Ada", "oid": "oid1", "preferred_username": "ada@example.com", "scp": "Voice.Use", "sid": "s1", "sub": "pairwise", "tid": tenant, "uti": "u", "ver": "2.0",
			}, "oid1",
			map[string]jwt.MapClaims{
				"an ID token":            {"aud": "spa-client-id", "scp": nil, "azp": nil},
				"of version 1":           {"iss": "https://sts.windows.net/" + tenant + "/", "ver": "1.0"},
				"another tenant's":       {"iss": "https://login.microsoftonline.com/99999999-2222-3333-4444-555555555555/v2.0", "tid": "99999999-2222-3333-4444-555555555555"},
				"a guest of another tid": {"tid": "99999999-2222-3333-4444-555555555555"},
				"for Microsoft Graph":    {"aud": "00000003-0000-0000-c000-000000000000"},
				"without a user":         {"oid": nil},
			},
		},
	}
}

func TestEveryProvidersSessionsAreTakenAndItsOtherTokensRefused(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(t, w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k", Use: "sig"}}})
	}))
	t.Cleanup(host.Close)
	for name, tt := range providerCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The provider's own keys are not to be had here; all else is as it sets it.
			settings := append([]string{
				"FAREBOX_SESSION_PROVIDER=" + name, "FAREBOX_SESSION_JWKS_URL=" + host.URL,
				"FAREBOX_SESSION_ISSUER=", "FAREBOX_SESSION_AUDIENCE=", "FAREBOX_SESSION_HS256_SECRET=",
			}, tt.settings...)
			p := startServe(t, settings...)
			sign := func(amend jwt.MapClaims) string {
				t.Helper()
				claims := jwt.MapClaims{"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
				maps.Copy(claims, tt.session)
				for claim, value := range amend {
					if claims[claim] = value; value == nil {
						delete(claims, claim)
					}
				}
				token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
				delete(token.Header, "typ")
				maps.Copy(token.Header, tt.header)
				token.Header["kid"] = "k"
				raw, err := token.SignedString(key)
				if err != nil {
					t.Fatal(err)
				}
				return raw
			}
			p.becomes(t, sign(nil), accepted)
			hash := start(t, []string{"hash", "--sub", tt.subject}, append(settings, "FAREBOX_SECRET="+deploymentSecret)...)
			if status := hash.wait(); status != 0 {
				t.Fatalf("hash: %d %s", status, hash.text())
			}
			if got := p.printed(`"outcome":"vendor_unavailable".*"sub_hash":"([^"]+)"`); got != strings.TrimSpace(hash.text()) {
				t.Errorf("the subject is not %s", tt.subject)
			}
			for what, amend := range tt.refused {
				if a := mint(t, p.url, scribePath, sign(amend), ""); a.status != 401 || a.body["code"] != "session_invalid" {
					t.Errorf("%s: %d %s", what, a.status, a.raw)
				}
			}
		})
	}
}
