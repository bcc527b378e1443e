package config_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"farebox/internal/config"
	"farebox/internal/secret"

	"github.com/google/go-cmp/cmp"
)

const goodSecret = "0123456789abcdef0123456789abcdef"

// good is an environment that serve takes.
func good(more ...string) []string {
	return append([]string{
		"ELEVENLABS_API_KEY=sk_test", "REDIS_URL=redis://:pw@127.0.0.1:6379/0", "FAREBOX_SECRET=" + goodSecret,
		"FAREBOX_SESSION_ISSUER=https://issuer.example", "FAREBOX_SESSION_AUDIENCE=farebox",
	}, more...)
}

func faults(t *testing.T, err error) map[string]string {
	t.Helper()
	var all config.Faults
	if !errors.As(err, &all) {
		t.Fatalf("error = %v, want faults", err)
	}
	byName := map[string]string{}
	for _, f := range all {
		if _, twice := byName[f.Setting]; twice {
			t.Errorf("%s is reported twice: %v", f.Setting, err)
		}
		byName[f.Setting] = f.Mend
	}
	return byName
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pipe is a named pipe, which nobody writes to.
func pipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// authority is a certificate in PEM.
func authority(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

func TestServeTakesDefaultsForWhatIsNotGiven(t *testing.T) {
	t.Parallel()
	c, err := config.Load(good(), config.Serve)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{
		"listen": c.Listen, "ops": c.OpsListen, "base": c.Vendor.BaseURL.String(), "prefix": c.Redis.Prefix,
		"lifetime": c.Vendor.TokenLifetime, "concurrency": c.Vendor.Concurrency, "mint": c.Vendor.Timeout,
		"request": c.Timing.RequestTimeout, "window": c.Timing.ReplayWindow, "leeway": c.Session.Leeway,
		"max": c.Session.MaxLifetime, "sub": c.Session.SubjectClaim, "sid": c.Session.SessionIDClaim,
		"page": c.Web.Page, "drain": c.DrainDelay, "shutdown": c.ShutdownTimeout, "level": c.Log.Level, "cookie": c.Session.Cookie,
	}
	want := map[string]any{
		"listen": ":8080", "ops": ":9090", "base": "https://api.elevenlabs.io", "prefix": "farebox",
		"lifetime": 15 * time.Minute, "concurrency": 8, "mint": 5 * time.Second,
		"request": 10 * time.Second, "window": time.Minute, "leeway": 5 * time.Second,
		"max": 24 * time.Hour, "sub": "sub", "sid": "sid",
		"page": true, "drain": time.Duration(0), "shutdown": 20 * time.Second, "level": slog.LevelInfo, "cookie": "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(c.Vendor.APIKeys) != 1 || c.Vendor.APIKeys[0].Reveal() != "sk_test" || c.Secrets[0].Reveal() != goodSecret {
		t.Error("the secrets were not taken")
	}
}

func TestDevNeedsNothingAndStaysOnLoopback(t *testing.T) {
	t.Parallel()
	c, err := config.Load(nil, config.Dev)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:8080" || c.OpsListen != "127.0.0.1:9090" || c.SandboxListen != "127.0.0.1:8081" || !c.Redis.Embedded {
		t.Errorf("dev listens at %s, %s, %s; embedded = %v", c.Listen, c.OpsListen, c.SandboxListen, c.Redis.Embedded)
	}
	if c, err = config.Load([]string{"PORT=3000"}, config.Dev); err != nil || c.Listen != "127.0.0.1:3000" {
		t.Errorf("with PORT: %v, %v", c, err)
	}
}

func TestEveryFaultIsReportedAtOnceAndNoneWithItsValue(t *testing.T) {
	t.Parallel()
	// Each value holds the word that no message may show.
	const canary = "cAnArY"
	env := []string{
		"ELEVENLABS_API_KEY=sk_" + canary + "\x01",
		"ELEVENLABS_BASE_URL=http://" + canary + ".example",
		"REDIS_URL=" + canary + "://user:" + canary + "@host",
		"FAREBOX_REDIS_PREFIX={" + canary + "}",
		"FAREBOX_REDIS_CA_FILE=/nonexistent/" + canary,
		"FAREBOX_SECRET=" + canary,
		"PORT=" + canary,
		"FAREBOX_LISTEN=" + canary,
		"FAREBOX_OPS_LISTEN=host:" + canary,
		"FAREBOX_SESSION_ISSUER= " + canary,
		"FAREBOX_SESSION_AUDIENCE=,",
		"FAREBOX_SESSION_REQUIRED_CLAIMS=" + canary,
		"FAREBOX_SESSION_JWKS_URL=" + canary,
		"FAREBOX_SESSION_PUBLIC_KEY_FILE=/nonexistent/" + canary,
		"FAREBOX_SESSION_HS256_SECRET=" + canary,
		"FAREBOX_SESSION_COOKIE=" + canary + ";",
		"FAREBOX_SESSION_HEADER=authorization",
		"FAREBOX_SESSION_LEEWAY=61s",
		"FAREBOX_SESSION_MAX_LIFETIME=" + canary,
		"FAREBOX_ALLOWED_ORIGINS=https://" + canary + "/path",
		"FAREBOX_PAGE=" + canary,
		"FAREBOX_PUBLIC_URL=" + canary,
		"FAREBOX_LOGIN_URL=javascript:" + canary,
		"FAREBOX_REPLAY_WINDOW=-1s",
		"FAREBOX_TOKEN_LIFETIME=" + canary,
		"FAREBOX_MINT_CONCURRENCY=0",
		"FAREBOX_MINT_TIMEOUT=" + canary,
		"FAREBOX_REQUEST_TIMEOUT=0",
		"FAREBOX_TRUSTED_PROXIES=" + canary,
		"FAREBOX_CLIENT_IP_HEADER=" + canary + ":",
		"FAREBOX_TLS_CERT_FILE=/nonexistent/" + canary,
		"FAREBOX_DRAIN_DELAY=" + canary,
		"FAREBOX_SHUTDOWN_TIMEOUT=" + canary,
		"FAREBOX_LOG_LEVEL=" + canary,
		"FAREBOX_LOG_FORMAT=" + canary,
		"FAREBOX_POOL_MIN=" + canary,
		"FAREBOX_POOL_MAX=-1",
		"FAREBOX_POOL_MAX_AGE=" + canary,
		"FAREBOX_POLICY_FILE=" + canary,
		"FAREBOX_ALOWED_ORIGINS=" + canary,
	}
	_, err := config.Load(env, config.Serve)
	if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(canary)) {
		t.Errorf("a value is shown:\n%v", err)
	}
	got := faults(t, err)
	for _, pair := range env {
		name, _, _ := strings.Cut(pair, "=")
		if got[name] == "" {
			t.Errorf("%s is not reported", name)
		}
	}
	if !strings.HasSuffix(got["FAREBOX_ALOWED_ORIGINS"], "FAREBOX_ALLOWED_ORIGINS") {
		t.Errorf("the nearest name is not told: %q", got["FAREBOX_ALOWED_ORIGINS"])
	}
}

func TestNothingGivenNamesAllThatServeRequires(t *testing.T) {
	t.Parallel()
	_, err := config.Load(nil, config.Serve)
	var names []string
	for name, mend := range faults(t, err) {
		names = append(names, name)
		if !strings.HasPrefix(mend, "is required: ") {
			t.Errorf("%s: %s", name, mend)
		}
	}
	slices.Sort(names)
	want := []string{"ELEVENLABS_API_KEY", "FAREBOX_SECRET", "FAREBOX_SESSION_AUDIENCE", "FAREBOX_SESSION_ISSUER", "REDIS_URL"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

func TestOneFaultInAnOtherwiseGoodEnvironment(t *testing.T) {
	t.Parallel()
	secretFile := file(t, " \n"+goodSecret+"\n")
	tests := map[string]struct {
		env     []string
		setting string
	}{
		"a secret and its file both given":         {[]string{"FAREBOX_SECRET_FILE=" + secretFile}, "FAREBOX_SECRET"},
		"a secret file that does not exist":        {[]string{"FAREBOX_SESSION_HS256_SECRET_FILE=/nonexistent"}, "FAREBOX_SESSION_HS256_SECRET_FILE"},
		"a secret file that is empty":              {[]string{"FAREBOX_SESSION_HS256_SECRET_FILE=" + file(t, "\n")}, "FAREBOX_SESSION_HS256_SECRET_FILE"},
		"a short secret among long ones":           {[]string{"FAREBOX_SECRET=" + goodSecret + ",short"}, "FAREBOX_SECRET"},
		"one API key twice":                        {[]string{"ELEVENLABS_API_KEY=a,b,a"}, "ELEVENLABS_API_KEY"},
		"too many API keys":                        {[]string{"ELEVENLABS_API_KEY=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"}, "ELEVENLABS_API_KEY"},
		"API keys of nothing":                      {[]string{"ELEVENLABS_API_KEY=,\n,"}, "ELEVENLABS_API_KEY"},
		"an API key with a space":                  {[]string{"ELEVENLABS_API_KEY=a,b c"}, "ELEVENLABS_API_KEY"},
		"plain http to a host that is far":         {[]string{"ELEVENLABS_BASE_URL=http://api.example"}, "ELEVENLABS_BASE_URL"},
		"a vendor address with a query":            {[]string{"ELEVENLABS_BASE_URL=https://api.example?x"}, "ELEVENLABS_BASE_URL"},
		"a vendor address with a user":             {[]string{"ELEVENLABS_BASE_URL=https://u:p@api.example"}, "ELEVENLABS_BASE_URL"},
		"no issuer with OIDC":                      {[]string{"FAREBOX_SESSION_ISSUER=none"}, "FAREBOX_SESSION_ISSUER"},
		"no issuer with a JWKS":                    {[]string{"FAREBOX_SESSION_ISSUER=none", "FAREBOX_SESSION_JWKS_URL=https://issuer.example/jwks"}, "FAREBOX_SESSION_ISSUER"},
		"an issuer that is no address with OIDC":   {[]string{"FAREBOX_SESSION_ISSUER=issuer"}, "FAREBOX_SESSION_ISSUER"},
		"no audience and no required claims":       {[]string{"FAREBOX_SESSION_AUDIENCE=none"}, "FAREBOX_SESSION_AUDIENCE"},
		"two sources of keys":                      {[]string{"FAREBOX_SESSION_JWKS_URL=https://issuer.example/jwks", "FAREBOX_SESSION_HS256_SECRET=" + goodSecret}, "FAREBOX_SESSION_JWKS_URL"},
		"an origin that is a star":                 {[]string{"FAREBOX_ALLOWED_ORIGINS=*"}, "FAREBOX_ALLOWED_ORIGINS"},
		"an origin null":                           {[]string{"FAREBOX_ALLOWED_ORIGINS=null"}, "FAREBOX_ALLOWED_ORIGINS"},
		"a wildcard in the middle":                 {[]string{"FAREBOX_ALLOWED_ORIGINS=https://a.*.example"}, "FAREBOX_ALLOWED_ORIGINS"},
		"a wildcard over a whole top-level domain": {[]string{"FAREBOX_ALLOWED_ORIGINS=https://*.com"}, "FAREBOX_ALLOWED_ORIGINS"},
		"half a TLS pair":                          {[]string{"FAREBOX_TLS_CERT_FILE=" + secretFile}, "FAREBOX_TLS_CERT_FILE"},
		"a Redis mode that is none":                {[]string{"FAREBOX_REDIS_MODE=sharded"}, "FAREBOX_REDIS_MODE"},
		"a cluster inside the process":             {[]string{"REDIS_URL=memory:", "FAREBOX_REDIS_MODE=cluster"}, "FAREBOX_REDIS_MODE"},
		"Sentinels that have no name":              {[]string{"FAREBOX_REDIS_MODE=sentinel"}, "REDIS_URL"},
		"TLS files for a plain Redis":              {[]string{"FAREBOX_REDIS_CA_FILE=" + file(t, authority(t))}, "REDIS_URL"},
		"authorities that are none":                {[]string{"FAREBOX_REDIS_CA_FILE=" + secretFile}, "FAREBOX_REDIS_CA_FILE"},
		"a TLS pair that is none":                  {[]string{"FAREBOX_TLS_CERT_FILE=" + secretFile, "FAREBOX_TLS_KEY_FILE=" + secretFile}, "FAREBOX_TLS_CERT_FILE"},
		"public keys that are none":                {[]string{"FAREBOX_SESSION_PUBLIC_KEY_FILE=" + secretFile}, "FAREBOX_SESSION_PUBLIC_KEY_FILE"},
		"public keys in a pipe":                    {[]string{"FAREBOX_SESSION_PUBLIC_KEY_FILE=" + pipe(t)}, "FAREBOX_SESSION_PUBLIC_KEY_FILE"},
		"an API key that is too long":              {[]string{"ELEVENLABS_API_KEY=" + strings.Repeat("k", 4097)}, "ELEVENLABS_API_KEY"},
		"a vendor address without a port":          {[]string{"ELEVENLABS_BASE_URL=https://api.example:"}, "ELEVENLABS_BASE_URL"},
		"a vendor address of a port alone":         {[]string{"ELEVENLABS_BASE_URL=https://:443"}, "ELEVENLABS_BASE_URL"},
		"a vendor address with an odd host":        {[]string{"ELEVENLABS_BASE_URL=https://a;b"}, "ELEVENLABS_BASE_URL"},
		"plain http to a name below localhost":     {[]string{"ELEVENLABS_BASE_URL=http://api.localhost:8081"}, "ELEVENLABS_BASE_URL"},
		"a key set below localhost":                {[]string{"FAREBOX_SESSION_JWKS_URL=http://k.localhost/"}, "FAREBOX_SESSION_JWKS_URL"},
		"no origin":                                {[]string{"FAREBOX_ALLOWED_ORIGINS=,"}, "FAREBOX_ALLOWED_ORIGINS"},
		"an origin with an impossible port":        {[]string{"FAREBOX_ALLOWED_ORIGINS=https://a.example:99999"}, "FAREBOX_ALLOWED_ORIGINS"},
		"a window that leaves too little":          {[]string{"FAREBOX_REPLAY_WINDOW=2m"}, "FAREBOX_POOL_MAX_AGE"},
		"an age that leaves too little":            {[]string{"FAREBOX_POOL_MAX_AGE=9m1s"}, "FAREBOX_POOL_MAX_AGE"},
		"a least pool above the most":              {[]string{"FAREBOX_POOL_MIN=5", "FAREBOX_POOL_MAX=4"}, "FAREBOX_POOL_MIN"},
		"both listeners at one address":            {[]string{"FAREBOX_LISTEN=:9090"}, "FAREBOX_OPS_LISTEN"},
		"another exporter of traces":               {[]string{"OTEL_TRACES_EXPORTER=zipkin"}, "OTEL_TRACES_EXPORTER"},
		"traces by grpc":                           {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"},
		"no address for traces":                    {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT"},
		"a password for traces":                    {[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://u:p@collector/v1/traces"}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"},
		"headers that are none":                    {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_HEADERS=x"}, "OTEL_EXPORTER_OTLP_HEADERS"},
		"a header of two lines":                    {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_HEADERS=x=a%0Ab"}, "OTEL_EXPORTER_OTLP_HEADERS"},
		"a certificate for traces":                 {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_CERTIFICATE=x"}, "OTEL_EXPORTER_OTLP_CERTIFICATE"},
		"compressed traces":                        {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip"}, "OTEL_EXPORTER_OTLP_COMPRESSION"},
		"no time for traces":                       {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_TIMEOUT=10s"}, "OTEL_EXPORTER_OTLP_TIMEOUT"},
		"an unknown sampler":                       {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_TRACES_SAMPLER=most"}, "OTEL_TRACES_SAMPLER"},
		"a share of traces over all":               {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=2"}, "OTEL_TRACES_SAMPLER_ARG"},
		"another context of traces":                {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_PROPAGATORS=b3"}, "OTEL_PROPAGATORS"},
		"a proxy that is everybody":                {[]string{"FAREBOX_TRUSTED_PROXIES=10.0.0.0/8,0.0.0.0/0"}, "FAREBOX_TRUSTED_PROXIES"},
		"a proxy that is everybody of IPv6":        {[]string{"FAREBOX_TRUSTED_PROXIES=::/0"}, "FAREBOX_TRUSTED_PROXIES"},
		"a proxy by name":                          {[]string{"FAREBOX_TRUSTED_PROXIES=proxy.example"}, "FAREBOX_TRUSTED_PROXIES"},
		"a proxy of a single link":                 {[]string{"FAREBOX_TRUSTED_PROXIES=fe80::1%eth0"}, "FAREBOX_TRUSTED_PROXIES"},
		"proxies of IPv4 as IPv6":                  {[]string{"FAREBOX_TRUSTED_PROXIES=::ffff:10.0.0.0/104"}, "FAREBOX_TRUSTED_PROXIES"},
		"no proxy":                                 {[]string{"FAREBOX_TRUSTED_PROXIES=,"}, "FAREBOX_TRUSTED_PROXIES"},
		"a list as the client's address":           {[]string{"FAREBOX_CLIENT_IP_HEADER=X-Forwarded-For"}, "FAREBOX_CLIENT_IP_HEADER"},
		"the cookies as the client's address":      {[]string{"FAREBOX_CLIENT_IP_HEADER=cookie"}, "FAREBOX_CLIENT_IP_HEADER"},
		"a switch that is neither":                 {[]string{"FAREBOX_PPROF=on"}, "FAREBOX_PPROF"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(good(tt.env...), config.Serve)
			got := faults(t, err)
			if len(got) != 1 || got[tt.setting] == "" {
				t.Errorf("faults = %v, want one of %s", got, tt.setting)
			}
		})
	}
}

func TestEveryFaultOfAPolicyFileIsReportedWithItsPlace(t *testing.T) {
	t.Parallel()
	path := file(t, "tokens:\n  nonsense: {}\nplans: x\n")
	for _, command := range []config.Command{config.Serve, config.Dev} {
		env := []string{"FAREBOX_POLICY_FILE=" + path}
		if command == config.Serve {
			env = good(env...)
		}
		_, err := config.Load(env, command)
		var all config.Faults
		if !errors.As(err, &all) || len(all) != 2 || !strings.HasPrefix(all[0].Mend, "f:2:3: ") || !strings.HasPrefix(all[1].Mend, "f:3:8: ") ||
			!strings.HasPrefix(err.Error(), "1 setting needs attention:") || strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", command, err)
		}
	}
	for name, path := range map[string]string{"a pipe": pipe(t), "too large": file(t, strings.Repeat("#", 300<<10)), "missing": "/nonexistent"} {
		_, err := config.Load(good("FAREBOX_POLICY_FILE="+path), config.Serve)
		if got := faults(t, err); len(got) != 1 || got["FAREBOX_POLICY_FILE"] == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	path = file(t, "tokens: {}\n")
	if c, err := config.Load(good("FAREBOX_POLICY_FILE="+path), config.Serve); err != nil || c.PolicyFile != path {
		t.Errorf("a good file: %v, %v", c, err)
	}
}

func TestGoodVariants(t *testing.T) {
	t.Parallel()
	path := file(t, " \n"+goodSecret+"\n")
	without := func(name string) []string {
		return slices.DeleteFunc(good(), func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
	}
	load := func(env []string) *config.Config {
		t.Helper()
		c, err := config.Load(env, config.Serve)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := load(append(without("FAREBOX_SECRET"), "FAREBOX_SECRET_FILE="+path)); c.Secrets[0].Reveal() != goodSecret {
		t.Error("a secret's file is not trimmed")
	}
	if c := load(good("FAREBOX_SECRET=" + goodSecret + "\nx" + goodSecret)); len(c.Secrets) != 2 {
		t.Errorf("%d secrets of two", len(c.Secrets))
	}
	if c := load(good("REDIS_URL=memory:")); !c.Redis.Embedded {
		t.Error("memory: is no embedded Redis")
	}
	if c := load(good("PORT=3000")); c.Listen != ":3000" {
		t.Errorf("PORT gives %s", c.Listen)
	}
	if c := load(good("PORT=3000", "FAREBOX_LISTEN=127.0.0.1:4000")); c.Listen != "127.0.0.1:4000" {
		t.Errorf("FAREBOX_LISTEN beside PORT gives %s", c.Listen)
	}
	if c := load(good("FAREBOX_OPS_LISTEN=off")); c.OpsListen != "" {
		t.Errorf("off gives %s", c.OpsListen)
	}
	c := load(good("FAREBOX_SESSION_AUDIENCE=none", "FAREBOX_SESSION_REQUIRED_CLAIMS=token_use=access, client_id=abc|def"))
	if diff := cmp.Diff(map[string][]string{"token_use": {"access"}, "client_id": {"abc", "def"}}, c.Session.RequiredClaims); diff != "" || c.Session.Audiences != nil {
		t.Errorf("claims: %s, audiences %v", diff, c.Session.Audiences)
	}
	c = load(good("FAREBOX_TRUSTED_PROXIES=10.1.2.3/8, 192.0.2.1,2001:db8::/32", "FAREBOX_CLIENT_IP_HEADER=Fly-Client-IP"))
	if got := fmt.Sprint(c.Web.TrustedProxies); got != "[10.0.0.0/8 192.0.2.1/32 2001:db8::/32]" || c.Web.ClientIPHeader != "Fly-Client-IP" {
		t.Errorf("proxies %s, header %q", got, c.Web.ClientIPHeader)
	}
	if c := load(good("FAREBOX_SESSION_ISSUER=none", "FAREBOX_SESSION_HS256_SECRET="+goodSecret)); c.Session.Issuer != "" {
		t.Errorf("issuer none gives %q", c.Session.Issuer)
	}
	if c := load(good("FAREBOX_POOL_MIN=0", "FAREBOX_POOL_MAX=0", "ELEVENLABS_BASE_URL=https://proxy.example.com:8443/eleven")); c.Pool.Max != 0 || c.Vendor.BaseURL.Path != "/eleven" {
		t.Errorf("no pool gives %+v, base %s", c.Pool, c.Vendor.BaseURL)
	}
	if c := load(good("ELEVENLABS_BASE_URL=http://127.0.0.1:8081/", "OTEL_EXPORTER_OTLP_ENDPOINT=http://x", "OTEL_TRACES_EXPORTER=none")); c.Vendor.BaseURL.String() != "http://127.0.0.1:8081" {
		t.Errorf("base = %s", c.Vendor.BaseURL)
	}
}

func TestKubernetesServiceVariablesArePassedOver(t *testing.T) {
	t.Parallel()
	_, err := config.Load(good(
		"FAREBOX_SERVICE_HOST=10.0.0.1", "FAREBOX_SERVICE_PORT=8080", "FAREBOX_SERVICE_PORT_HTTP=8080",
		"FAREBOX_PORT=tcp://10.0.0.1:8080", "FAREBOX_PORT_8080_TCP=tcp://10.0.0.1:8080",
		"FAREBOX_PORT_8080_TCP_PROTO=tcp", "FAREBOX_PORT_8080_TCP_PORT=8080", "FAREBOX_PORT_8080_TCP_ADDR=10.0.0.1",
		"FAREBOX_REDIS_SERVICE_HOST=10.0.0.2", "FAREBOX_REDIS_SERVICE_PORT=6379", "FAREBOX_REDIS_PORT=tcp://10.0.0.2:6379",
		"FAREBOX_REDIS_PORT_6379_TCP_ADDR=10.0.0.2",
	), config.Serve)
	if err != nil {
		t.Error(err)
	}
	_, err = config.Load(good("FAREBOX_PORTS=1", "FAREBOX_OPS_PORT=1"), config.Serve)
	if got := faults(t, err); got["FAREBOX_PORTS"] == "" || got["FAREBOX_OPS_PORT"] == "" {
		t.Errorf("a name that only looks like one is passed over: %v", got)
	}
}

func TestDevRefusesWhatItWouldForget(t *testing.T) {
	t.Parallel()
	_, err := config.Load([]string{"FAREBOX_LOGIN_URL=https://login.example", "ELEVENLABS_BASE_URL=https://api.elevenlabs.io"}, config.Dev)
	got := faults(t, err)
	if len(got) != 2 || got["FAREBOX_LOGIN_URL"] == "" || got["ELEVENLABS_BASE_URL"] == "" {
		t.Errorf("faults = %v", got)
	}
}

func TestARealKeyIsRefusedWithAllElseThatIsWrong(t *testing.T) {
	t.Parallel()
	for _, command := range []config.Command{config.Dev, config.Sandbox} {
		_, err := config.Load([]string{"ELEVENLABS_API_KEY_FILE=" + file(t, "sk_0123456789abcdef\n"), "FAREBOX_LOG_LEVEL=loud"}, command)
		got := faults(t, err)
		if len(got) != 2 || got["ELEVENLABS_API_KEY"] == "" || got["FAREBOX_LOG_LEVEL"] == "" {
			t.Errorf("%s: faults = %v", command, got)
		}
	}
}

func TestDevStaysOnLoopbackUnlessTold(t *testing.T) {
	t.Parallel()
	env := []string{"FAREBOX_LISTEN=:8096", "FAREBOX_OPS_LISTEN=0.0.0.0:9096", "FAREBOX_SANDBOX_LISTEN=192.0.2.1:8097"}
	_, err := config.Load(env, config.Dev)
	if got := faults(t, err); len(got) != 3 {
		t.Errorf("faults = %v", got)
	}
	if _, err := config.Load(env[:1], config.Dev, config.ListenAll(new(true))); err != nil {
		t.Error(err)
	}
	_, err = config.Load(env, config.Dev, config.ListenAll(new(true)))
	if got := faults(t, err); len(got) != 2 || got["FAREBOX_LISTEN"] != "" {
		t.Errorf("faults = %v", got)
	}
	if _, err := config.Load([]string{"FAREBOX_LISTEN=[::1]:8096", "FAREBOX_OPS_LISTEN=off"}, config.Dev); err != nil {
		t.Error(err)
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	c, err := config.Load(good("FAREBOX_ALLOWED_ORIGINS=https://App.example.com, capacitor://localhost,https://*.preview.example.com,http://localhost:5173"), config.Serve)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ allowed, exact bool }{
		"https://app.example.com":               {true, true},
		"capacitor://localhost":                 {true, true},
		"http://localhost:5173":                 {true, true},
		"https://pr-7.preview.example.com":      {true, false},
		"https://preview.example.com":           {},
		"https://a.b.preview.example.com":       {},
		"https://evil.com#.preview.example.com": {},
		"https://-/.preview.example.com":        {},
		"http://pr-7.preview.example.com":       {},
		"https://pr.preview.example.com:444":    {},
		"http://app.example.com":                {},
		"https://app.example.com:8443":          {},
		"https://app.example.com.evil.com":      {},
		"null":                                  {},
		"":                                      {},
	}
	for origin, want := range tests {
		var allowed, exact bool
		for _, o := range c.Web.AllowedOrigins {
			if o.Matches(origin) {
				allowed, exact = true, exact || !o.Wildcard()
			}
		}
		if allowed != want.allowed || exact != want.exact {
			t.Errorf("%q: allowed = %v, exact = %v, want %+v", origin, allowed, exact, want)
		}
	}
}

func TestAConfigPrintsNoSecret(t *testing.T) {
	t.Parallel()
	c, err := config.Load(good("FAREBOX_SESSION_HS256_SECRET="+goodSecret+"x"), config.Serve)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	slog.New(slog.NewJSONHandler(&out, nil)).Info("config", "c", c)
	for _, text := range []string{out.String(), secret.New("x").String()} {
		for _, value := range []string{"sk_test", goodSecret, ":pw@"} {
			if strings.Contains(text, value) {
				t.Errorf("%q is printed: %s", value, text)
			}
		}
	}
}

func TestDevWithABackEndsKeysNeedsToKnowItsSessions(t *testing.T) {
	t.Parallel()
	jwks := "FAREBOX_SESSION_JWKS_URL=http://localhost:3000/jwks"
	issuer, audience, logout := "FAREBOX_SESSION_ISSUER=http://localhost:3000", "FAREBOX_SESSION_AUDIENCE=farebox", "FAREBOX_LOGOUT_AUDIENCE=farebox"
	c, err := config.Load([]string{jwks, issuer, audience, logout}, config.Dev)
	if err != nil || !c.Session.SignedElsewhere() || c.Session.LogoutAudience != "farebox" {
		t.Fatalf("config %+v, %v", c, err)
	}
	shared := "FAREBOX_SESSION_HS256_SECRET=" + goodSecret
	if c, err := config.Load([]string{shared, issuer, audience}, config.Dev); err != nil || !c.Session.SignedElsewhere() {
		t.Errorf("with a shared secret: %+v, %v", c, err)
	}
	if c, err := config.Load(nil, config.Dev); err != nil || c.Session.SignedElsewhere() {
		t.Errorf("with no keys: %+v, %v", c, err)
	}
	for name, tt := range map[string]struct {
		env  []string
		want []string
	}{
		"neither issuer nor audience":   {[]string{jwks}, []string{"FAREBOX_SESSION_ISSUER", "FAREBOX_SESSION_AUDIENCE"}},
		"any issuer":                    {[]string{jwks, "FAREBOX_SESSION_ISSUER=none", audience}, []string{"FAREBOX_SESSION_ISSUER"}},
		"any audience":                  {[]string{jwks, issuer, "FAREBOX_SESSION_AUDIENCE=none"}, []string{"FAREBOX_SESSION_AUDIENCE"}},
		"logout of the demo's sessions": {[]string{logout}, []string{"FAREBOX_LOGOUT_AUDIENCE"}},
		"a shared secret alone":         {[]string{shared}, []string{"FAREBOX_SESSION_ISSUER", "FAREBOX_SESSION_AUDIENCE"}},
		"a JWKS and a shared secret":    {[]string{jwks, issuer, audience, shared}, []string{"FAREBOX_SESSION_JWKS_URL"}},
	} {
		_, err := config.Load(tt.env, config.Dev)
		got := faults(t, err)
		for _, setting := range tt.want {
			if got[setting] == "" {
				t.Errorf("%s: %s is not reported: %v", name, setting, got)
			}
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTracesGoWhereOpenTelemetrysSettingsSay(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		env  []string
		want config.Tracing
	}{
		"nowhere by itself":  {nil, config.Tracing{}},
		"nowhere":            {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318", "OTEL_TRACES_EXPORTER=none"}, config.Tracing{}},
		"nowhere for nobody": {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318", "OTEL_SDK_DISABLED=true"}, config.Tracing{}},
		"to this host": {[]string{"OTEL_TRACES_EXPORTER=otlp"},
			config.Tracing{Endpoint: "http://localhost:4318/v1/traces", Timeout: 10 * time.Second, Share: 1, Skippable: true}},
		"to an address for all": {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318/x", "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.1"},
			config.Tracing{Endpoint: "http://c:4318/x/v1/traces", Timeout: 10 * time.Second, Share: .1}},
		"to one for traces": {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://t/in", "OTEL_EXPORTER_OTLP_TIMEOUT=50", "OTEL_TRACES_SAMPLER=always_off"},
			config.Tracing{Endpoint: "https://t/in", Timeout: 50 * time.Millisecond}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := config.Load(test.env, config.Dev)
			if err != nil {
				t.Fatal(err)
			}
			c.Tracing.Headers = nil
			if !reflect.DeepEqual(c.Tracing, test.want) {
				t.Errorf("%+v, want %+v", c.Tracing, test.want)
			}
		})
	}
}
