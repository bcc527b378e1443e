package config

import (
	"errors"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// provider is what an identity provider needs of the session settings. Each is
// taken only where the setting itself is not given.
type provider struct {
	ask  string         // what identifies a deployment of it
	form *regexp.Regexp // of that identifier
	// These are templates of the identifier's parts, as of form.
	issuer, keysAt string
	audience       string // "" where it must be given
	required       string // claims
	subject        string
	sessionID      string
	// names is a claim that has to be among the required ones where no audience
	// is given, since the provider sets none; "" for none.
	names string
}

const host = `[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+`

func providers() map[string]provider {
	return map[string]provider{
		"auth0": {
			ask: "the tenant's domain, as in example.eu.auth0.com", form: regexp.MustCompile(`^(` + host + `)$`),
			issuer: "https://$1/", keysAt: "https://$1/.well-known/jwks.json",
		},
		"okta": {
			ask:    "the domain and the authorization server, as in example.okta.com/oauth2/default",
			form:   regexp.MustCompile(`^(` + host + `/oauth2/[A-Za-z0-9]+)$`),
			issuer: "https://$1", keysAt: "https://$1/v1/keys",
			// Its sub is what the user signs in with, which can change hands.
			subject: "uid",
		},
		"keycloak": {
			ask:    "the realm's address, as in login.example.com/realms/example",
			form:   regexp.MustCompile(`^(` + host + `(?::[0-9]+)?(?:/[A-Za-z0-9._-]+)*/realms/[A-Za-z0-9._-]+)$`),
			issuer: "https://$1", keysAt: "https://$1/protocol/openid-connect/certs", required: "typ=Bearer",
		},
		"clerk": {
			ask: "the Frontend API's domain, as in clerk.example.com or example.clerk.accounts.dev", form: regexp.MustCompile(`^(` + host + `)$`),
			issuer: "https://$1", keysAt: "https://$1/.well-known/jwks.json", audience: "none", names: "azp",
		},
		"supabase": {
			ask: "the project's reference, the first label of its address", form: regexp.MustCompile(`^([a-z0-9]+)$`),
			issuer: "https://$1.supabase.co/auth/v1", keysAt: "https://$1.supabase.co/auth/v1/.well-known/jwks.json",
			audience: "authenticated", required: "role=authenticated,is_anonymous=false", sessionID: "session_id",
		},
		"firebase": {
			ask: "the project's id", form: regexp.MustCompile(`^([a-z0-9-]+)$`),
			issuer: "https://securetoken.google.com/$1", audience: "$1",
			keysAt: "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
		},
		"cognito": {
			ask: "the user pool's id, as in eu-west-1_AbCdEfGhI", form: regexp.MustCompile(`^(([a-z]+-[a-z-]+-[0-9]+)_[A-Za-z0-9]+)$`),
			issuer: "https://cognito-idp.$2.amazonaws.com/$1", keysAt: "https://cognito-idp.$2.amazonaws.com/$1/.well-known/jwks.json",
			audience: "none", required: "token_use=access", sessionID: "origin_jti", names: "client_id",
		},
		"entra": {
			ask:    "the directory's (tenant's) id, a GUID in small letters",
			form:   regexp.MustCompile(`^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$`),
			issuer: "https://login.microsoftonline.com/$1/v2.0", keysAt: "https://login.microsoftonline.com/$1/discovery/v2.0/keys",
			required: "tid=$1,ver=2.0", subject: "oid",
		},
	}
}

// readProvider and readProviderID only check: applyProvider has put what they
// mean into the other settings.
func readProvider(_ *Config, value string) error {
	names := slices.Sorted(maps.Keys(providers()))
	if !slices.Contains(names, value) {
		return errors.New("must be one of " + strings.Join(names, ", "))
	}
	return nil
}

func readProviderID(_ *Config, value string) error {
	_, err := parseText(value)
	return err
}

// applyProvider fills in the session settings that are not given by what the
// provider needs.
func (l *loader) applyProvider() {
	const nameSetting, idSetting = "FAREBOX_SESSION_PROVIDER", "FAREBOX_SESSION_PROVIDER_ID"
	name, id := l.values[nameSetting], withoutScheme(l.values[idSetting])
	p, known := providers()[name]
	switch {
	case name == "" && id != "":
		l.fault(idSetting, "is given without "+nameSetting)
		return
	case !known:
		return
	case id == "":
		l.fault(idSetting, "is required: set "+p.ask)
		return
	}
	parts := p.form.FindStringSubmatchIndex(id)
	if parts == nil {
		l.fault(idSetting, "must be "+p.ask)
		return
	}
	of := func(template string) string { return string(p.form.ExpandString(nil, template, id, parts)) }
	preset := map[string]string{
		"FAREBOX_SESSION_ISSUER": of(p.issuer), "FAREBOX_SESSION_AUDIENCE": of(p.audience),
		"FAREBOX_SESSION_SUB_CLAIM": p.subject, "FAREBOX_SESSION_SID_CLAIM": p.sessionID,
	}
	if !l.given("FAREBOX_SESSION_JWKS_URL") && !l.given("FAREBOX_SESSION_PUBLIC_KEY_FILE") && !l.given("FAREBOX_SESSION_HS256_SECRET") {
		preset["FAREBOX_SESSION_JWKS_URL"] = of(p.keysAt)
	}
	hasAudience := l.given("FAREBOX_SESSION_AUDIENCE")
	for setting, value := range preset {
		if !l.given(setting) {
			l.values[setting] = value
		}
	}
	names := l.requireAlso(of(p.required))
	if l.command == Serve && p.names != "" && !hasAudience && !slices.Contains(names, p.names) {
		l.fault(requiredClaims, name+" sets no aud, so any of its applications would do; name yours with "+p.names+"=…")
	}
}

const requiredClaims = "FAREBOX_SESSION_REQUIRED_CLAIMS"

// requireAlso adds to the claims that are required those that are not given
// otherwise, and returns the names of all.
func (l *loader) requireAlso(more string) (names []string) {
	pairs := splitList(l.values[requiredClaims])
	for _, pair := range pairs {
		names = append(names, claimOf(pair))
	}
	for _, pair := range splitList(more) {
		if name := claimOf(pair); !slices.Contains(names, name) {
			pairs, names = append(pairs, pair), append(names, name)
		}
	}
	if len(names) > 0 {
		l.values[requiredClaims] = strings.Join(pairs, ",")
	}
	return names
}

// claimOf is the claim's name in name=value.
func claimOf(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	return strings.TrimSpace(name)
}

// withoutScheme lets an identifier be written as the address that it is copied
// from.
func withoutScheme(id string) string {
	if u, err := url.Parse(id); err == nil && u.Scheme == "https" && u.Host != "" {
		id = u.Host + u.Path
	}
	return strings.TrimRight(id, "/")
}
