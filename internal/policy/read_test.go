package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"farebox/internal/limit"
	"farebox/internal/policy"

	"pgregory.net/rapid"
)

// faultsOf are the faults of a text that must be wrong.
func faultsOf(t *testing.T, text string) policy.Faults {
	t.Helper()
	_, err := policy.Read([]byte(text), types)
	var faults policy.Faults
	if !errors.As(err, &faults) {
		t.Fatalf("error = %v, want faults\n%s", err, text)
	}
	return faults
}

func TestAWrongFileIsRefusedWithLineAndColumn(t *testing.T) {
	t.Parallel()
	const entry = "tokens:\n  batch_scribe:\n"
	for name, tt := range map[string]struct {
		text string
		want string // of the one fault: line:column: words in it
	}{
		"nothing":                            {"", "1:1: the file is empty"},
		"a comment alone":                    {"# tokens:\n", "1:1: the file is empty"},
		"a document without content":         {"---\n", "1:1: the file is empty; write at least"},
		"text":                               {"sk_canary\n", "1:1: the file must be a mapping"},
		"a list":                             {"- tokens\n", "1:1: the file must be a mapping"},
		"neither tokens nor agents":          {"global: 1/1s\n", "1:1: names neither tokens nor agents"},
		"an unknown field":                   {"tokens: {}\ntoken: {}\n", "2:1: the file has no such field; it has agents, global, plans, tokens"},
		"an unknown field of a type":         {entry + "    per_day: 3\n", "3:5: a token type has no such field; it has allow, per_user, per_user_daily"},
		"an unknown field of a plan":         {"tokens: {}\nplans:\n  - nam: x\n", "3:5: a plan has no such field; it has name, per_user, per_user_daily, when"},
		"a field in capitals":                {"Tokens: {}\n", "1:1: no such field"},
		"a global limit in a plan":           {"tokens: {}\nplans: [{name: x, when: 'true', global: 1/1s}]\n", "2:33: no such field"},
		"a type that is unknown":             {"tokens:\n  realtime_scrib: {}\n", "2:3: this is no token type; they are realtime_scribe, batch_scribe, tts_websocket"},
		"a name that is there twice":         {"tokens:\n  batch_scribe: {}\n  batch_scribe: {}\n", "3:3: this name is there twice, first in line 2"},
		"a field that is there twice":        {entry + "    per_user: 1/1s\n    per_user: 2/1s\n", "4:5: twice"},
		"a section that is there twice":      {"tokens: {}\nagents: {}\ntokens: {}\n", "3:1: twice"},
		"a type with nothing after it":       {"tokens:\n  batch_scribe:\n#   allow: 'false'\n", "2:16: a token type is empty; write {}"},
		"tokens with nothing after it":       {"tokens:\n", "1:8: tokens is empty"},
		"plans with nothing after it":        {"tokens: {}\nplans:\n", "2:7: plans must be a list"},
		"plans as a mapping":                 {"tokens: {}\nplans:\n  pro: {}\n", "3:3: plans must be a list"},
		"a plan that is text":                {"tokens: {}\nplans: [pro]\n", "2:9: a plan must be a mapping"},
		"a plan without a name":              {"tokens: {}\nplans: [{when: 'true'}]\n", "2:9: no name"},
		"a plan without when":                {"tokens: {}\nplans: [{name: pro}]\n", "2:9: no when"},
		"two plans of a name":                {"tokens: {}\nplans:\n- {name: a, when: 'true'}\n- {name: a, when: 'true'}\n", "4:10: this plan's name is there twice, first in line 3"},
		"a plan's name that is a number":     {"tokens: {}\nplans: [{name: 1, when: 'true'}]\n", "2:16: a name must be text"},
		"a rate without a period":            {entry + "    per_user: 10\n", "3:15: write a rate as count/period"},
		"a rate in words":                    {entry + "    per_user: 10 per minute\n", "3:15: write a rate"},
		"a rate of nothing":                  {entry + "    per_user: 0/1m\n", "3:15: write a rate"},
		"a rate below nothing":               {entry + "    per_user: -1/1m\n", "3:15: write a rate"},
		"a rate in no time":                  {entry + "    per_user: 1/0s\n", "3:15: write a rate"},
		"a rate without a number of periods": {entry + "    per_user: 1/m\n", "3:15: write a rate"},
		"a rate that is too large":           {entry + "    per_user: 1000001/1s\n", "3:15: write a rate"},
		"a rate of more than a day":          {entry + "    per_user: 1/25h\n", "3:15: write a rate"},
		"a rate with space":                  {entry + "    per_user: 10 / 1m\n", "3:15: write a rate"},
		"a rate that is a list":              {entry + "    per_user: [10/1m]\n", "3:15: write a rate"},
		"a rate that is empty":               {entry + "    per_user:\n", "3:14: write a rate"},
		"a global rate that is none at all":  {"tokens: {}\nglobal: unlimited\n", "2:9: write a rate"},
		"a daily limit of nothing":           {entry + "    per_user_daily: 0\n", "3:21: write a whole number"},
		"a daily limit in quotes":            {entry + "    per_user_daily: '200'\n", "3:21: write a whole number"},
		"a daily limit in octal":             {entry + "    per_user_daily: 0200\n", "3:21: write a whole number"},
		"a daily limit with a point":         {entry + "    per_user_daily: 200.0\n", "3:21: write a whole number"},
		"a daily limit that is too large":    {entry + "    per_user_daily: 1000000001\n", "3:21: write a whole number"},
		"a daily limit that is no number":    {entry + "    per_user_daily: true\n", "3:21: write a whole number"},
		"an allow that is a bool":            {entry + "    allow: true\n", "3:12: an expression must be text; put it in single quotes"},
		"an allow that is empty":             {entry + "    allow:\n", "3:11: an expression is empty"},
		"an allow that is white space":       {entry + "    allow: ' '\n", "3:12: an expression is empty"},
		"an allow that is a list":            {entry + "    allow: [a]\n", "3:12: an expression must be text"},
		"an allow that begins with !":        {entry + "    allow: !has(claims.x)\n", "3:12: tags are not taken"},
		"an allow that begins with a quote":  {entry + "    allow: \"speech\" in scopes\n", "3:21: single quotes"},
		"an agent id with a space":           {"agents:\n  'a b': {}\n", "2:3: this is no agent id"},
		"an agent id that is empty":          {"agents: {'': {}}\n", "1:10: this is no agent id"},
		"an agent id that is a number":       {"agents: {123: {}}\n", "1:10: this name is no text"},
		"a name that is a list":              {"tokens: {[a]: {}}\n", "1:10: this name is no text"},
		"a merge key":                        {"tokens:\n  <<: {}\n", "2:3: this name is no text"},
		"an anchor":                          {"tokens: {batch_scribe: &a {}}\n", "1:24: anchors and aliases"},
		"an alias of nothing":                {"tokens: *canary\n", "1:9: anchors and aliases"},
		"a tag":                              {"tokens: !!map {}\n", "1:9: tags are not taken"},
		"two documents":                      {"tokens: {}\n---\ntokens: {}\n", "2:1: a second document"},
		"a second document that is broken":   {"tokens: {}\n---\n[\n", "4:1: breaks off"},
		"a tab":                              {"tokens:\n\tbatch_scribe: {}\n", "2:1: spaces, not tabs"},
		"a bracket that is left open":        {"tokens: {\n", "2:1: breaks off"},
		"a byte that is no UTF-8":            {"tokens: {}\n# ö\xff\n", "2:4: not in UTF-8"},
		"UTF-16":                             {"\xff\xfet\x00", "1:1: not in UTF-8"},
		"a control character":                {"tokens: {}\n#\x00\n", "2:2: control character, U+0000"},
		"another's end of line":              {"tokens: {} # \u2028global: 1/1s\n", "1:14: control character, U+2028"},
		"a byte-order mark inside":           {"tokens: {}\ufeff\n", "1:11: control character, U+FEFF"},
		"a file that is too large":           {"#" + strings.Repeat("x", policy.MaxSize), "the file has more than 262144 bytes"},
	} {
		faults := faultsOf(t, tt.text)
		position, words, _ := strings.Cut(tt.want, ": ")
		if words == "" {
			position, words = "", tt.want
		}
		got := faults[0].String()
		if len(faults) != 1 || !strings.HasPrefix(got, position) || !strings.Contains(got, words) {
			t.Errorf("%s: %v, want %s", name, faults, tt.want)
		}
		if strings.Contains(got, "canary") {
			t.Errorf("%s: shows the file: %s", name, got)
		}
	}
}

func TestFaultsOfExpressionsAreWhereTheyStandInTheFile(t *testing.T) {
	t.Parallel()
	const entry = "tokens:\n  batch_scribe:\n    allow: "
	for name, tt := range map[string]struct{ text, want string }{
		"plain":                         {entry + "claims.a == claim.b\n", "3:24: undeclared reference to 'claim'"},
		"plain over lines":              {entry + "claims.a ==\n\n      claim.b\n", "5:7: undeclared reference to 'claim'"},
		"single quotes":                 {entry + "'sub == ''x'' && nobody'\n", "3:29: undeclared reference to 'nobody'"},
		"double quotes":                 {entry + "\"sub == \\\"\\u0078\\\" && nobody\"\n", "3:34: undeclared reference to 'nobody'"},
		"double quotes over lines":      {entry + "\"sub == \\\n      'x' &&\n      nobody\"\n", "5:7: undeclared reference to 'nobody'"},
		"a literal block":               {entry + "|\n      sub == 'x' &&\n        nobody\n", "5:9: undeclared reference to 'nobody'"},
		"a literal block with header":   {entry + "|2- # a comment\n        sub == 'x' &&\n\n       nobody\n", "6:8: undeclared reference to 'nobody'"},
		"a folded block":                {entry + ">-\n      sub == 'x'\n      && nobody\n", "5:10: undeclared reference to 'nobody'"},
		"after what is not ASCII":       {entry + "'sub == \"äöü𝄞\" && nobody'\n", "3:30: undeclared reference to 'nobody'"},
		"in a flow mapping":             {"tokens: {batch_scribe: {allow: 'nobody'}}\n", "1:33: undeclared reference to 'nobody'"},
		"with \\r\\n":                   {"tokens:\r\n  batch_scribe:\r\n    allow: |\r\n      sub == 'x' &&\r\n      nobody\r\n", "5:7: undeclared reference to 'nobody'"},
		"with a byte-order mark":        {"\ufefftokens: {batch_scribe: {allow: 'nobody'}}\n", "1:33: undeclared reference to 'nobody'"},
		"at the end":                    {entry + "'sub =='\n", "3:19: Syntax error: mismatched input '<EOF>'"},
		"at the end of a literal block": {entry + "|\n      sub ==\n", "4:13: Syntax error: mismatched input '<EOF>'"},
		"that is no bool":               {entry + "'claims.admin'\n", "3:13: the expression must give a bool, but gives dyn"},
		"that is text":                  {entry + "'\"yes\"'\n", "3:13: the expression must give a bool, but gives string"},
		"that compares apples":          {entry + "'sub == 1'\n", "3:17: found no matching overload"},
		"of an unknown function":        {entry + "'scopes.contain(\"x\")'\n", "3:27: undeclared reference to 'contain'"},
		"of a plan":                     {"tokens: {}\nplans:\n  - name: x\n    when: 'nobody'\n", "4:12: undeclared reference to 'nobody'"},
		"of an agent":                   {"agents: {agent_1: {allow: 'nobody'}}\n", "1:28: undeclared reference to 'nobody'"},
		"with a regular expression":     {entry + "'sub.matches(\"[\")'\n", "3:25: invalid matches argument"},
	} {
		faults := faultsOf(t, tt.text)
		position, words, _ := strings.Cut(tt.want, ": ")
		if got := faults[0].String(); len(faults) != 1 || !strings.HasPrefix(got, position+": ") || !strings.Contains(got, words) {
			t.Errorf("%s: %v, want %s", name, faults, tt.want)
		}
	}
}

func TestEverythingThatIsWrongIsReportedAtOnceByLine(t *testing.T) {
	t.Parallel()
	faults := faultsOf(t, `global: fast
plans:
  - when: 'nobody && nowhere'
    per_user: 1
tokens:
  batch: {per_user_daily: -1}
  batch_scribe:
    allow: 'sub'
    per_users: 10/1m
nonsense: 1
`)
	var got []string
	for _, f := range faults {
		got = append(got, fmt.Sprintf("%d:%d", f.Line, f.Column))
	}
	if want := "1:9 3:12 3:22 4:15 6:3 6:27 8:13 9:5 10:1"; strings.Join(got, " ") != want {
		t.Errorf("faults at %v, want %s\n%v", got, want, faults)
	}
	if many := faultsOf(t, strings.Repeat("x: 1\n", 1000)); len(many) != 100 {
		t.Errorf("%d faults are reported", len(many))
	}
}

func TestEveryRateThatIsWrittenIsReadAndNothingElse(t *testing.T) {
	t.Parallel()
	read := func(text string) (limit.Rate, bool) {
		p, err := policy.Read([]byte(fmt.Sprintf("tokens: {batch_scribe: {per_user: %q}}", text)), types)
		if err != nil {
			return limit.Rate{}, false
		}
		d, err := p.DecideToken(policy.Caller{}, "batch_scribe")
		return d.Limits.PerUser, err == nil
	}
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]string{"s", "m", "h"}).Draw(t, "unit")
		length := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
		want := limit.Rate{Count: rapid.IntRange(1, 1_000_000).Draw(t, "count")}
		number := rapid.IntRange(1, int(24*time.Hour/length)).Draw(t, "number")
		want.Period = time.Duration(number) * length
		text := fmt.Sprintf("%d/%d%s", want.Count, number, unit)
		if got, ok := read(text); !ok || got != want || got.IsZero() || got.Interval() <= 0 {
			t.Fatalf("%s: %+v, %v", text, got, ok)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[0-9none/smhd. +-]{0,12}`).Draw(t, "text")
		got, ok := read(text)
		if ok && got.IsZero() && text != "none" {
			t.Fatalf("%q is no limit", text)
		}
		if ok && (got.Count > 1_000_000 || got.Period > 24*time.Hour) {
			t.Fatalf("%q is %+v", text, got)
		}
	})
}
