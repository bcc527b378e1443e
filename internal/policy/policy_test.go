package policy_test

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"farebox/internal/limit"
	"farebox/internal/policy"

	"github.com/google/go-cmp/cmp"
)

var types = []string{"realtime_scribe", "batch_scribe", "tts_websocket"}

func read(t *testing.T, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Read([]byte(text), types)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

// limits are those of a decision that must be a yes.
func limits(t *testing.T, d policy.Decision, err error) limit.Limits {
	t.Helper()
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	return d.Limits
}

// refused is the refusal that err must be.
func refused(t *testing.T, err error) *policy.Refusal {
	t.Helper()
	var refusal *policy.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("error = %v, want a refusal", err)
	}
	return refusal
}

func perMinute(n int) limit.Rate { return limit.Rate{Count: n, Period: time.Minute} }
func perSecond(n int) limit.Rate { return limit.Rate{Count: n, Period: time.Second} }

func TestDefaultPolicyAllowsTheNamedTypesUnderTheDocumentedLimits(t *testing.T) {
	t.Parallel()
	p := policy.Default("realtime_scribe")
	d, err := p.DecideToken(policy.Caller{}, "realtime_scribe")
	want := limit.Limits{PerUser: perMinute(10), PerUserDaily: 200, Global: perSecond(50)}
	if diff := cmp.Diff(want, limits(t, d, err)); diff != "" {
		t.Error(diff)
	}
	_, err = p.DecideToken(policy.Caller{}, "batch_scribe")
	if refused(t, err).Cause != policy.NotNamed {
		t.Error(err)
	}
	_, err = p.DecideAgent(policy.Caller{}, "realtime_scribe")
	if refused(t, err).Cause != policy.NotNamed {
		t.Error(err)
	}
}

const example = `tokens:
  realtime_scribe:
    allow: '"speech" in scopes'        # CEL; left out: any valid session
    per_user: 10/1m
    per_user_daily: 200
  tts_websocket:
    per_user: 30/1m
agents:
  agent_123:
    allow: 'claims.plan == "pro"'
    per_user: 5/1m
plans:                                 # the first that matches overrides the limits above
  - name: pro
    when: 'claims.plan == "pro"'
    per_user: 60/1m
    per_user_daily: 5000
  - name: all
    when: 'true'
    per_user_daily: 7
global: 200/1s
`

func TestLimitsComeFromTheFirstPlanThenTheTypeThenTheDefaults(t *testing.T) {
	t.Parallel()
	p := read(t, example)
	free := policy.Caller{Scopes: []string{"speech"}, Claims: map[string]any{"plan": "free"}}
	pro := policy.Caller{Scopes: []string{"speech"}, Claims: map[string]any{"plan": "pro"}}
	for name, tt := range map[string]struct {
		caller policy.Caller
		plan   string
		want   limit.Limits
		decide func(policy.Caller, string) (policy.Decision, error)
		what   string
	}{
		"a type's own rate, the last plan's day":     {free, "all", limit.Limits{PerUser: perMinute(30), PerUserDaily: 7, Global: perSecond(200)}, p.DecideToken, "tts_websocket"},
		"the first plan that matches":                {pro, "pro", limit.Limits{PerUser: perMinute(60), PerUserDaily: 5000, Global: perSecond(200)}, p.DecideToken, "realtime_scribe"},
		"an agent's rate is overridden by a plan":    {pro, "pro", limit.Limits{PerUser: perMinute(60), PerUserDaily: 5000, Global: perSecond(200)}, p.DecideAgent, "agent_123"},
		"what no plan overrides stays with the type": {free, "all", limit.Limits{PerUser: perMinute(10), PerUserDaily: 7, Global: perSecond(200)}, p.DecideToken, "realtime_scribe"},
	} {
		d, err := tt.decide(tt.caller, tt.what)
		if diff := cmp.Diff(tt.want, limits(t, d, err)); diff != "" || d.Plan != tt.plan {
			t.Errorf("%s: plan %q, %s", name, d.Plan, diff)
		}
	}
	for name, tt := range map[string]struct {
		decide func(policy.Caller, string) (policy.Decision, error)
		what   string
	}{"a type that is not named": {p.DecideToken, "batch_scribe"}, "an agent that is not named": {p.DecideAgent, "agent_124"}} {
		if _, err := tt.decide(pro, tt.what); refused(t, err).Cause != policy.NotNamed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatAFileLeavesOutIsTheDefaultAndNoneIsNoLimit(t *testing.T) {
	t.Parallel()
	p := read(t, "tokens:\n  realtime_scribe: {}\n  batch_scribe: {per_user: none, per_user_daily: none}\n")
	d, err := p.DecideToken(policy.Caller{}, "realtime_scribe")
	if diff := cmp.Diff(limit.Limits{PerUser: perMinute(10), PerUserDaily: 200, Global: perSecond(50)}, limits(t, d, err)); diff != "" {
		t.Error(diff)
	}
	d, err = p.DecideToken(policy.Caller{}, "batch_scribe")
	if diff := cmp.Diff(limit.Limits{Global: perSecond(50)}, limits(t, d, err)); diff != "" {
		t.Error(diff)
	}
	p = read(t, "tokens: {realtime_scribe: {per_user: 1/24h, per_user_daily: 1}}\nglobal: none")
	d, err = p.DecideToken(policy.Caller{}, "realtime_scribe")
	if diff := cmp.Diff(limit.Limits{PerUser: limit.Rate{Count: 1, Period: 24 * time.Hour}, PerUserDaily: 1}, limits(t, d, err)); diff != "" {
		t.Error(diff)
	}
}

func TestAnExpressionThatCannotBeEvaluatedRefuses(t *testing.T) {
	t.Parallel()
	const loose = "plans:\n  - name: broken\n    when: 'claims.plan == \"pro\"'\n    per_user: 1/1m\n  - name: loose\n    when: 'true'\n    per_user: none\n"
	for name, tt := range map[string]struct {
		text   string
		claims map[string]any
		rule   string
		line   int
		cause  policy.Cause
	}{
		"allow over a claim that is missing":    {"tokens:\n  batch_scribe:\n    allow: claims.plan == \"pro\"\n", nil, "tokens.batch_scribe.allow", 3, policy.Failed},
		"allow over a claim of another kind":    {"tokens: {batch_scribe: {allow: 'claims.plan.startsWith(\"p\")'}}", map[string]any{"plan": int64(1)}, "tokens.batch_scribe.allow", 1, policy.Failed},
		"allow that is false":                   {"tokens: {batch_scribe: {allow: 'claims.plan == \"pro\"'}}", map[string]any{"plan": []any{"pro"}}, "tokens.batch_scribe.allow", 1, policy.NotAllowed},
		"a plan before a looser one that holds": {"tokens: {batch_scribe: {}}\n" + loose, nil, "plans[0].when", 4, policy.Failed},
	} {
		_, err := read(t, tt.text).DecideToken(policy.Caller{Claims: tt.claims}, "batch_scribe")
		r := refused(t, err)
		if r.Cause != tt.cause || r.Rule != tt.rule || r.Line != tt.line || r.Broken() != (tt.cause == policy.Failed) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	_, err := read(t, "tokens: {batch_scribe: {allow: 'int(claims.plan) > 1'}}").DecideToken(policy.Caller{Claims: map[string]any{"plan": "canary"}}, "batch_scribe")
	if r := refused(t, err); strings.Contains(r.Error(), "canary") || r.Detail == nil {
		t.Errorf("%v, detail %v", r, r.Detail)
	}
}

func TestExpressionsSeeTheClaimsAsTheyAre(t *testing.T) {
	t.Parallel()
	caller := policy.Caller{
		Issuer: "https://issuer.example", Subject: "ada", Scopes: []string{"openid", "speech"},
		Claims: map[string]any{
			"level": int64(3), "large": int64(9007199254740993), "least": int64(-9223372036854775808), "half": 0.5,
			"name": "Äda", "admin": true, "nothing": nil, "list": []any{"a", int64(1), []any{}}, "deep": map[string]any{"x": map[string]any{"y": "z"}},
			"https://app.example/roles": []any{"editor"}, "": "empty",
		},
	}
	for expression, want := range map[string]bool{
		`claims.level == 3`: true,
		`claims.level + 1 == 4 && type(claims.level) == int`:   true,
		`claims.level == 3.0`:                                  true,
		`claims.large == 9007199254740993`:                     true,
		`claims.large == 9007199254740992`:                     false,
		`claims.large - 9007199254740992 == 1`:                 true,
		`claims.least < 0 && string(claims.least).size() > 19`: true,
		`claims.half < claims.level`:                           true,
		`claims.name.upperAscii() == "ÄDA"`:                    true,
		`claims.name.size() == 3`:                              true,
		`claims.admin == true`:                                 true,
		`claims.nothing == null`:                               true,
		`has(claims.missing)`:                                  false,
		`has(claims.missing) && claims.missing == "x"`:         false,
		`"missing" in claims`:                                  false,
		`claims.list.exists(x, x == 1)`:                        true,
		`claims.list[2] == []`:                                 true,
		`claims.deep.x.y == "z" && claims["deep"]["x"] != {}`:  true,
		`"editor" in claims["https://app.example/roles"]`:      true,
		`claims[""] == "empty"`:                                true,
		`"speech" in scopes && !("other" in scopes)`:           true,
		`scopes.join(" ") == "openid speech"`:                  true,
		`sub == "ada" && iss.startsWith("https://issuer.")`:    true,
		`"a,b".split(",").size() == 2`:                         true,
		`"aXbX".replace("X", "-", 1) == "a-bX"`:                true,
		`"aXbX".replace("X", "") == "ab"`:                      true,
		`"ab".replace("", "-") == "-a-b-"`:                     true,
		`["a", "b"].join() == "ab"`:                            true,
		`claims.list.join(",") == ""`:                          false, // not all text: an error
		`sub.matches("^a.a$")`:                                 true,
		`claims.level > 2 || claims.missing == 1`:              true,
	} {
		p := read(t, "tokens:\n  batch_scribe:\n    allow: |\n      "+expression+"\n")
		if _, err := p.DecideToken(caller, "batch_scribe"); (err == nil) != want {
			t.Errorf("%s: %v, want %v", expression, err, want)
		}
	}
	// No scopes and no claims are empty ones, not a fault.
	if _, err := read(t, `tokens: {batch_scribe: {allow: 'size(scopes) == 0 && size(claims) == 0'}}`).DecideToken(policy.Caller{}, "batch_scribe"); err != nil {
		t.Error(err)
	}
}

func TestThePoliciesInTheDocumentsAreGood(t *testing.T) {
	t.Parallel()
	var documents []byte
	for _, path := range []string{"../../README.md", "../../docs/policy.md"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, text...)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(documents, -1)
	if len(examples) < 5 {
		t.Fatalf("only %d examples", len(examples))
	}
	for _, example := range examples {
		p := read(t, string(example[1]))
		// Nobody is refused for want of a claim: that is what the examples teach.
		for _, name := range types {
			if _, err := p.DecideToken(policy.Caller{Subject: "ada@clients", Scopes: []string{"speech"}}, name); err != nil && refused(t, err).Broken() {
				t.Errorf("%v\n%s", err, example[1])
			}
		}
	}
}
