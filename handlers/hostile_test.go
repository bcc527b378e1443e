package handlers_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"farebox/handlers"
	"farebox/session"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// issuer is an OpenID provider on a real socket with a key of each kind, and
// with traps for whoever follows what a JWT says.
type issuer struct {
	*httptest.Server
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

func startIssuer(t *testing.T) *issuer {
	t.Helper()
	p := &issuer{}
	var err error
	if p.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if p.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(t, w, map[string]string{
			"issuer": p.URL, "jwks_uri": p.URL + "/jwks", "authorization_endpoint": p.URL + "/a", "token_endpoint": p.URL + "/t",
		})
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(t, w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
			{Key: &p.rsa.PublicKey, KeyID: "rsa", Algorithm: "RS256", Use: "sig"},
			{Key: &p.ec.PublicKey, KeyID: "ec", Algorithm: "ES256", Use: "sig"},
		}})
	})
	mux.HandleFunc("/", func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s was asked for, as a JWT says", r.URL.Path) })
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Server.Close)
	return p
}

func writeJSON(t *testing.T, w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		t.Error(err)
	}
}

// jwtOf makes a JWT of header and claims, signed by key; sign may be nil for no
// signature.
func jwtOf(t *testing.T, header, claims string, sign func(signed string) []byte) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(header)) + "." + encode([]byte(claims))
	if sign == nil {
		return signed + "."
	}
	return signed + "." + encode(sign(signed))
}

func signer(t *testing.T, method jwt.SigningMethod, key any) func(string) []byte {
	t.Helper()
	return func(signed string) []byte {
		signature, err := method.Sign(signed, key)
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
}

func TestEveryHostileJWTIsRefusedWithTheRightCodeAndCostsNoVendorCall(t *testing.T) {
	t.Parallel()
	p := startIssuer(t)
	keys, err := session.NewOIDC(session.OIDCConfig{Issuer: p.URL, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	for deadline := time.Now().Add(20 * time.Second); !keys.Status().Usable; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no keys: %+v", keys.Status())
		}
	}
	verifier, err := session.NewVerifier(session.Config{
		Issuer: p.URL, Audiences: []string{"farebox"}, RequiredClaims: map[string][]string{"token_use": {"access"}},
		Leeway: 5 * time.Second, MaxLifetime: 24 * time.Hour, Keys: keys, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, func(c *handlers.Config) { c.Verifier = verifier })

	now := time.Now().Unix()
	// claims are good ones, amended; nil takes one away.
	claims := func(more map[string]any) string {
		all := map[string]any{"iss": p.URL, "aud": "farebox", "sub": "canary", "sid": "s", "jti": "j", "token_use": "access", "iat": now, "nbf": now, "exp": now + 3600}
		for name, value := range more {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
		text, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	header := func(more map[string]any) string {
		all := map[string]any{"alg": "ES256", "kid": "ec", "typ": "JWT"}
		for name, value := range more {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
		text, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	es, rs := signer(t, jwt.SigningMethodES256, p.ec), signer(t, jwt.SigningMethodRS256, p.rsa)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	byStranger := signer(t, jwt.SigningMethodES256, stranger)
	der, err := x509.MarshalPKIXPublicKey(&p.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	asSecret := func(secret []byte) func(string) []byte { return signer(t, jwt.SigningMethodHS256, secret) }
	strangersJWK := jose.JSONWebKey{Key: &stranger.PublicKey, KeyID: "ec", Algorithm: "ES256"}
	good := jwtOf(t, header(nil), claims(nil), es)
	parts := strings.Split(good, ".")
	h := func(name string, value any) string {
		return jwtOf(t, header(map[string]any{name: value}), claims(nil), es)
	}
	c := func(name string, value any) string {
		return jwtOf(t, header(nil), claims(map[string]any{name: value}), es)
	}
	body := func(text string) string { return jwtOf(t, header(nil), text, es) }
	kid := func(kid string) string { return jwtOf(t, header(map[string]any{"kid": kid}), claims(nil), byStranger) }
	pointer := func(name string, value any) string {
		return jwtOf(t, header(map[string]any{name: value}), claims(nil), byStranger)
	}
	zeros := func(n int) func(string) []byte { return func(string) []byte { return make([]byte, n) } }
	digest := func(string) []byte {
		sum := sha256.Sum256([]byte("x"))
		return append(sum[:], sum[:]...)
	}
	nested := base64.RawURLEncoding.EncodeToString([]byte(good))

	const invalid, expired = "session_invalid", "session_expired"
	for name, tt := range map[string]struct{ raw, code string }{
		"a public RSA key as a shared secret, PEM":         {jwtOf(t, header(map[string]any{"alg": "HS256", "kid": "rsa"}), claims(nil), asSecret(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))), invalid},
		"a public RSA key as a shared secret, DER":         {jwtOf(t, header(map[string]any{"alg": "HS256", "kid": "rsa"}), claims(nil), asSecret(der)), invalid},
		"a public RSA key as a shared secret, its modulus": {jwtOf(t, header(map[string]any{"alg": "HS256", "kid": "rsa"}), claims(nil), asSecret(p.rsa.N.Bytes())), invalid},
		"an empty shared secret":                           {jwtOf(t, header(map[string]any{"alg": "HS256"}), claims(nil), asSecret([]byte{0})), invalid},
		"the RSA key under another algorithm":              {jwtOf(t, header(map[string]any{"alg": "RS512", "kid": "rsa"}), claims(nil), signer(t, jwt.SigningMethodRS512, p.rsa)), invalid},
		"the RSA key with PSS":                             {jwtOf(t, header(map[string]any{"alg": "PS256", "kid": "rsa"}), claims(nil), signer(t, jwt.SigningMethodPS256, p.rsa)), invalid},
		"the RSA key under the EC key's name":              {jwtOf(t, header(map[string]any{"alg": "RS256"}), claims(nil), rs), invalid},
		"the EC key under the RSA key's name":              {h("kid", "rsa"), invalid},
		"alg none":                                         {jwtOf(t, `{"alg":"none"}`, claims(nil), nil), invalid},
		"alg None":                                         {jwtOf(t, `{"alg":"None"}`, claims(nil), nil), invalid},
		"alg NONE with a signature":                        {h("alg", "NONE"), invalid},
		"alg nOnE with a kid":                              {jwtOf(t, `{"alg":"nOnE","kid":"ec"}`, claims(nil), nil), invalid},
		"alg none with a space":                            {jwtOf(t, `{"alg":"none "}`, claims(nil), nil), invalid},
		"alg empty":                                        {h("alg", ""), invalid},
		"alg missing":                                      {h("alg", nil), invalid},
		"alg null":                                         {jwtOf(t, `{"alg":null,"kid":"ec"}`, claims(nil), es), invalid},
		"alg in small letters":                             {h("alg", "es256"), invalid},
		"alg a list":                                       {h("alg", []string{"ES256"}), invalid},
		"alg ES256K":                                       {h("alg", "ES256K"), invalid},
		"alg dir":                                          {h("alg", "dir"), invalid},
		"a key that it brings":                             {pointer("jwk", strangersJWK), invalid},
		"a key that it brings, without kid":                {jwtOf(t, header(map[string]any{"jwk": strangersJWK, "kid": nil}), claims(nil), byStranger), invalid},
		"an address of keys":                               {pointer("jku", p.URL+"/trap-jku"), invalid},
		"an address of certificates":                       {pointer("x5u", p.URL+"/trap-x5u"), invalid},
		"certificates that it brings":                      {pointer("x5c", []string{base64.StdEncoding.EncodeToString(der)}), invalid},
		"kid a path":                                       {kid("../../../../../../dev/null"), invalid},
		"kid a file":                                       {kid("file:///etc/passwd"), invalid},
		"kid an address":                                   {kid(p.URL + "/trap-kid"), invalid},
		"kid SQL":                                          {kid("x' UNION SELECT 'ec"), invalid},
		"kid a command":                                    {kid("ec;curl " + p.URL + "/trap-command"), invalid},
		"kid with a NUL":                                   {kid("ec\x00"), invalid},
		"kid in capitals":                                  {kid("EC"), invalid},
		"kid a number":                                     {h("kid", 7), invalid},
		"kid a list":                                       {h("kid", []string{"ec"}), invalid},
		"kid null":                                         {jwtOf(t, `{"alg":"ES256","kid":null}`, claims(nil), es), invalid},
		"kid empty":                                        {h("kid", ""), invalid},
		"kid enormous":                                     {h("kid", strings.Repeat("k", 300)), invalid},
		"crit":                                             {h("crit", []string{"exp"}), invalid},
		"crit empty":                                       {h("crit", []string{}), invalid},
		"b64 false":                                        {h("b64", false), invalid},
		"zip":                                              {h("zip", "DEF"), invalid},
		"typ of a logout token":                            {h("typ", "logout+jwt"), invalid},
		"typ of a DPoP proof":                              {h("typ", "dpop+jwt"), invalid},
		"typ of a client's assertion":                      {h("typ", "client-authentication+jwt"), invalid},
		"typ a number":                                     {h("typ", 1), invalid},
		"a JWE's header":                                   {jwtOf(t, header(map[string]any{"alg": "RSA-OAEP", "enc": "A256GCM"}), claims(nil), es), invalid},
		"a JWE":                                            {"eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.AAAA.AAAA.AAAA.AAAA", invalid},
		"a JWT in a JWT":                                   {jwtOf(t, header(map[string]any{"cty": "JWT"}), `"`+good+`"`, es), invalid},
		"a JWT as a JWT's part":                            {parts[0] + "." + nested + "." + parts[2], invalid},
		"JSON serialization":                               {`{"payload":"` + parts[1] + `","signatures":[]}`, invalid},
		"a header twice over":                              {jwtOf(t, `{"alg":"ES256","kid":"ec","alg":"none"}`, claims(nil), es), invalid},
		"a claim twice over":                               {body(`{"sub":"eve",` + claims(nil)[1:]), invalid},
		"a claim twice over, once escaped":                 {body(`{"\u0073ub":"eve",` + claims(nil)[1:]), invalid},
		"a claim twice over, deep within":                  {body(`{"x":{"a":1,"a":2},` + claims(nil)[1:]), invalid},
		"claims that are a list":                           {body(`[` + claims(nil) + `]`), invalid},
		"claims that are nothing":                          {body(``), invalid},
		"claims with something behind":                     {body(claims(nil) + `{}`), invalid},
		"claims that are no UTF-8":                         {body("{\"x\":\"\xff\"," + claims(nil)[1:]), invalid},
		"claims with a byte-order mark":                    {body("\ufeff" + claims(nil)), invalid},
		"claims deep as a well":                            {body(strings.Repeat(`{"a":`, 900) + "1" + strings.Repeat("}", 900)), invalid},
		"a logout token":                                   {jwtOf(t, header(nil), claims(map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}), es), invalid},
		"an ID token where access tokens are meant":        {c("token_use", "id"), invalid},
		"a required claim away":                            {c("token_use", nil), invalid},
		"a required claim in a list":                       {c("token_use", []string{"access"}), invalid},
		"iss of somebody else":                             {c("iss", "https://evil.example"), invalid},
		"iss with a slash":                                 {c("iss", p.URL+"/"), invalid},
		"iss in a list":                                    {c("iss", []string{p.URL}), invalid},
		"iss away":                                         {c("iss", nil), invalid},
		"aud of somebody else":                             {c("aud", "other"), invalid},
		"aud that begins alike":                            {c("aud", "farebox.evil.example"), invalid},
		"aud away":                                         {c("aud", nil), invalid},
		"aud an object":                                    {c("aud", map[string]any{"farebox": true}), invalid},
		"aud a list with a number":                         {c("aud", []any{"farebox", 1}), invalid},
		"sub away":                                         {c("sub", nil), invalid},
		"sub empty":                                        {c("sub", ""), invalid},
		"sub a number":                                     {c("sub", 1), invalid},
		"sub an object":                                    {c("sub", map[string]any{"$ne": ""}), invalid},
		"sub with a line break":                            {c("sub", "ada\r\nadmin"), invalid},
		"sub of half a surrogate":                          {body(strings.Replace(claims(nil), "canary", `\udfff`, 1)), invalid},
		"sub enormous":                                     {c("sub", strings.Repeat("s", 300)), invalid},
		"sid a number":                                     {c("sid", 1), invalid},
		"exp away":                                         {c("exp", nil), invalid},
		"exp text":                                         {c("exp", "9999999999"), invalid},
		"exp a list":                                       {c("exp", []any{now + 60}), invalid},
		"exp negative":                                     {c("exp", -1), invalid},
		"exp in milliseconds":                              {c("exp", (now+60)*1000), invalid},
		"exp beyond all numbers":                           {body(`{"exp":1e999,` + claims(map[string]any{"exp": nil})[1:]), invalid},
		"exp in a year":                                    {c("exp", now+365*24*3600), invalid},
		"exp past by more than the leeway":                 {c("exp", now-6), expired},
		"exp long past":                                    {c("exp", 1), expired},
		"exp past, and of another audience":                {jwtOf(t, header(nil), claims(map[string]any{"exp": now - 60, "aud": "other"}), es), invalid},
		"exp past, and signed by somebody else":            {jwtOf(t, header(nil), claims(map[string]any{"exp": now - 60}), byStranger), invalid},
		"nbf to come":                                      {c("nbf", now+60), invalid},
		"nbf text":                                         {c("nbf", "x"), invalid},
		"iat to come":                                      {c("iat", now+60), invalid},
		"signed by somebody else":                          {jwtOf(t, header(nil), claims(nil), byStranger), invalid},
		"signed for other claims":                          {parts[0] + "." + strings.Split(c("sub", "eve"), ".")[1] + "." + parts[2], invalid},
		"not signed":                                       {jwtOf(t, header(nil), claims(nil), nil), invalid},
		"a signature of zeros":                             {jwtOf(t, header(nil), claims(nil), zeros(64)), invalid},
		"a signature of nothing but a byte":                {jwtOf(t, header(nil), claims(nil), zeros(1)), invalid},
		"a signature that is too long":                     {jwtOf(t, header(nil), claims(nil), zeros(128)), invalid},
		"a signature of digests":                           {jwtOf(t, header(nil), claims(nil), digest), invalid},
		"a signature with a bit changed":                   {parts[0] + "." + parts[1] + "." + flip(parts[2]), invalid},
		"two parts":                                        {parts[0] + "." + parts[1], invalid},
		"four parts":                                       {good + "." + parts[2], invalid},
		"padding":                                          {parts[0] + "=." + parts[1] + "." + parts[2], invalid},
		"the other alphabet":                               {parts[0] + "." + parts[1] + "." + "+/" + parts[2][2:], invalid},
		"a question mark":                                  {parts[0] + "?." + parts[1] + "." + parts[2], invalid},
		"letters beyond ASCII":                             {parts[0] + ".é" + parts[1] + "." + parts[2], invalid},
		"a comma and another":                              {good + "," + good, invalid},
		"a space within":                                   {good + " " + good, invalid},
		"enormous":                                         {c("x", strings.Repeat("x", 9<<10)), invalid},
		"dots alone":                                       {strings.Repeat(".", 4000), invalid},
		"an API key":                                       {"sk_0123456789abcdef0123456789abcdef0123456789abcdef", invalid},
	} {
		a := s.do(t, call{header: bearer(tt.raw)})
		// On a busy machine the keys may not be there in time to say it.
		for deadline := time.Now().Add(20 * time.Second); a.body["code"] == "session_keys_unavailable" && time.Now().Before(deadline); {
			a = s.do(t, call{header: bearer(tt.raw)})
		}
		wantProblem(t, a, 401, tt.code)
		if got := a.Header.Get("WWW-Authenticate"); got != `Bearer error="invalid_token"` {
			t.Errorf("%s: WWW-Authenticate = %q", name, got)
		}
		if t.Failed() {
			t.Fatalf("%s was answered like that", name)
		}
	}
	if n := s.vendor.count(); n != 0 {
		t.Errorf("%d vendor calls", n)
	}
	s.logMu.Lock()
	for _, word := range []string{"canary", "evil.example", "passwd", "UNION", parts[2]} {
		if strings.Contains(s.log.String(), word) {
			t.Errorf("the log holds %q", word)
		}
	}
	s.logMu.Unlock()
	// All that was wrong with them was what was changed.
	for name, raw := range map[string]string{
		"ES256": good, "RS256": jwtOf(t, header(map[string]any{"alg": "RS256", "kid": "rsa"}), claims(nil), rs),
	} {
		if a := s.do(t, call{header: bearer(raw)}); a.StatusCode != http.StatusOK {
			t.Errorf("a good JWT of %s: %d %s", name, a.StatusCode, a.raw)
		}
	}
}

// flip changes one bit of a signature in base64url.
func flip(part string) string {
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		panic(err)
	}
	data[10] ^= 1
	return base64.RawURLEncoding.EncodeToString(data)
}
