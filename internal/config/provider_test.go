package config_test

import (
	"strings"
	"testing"

	"farebox/internal/config"

	"github.com/google/go-cmp/cmp"
)

// ofProvider is an environment that says nothing else of sessions.
func ofProvider(name, id string, more ...string) []string {
	return append([]string{
		"ELEVENLABS_API_KEY=sk_test", "REDIS_URL=memory:", "FAREBOX_SECRET=" + goodSecret,
		"FAREBOX_SESSION_PROVIDER=" + name, "FAREBOX_SESSION_PROVIDER_ID=" + id,
	}, more...)
}

func TestAProviderSetsWhatItsSessionsNeed(t *testing.T) {
	t.Parallel()
	const tenant = "11111111-2222-3333-4444-555555555555"
	type sessions struct {
		Issuer, Keys, Subject, SessionID string
		Audiences                        []string
		Required                         map[string][]string
	}
	for name, tt := range map[string]struct {
		id   string
		more []string
		want sessions
	}{
		"auth0": {"https://example.eu.auth0.com/", []string{"FAREBOX_SESSION_AUDIENCE=https://voice.example.com"}, sessions{
			"https://example.eu.auth0.com/", "https://example.eu.auth0.com/.well-known/jwks.json", "sub", "sid", []string{"https://voice.example.com"}, nil,
		}},
		"okta": {"example.okta.com/oauth2/default", []string{"FAREBOX_SESSION_AUDIENCE=api://default"}, sessions{
			"https://example.okta.com/oauth2/default", "https://example.okta.com/oauth2/default/v1/keys", "uid", "sid", []string{"api://default"}, nil,
		}},
		"keycloak": {"login.example.com:8443/auth/realms/example", []string{"FAREBOX_SESSION_AUDIENCE=voice"}, sessions{
			"https://login.example.com:8443/auth/realms/example", "https://login.example.com:8443/auth/realms/example/protocol/openid-connect/certs",
			"sub", "sid", []string{"voice"}, map[string][]string{"typ": {"Bearer"}},
		}},
		"clerk": {"clerk.example.com", []string{"FAREBOX_SESSION_REQUIRED_CLAIMS=azp=https://a.example|https://b.example"}, sessions{
			"https://clerk.example.com", "https://clerk.example.com/.well-known/jwks.json", "sub", "sid", nil,
			map[string][]string{"azp": {"https://a.example", "https://b.example"}},
		}},
		"supabase": {"abcdefghijklmnopqrst", nil, sessions{
			"https://abcdefghijklmnopqrst.supabase.co/auth/v1", "https://abcdefghijklmnopqrst.supabase.co/auth/v1/.well-known/jwks.json",
			"sub", "session_id", []string{"authenticated"}, map[string][]string{"role": {"authenticated"}, "is_anonymous": {"false"}},
		}},
		"firebase": {"example-project", nil, sessions{
			"https://securetoken.google.com/example-project", "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
			"sub", "sid", []string{"example-project"}, nil,
		}},
		"cognito": {"eu-west-1_AbCdEfGhI", []string{"FAREBOX_SESSION_REQUIRED_CLAIMS=client_id=abc"}, sessions{
			"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI", "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI/.well-known/jwks.json",
			"sub", "origin_jti", nil, map[string][]string{"client_id": {"abc"}, "token_use": {"access"}},
		}},
		"entra": {tenant, []string{"FAREBOX_SESSION_AUDIENCE=api"}, sessions{
			"https://login.microsoftonline.com/" + tenant + "/v2.0", "https://login.microsoftonline.com/" + tenant + "/discovery/v2.0/keys",
			"oid", "sid", []string{"api"}, map[string][]string{"tid": {tenant}, "ver": {"2.0"}},
		}},
	} {
		c, err := config.Load(ofProvider(name, tt.id, tt.more...), config.Serve)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s := c.Session
		got := sessions{s.Issuer, s.JWKSURL, s.SubjectClaim, s.SessionIDClaim, s.Audiences, s.RequiredClaims}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestEverySettingOverridesTheProvider(t *testing.T) {
	t.Parallel()
	c, err := config.Load(ofProvider("cognito", "eu-west-1_AbCdEfGhI",
		"FAREBOX_SESSION_ISSUER=https://issuer.example", "FAREBOX_SESSION_AUDIENCE=voice", "FAREBOX_SESSION_HS256_SECRET="+goodSecret,
		"FAREBOX_SESSION_REQUIRED_CLAIMS=token_use = id", "FAREBOX_SESSION_SUB_CLAIM=username", "FAREBOX_SESSION_SID_CLAIM=event_id",
	), config.Serve)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Session
	if s.Issuer != "https://issuer.example" || s.JWKSURL != "" || s.HS256Secret.Reveal() != goodSecret || s.SubjectClaim != "username" || s.SessionIDClaim != "event_id" {
		t.Errorf("%+v", s)
	}
	if diff := cmp.Diff([]any{[]string{"voice"}, map[string][]string{"token_use": {"id"}}}, []any{s.Audiences, s.RequiredClaims}); diff != "" {
		t.Error(diff)
	}
	// The commands that only need the issuer need no more of the provider.
	for _, command := range []config.Command{config.Hash, config.Revoke} {
		c, err := config.Load([]string{
			"FAREBOX_SECRET=" + goodSecret, "REDIS_URL=redis://127.0.0.1", "FAREBOX_SESSION_PROVIDER=clerk", "FAREBOX_SESSION_PROVIDER_ID=clerk.example.com",
		}, command)
		if err != nil || c.Session.Issuer != "https://clerk.example.com" {
			t.Errorf("%s: %v, %+v", command, err, c)
		}
	}
}

func TestAProviderThatIsNotSaidRightIsOneFault(t *testing.T) {
	t.Parallel()
	const audience = "FAREBOX_SESSION_AUDIENCE=voice"
	for name, tt := range map[string]struct {
		provider, id, setting string
		more                  []string
	}{
		"a name that is unknown":                   {"github", "x", "FAREBOX_SESSION_PROVIDER", []string{"FAREBOX_SESSION_ISSUER=https://issuer.example", audience}},
		"a name in capitals":                       {"Auth0", "x", "FAREBOX_SESSION_PROVIDER", []string{"FAREBOX_SESSION_ISSUER=https://issuer.example", audience}},
		"no identifier":                            {"auth0", "", "FAREBOX_SESSION_PROVIDER_ID", []string{"FAREBOX_SESSION_ISSUER=https://issuer.example", audience}},
		"an identifier alone":                      {"", "example.auth0.com", "FAREBOX_SESSION_PROVIDER_ID", []string{"FAREBOX_SESSION_ISSUER=https://issuer.example", audience}},
		"a domain with a path":                     {"auth0", "example.auth0.com/x", "FAREBOX_SESSION_PROVIDER_ID", []string{"FAREBOX_SESSION_ISSUER=https://issuer.example", audience}},
		"Okta's organization server":               {"okta", "example.okta.com", "FAREBOX_SESSION_PROVIDER_ID", []string{"FAREBOX_SESSION_ISSUER=https://issuer.example", audience}},
		"a realm's name alone":                     {"keycloak", "example", "FAREBOX_SESSION_PROVIDER_ID", []string{"FAREBOX_SESSION_ISSUER=https://issuer.example", audience}},
		"a pool without its region":                {"cognito", "AbCdEfGhI", "FAREBOX_SESSION_PROVIDER_ID", []string{"FAREBOX_SESSION_ISSUER=https://issuer.example", audience}},
		"all tenants":                              {"entra", "common", "FAREBOX_SESSION_PROVIDER_ID", []string{"FAREBOX_SESSION_ISSUER=https://issuer.example", audience}},
		"a project by its address":                 {"supabase", "https://abc.supabase.co", "FAREBOX_SESSION_PROVIDER_ID", []string{"FAREBOX_SESSION_ISSUER=https://issuer.example", audience}},
		"Auth0 without an audience":                {"auth0", "example.auth0.com", "FAREBOX_SESSION_AUDIENCE", nil},
		"Entra without an audience":                {"entra", "11111111-2222-3333-4444-555555555555", "FAREBOX_SESSION_AUDIENCE", nil},
		"Clerk without the application's origin":   {"clerk", "clerk.example.com", "FAREBOX_SESSION_REQUIRED_CLAIMS", []string{"FAREBOX_SESSION_REQUIRED_CLAIMS=v=2"}},
		"Cognito without the application's client": {"cognito", "eu-west-1_AbCdEfGhI", "FAREBOX_SESSION_REQUIRED_CLAIMS", nil},
	} {
		env := ofProvider(tt.provider, tt.id, tt.more...)
		_, err := config.Load(env, config.Serve)
		if err == nil {
			t.Errorf("%s was taken", name)
			continue
		}
		got := faults(t, err)
		if len(got) != 1 || got[tt.setting] == "" {
			t.Errorf("%s: %v, want one of %s", name, got, tt.setting)
		}
		if tt.id != "" && strings.Contains(err.Error(), tt.id+" ") {
			t.Errorf("%s: the value is shown: %v", name, err)
		}
	}
	_, err := config.Load([]string{"FAREBOX_SESSION_PROVIDER=auth0", "FAREBOX_SESSION_PROVIDER_ID=example.auth0.com"}, config.Dev)
	if got := faults(t, err); len(got) != 2 {
		t.Errorf("dev: %v", got)
	}
}
