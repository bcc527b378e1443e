//go:build real

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

const (
	alertsFile    = "../../deploy/prometheus/alerts.yaml"
	dashboardFile = "../../deploy/grafana/dashboard.json"
)

// prometheusTool is where prometheus or promtool is: installed, or unpacked by
// scripts/deps.sh.
func prometheusTool(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	path, err := filepath.Abs(filepath.Join("testdata", "prometheus", name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("no %s: make deps brings it: %v", name, err)
	}
	return path
}

func TestTheAlertsFireWhereTheyShouldAndNowhereElse(t *testing.T) {
	t.Parallel()
	promtool := prometheusTool(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = filepath.Dir(alertsFile)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// alertRule is one rule of deploy/prometheus/alerts.yaml.
type alertRule struct {
	Alert       string
	Expr        string
	Labels      map[string]string
	Annotations map[string]string
}

func alertRules(t *testing.T) (rules []alertRule) {
	t.Helper()
	var file struct{ Groups []struct{ Rules []alertRule } }
	data, err := os.ReadFile(alertsFile)
	if err == nil {
		err = yaml.Unmarshal(data, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	if len(rules) < 15 {
		t.Fatalf("only %d rules found", len(rules))
	}
	return rules
}

func TestEveryAlertIsTestedAndSaysWhatItMeansAndWhatToDo(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(filepath.Dir(alertsFile), "alerts_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(filepath.Dir(alertsFile), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range alertRules(t) {
		if !slices.Contains([]string{"critical", "warning", "info"}, rule.Labels["severity"]) {
			t.Errorf("%s has the severity %q", rule.Alert, rule.Labels["severity"])
		}
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s does not say what it means", rule.Alert)
		}
		if !strings.Contains(string(data), `alertname="`+rule.Alert+`"`) {
			t.Errorf("no test expects %s to fire", rule.Alert)
		}
		if !strings.Contains(string(readme), "| `"+rule.Alert+"` | "+rule.Labels["severity"]+" |") {
			t.Errorf("README.md has no row of %s, %s", rule.Alert, rule.Labels["severity"])
		}
	}
}

// dashboard is what is looked at of deploy/grafana/dashboard.json.
type dashboard struct {
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ UID string }
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct {
		RefID, Expr string
		Exemplar    bool
		Datasource  struct{ UID string }
	}
	Alert any
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	data, err := os.ReadFile(dashboardFile)
	if err == nil {
		err = json.Unmarshal(data, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) < 20 {
		t.Fatalf("only %d panels found", len(d.Panels))
	}
	return d
}

// What Grafana would take without a word, and show wrongly.
func TestEveryPanelOfTheDashboardHasItsPlaceUnitAndExplanation(t *testing.T) {
	t.Parallel()
	ids, places := map[int]bool{}, map[[2]int]string{}
	for _, p := range readDashboard(t).Panels {
		if ids[p.ID] {
			t.Errorf("%s: the id %d is there twice", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, taken := places[[2]int{x, y}]; taken || x >= 24 {
					t.Fatalf("%s is over %s, or beyond the edge", p.Title, other)
				}
				places[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "${datasource}" || p.Alert != nil || len(p.Targets) == 0 {
			t.Errorf("%d, %s, lacks something: %+v", p.ID, p.Title, p)
		}
		for _, target := range p.Targets {
			if target.Datasource.UID != "${datasource}" || !strings.Contains(target.Expr, `{namespace=~"$namespace", job=~"$job", instance=~"$instance"`) {
				t.Errorf("%s does not follow the variables: %s", p.Title, target.Expr)
			}
		}
	}
}

// observer is a real Prometheus.
type observer struct {
	*process
	url, config string
}

func startObserver(t *testing.T, targets ...string) *observer {
	t.Helper()
	o := &observer{config: filepath.Join(t.TempDir(), "prometheus.yml")}
	o.configure(t, targets)
	o.process = launch(t, exec.Command(prometheusTool(t, "prometheus"), "--config.file="+o.config, "--web.listen-address=127.0.0.1:0",
		"--storage.tsdb.path="+t.TempDir(), "--enable-feature=exemplar-storage"))
	o.url = "http://" + o.printed(`msg="Listening on" address=(127\.0\.0\.1:\d+)`)
	o.printed(`Server is ready`)
	return o
}

func (o *observer) configure(t *testing.T, targets []string) {
	t.Helper()
	rules, err := filepath.Abs(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	config, err := yaml.Marshal(map[string]any{
		"global":     map[string]string{"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "1s"},
		"rule_files": []string{rules},
		"scrape_configs": []any{map[string]any{
			"job_name": "farebox", "static_configs": []any{map[string]any{"targets": targets, "labels": map[string]string{"namespace": "prod"}}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, o.config, string(config))
}

// look has o scrape other targets.
func (o *observer) look(targets ...string) {
	o.t.Helper()
	o.configure(o.t, targets)
	o.signal(syscall.SIGHUP)
}

// get asks the API, whose answer has to be a success.
func (o *observer) get(path string, query url.Values, data any) {
	o.t.Helper()
	a := do(o.t, http.MethodGet, o.url+path+"?"+query.Encode(), nil, "")
	body := struct {
		Status string
		Data   any
	}{Data: data}
	if err := json.Unmarshal([]byte(a.raw), &body); err != nil || a.status != http.StatusOK || body.Status != "success" {
		o.t.Fatalf("%s %v: %v, %d %s", path, query, err, a.status, a.raw)
	}
}

// answers reports whether an expression has any number for an answer. One that
// is wrong ends the test.
func (o *observer) answers(expr string) bool {
	o.t.Helper()
	var data struct{ Result []struct{ Value [2]any } }
	o.get("/api/v1/query", url.Values{"query": {expr}}, &data)
	for _, sample := range data.Result {
		if sample.Value[1] != "NaN" {
			return true
		}
	}
	return false
}

// await waits until all answer, or with want false none.
func (o *observer) await(exprs map[string]string, want bool) {
	o.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(250 * time.Millisecond) {
		var others []string
		for name, expr := range exprs {
			if o.answers(expr) != want {
				others = append(others, name+": "+expr)
			}
		}
		if len(others) == 0 {
			return
		}
		if time.Now().After(deadline) {
			slices.Sort(others)
			o.t.Fatalf("%d of %d expressions have data where they should not, or none (data wanted: %v):\n%s", len(others), len(exprs), want, strings.Join(others, "\n"))
		}
	}
}

var (
	variables = strings.NewReplacer("$__rate_interval", "1m", "$namespace", ".*", "$job", ".*", "$instance", ".*")
	// selector is a metric with its labels, once a query's other words are out.
	selector   = regexp.MustCompile(`\b[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^}]*\})?`)
	otherWords = regexp.MustCompile(`\[[^\]]*\]|\b(by|on|group_left) *\([^)]*\)|\b[a-z_0-9]+ *\(|\b(and|or|unless|sum|min|max|count)\b`)
)

// selectors are all that a query asks for.
func selectors(expr string) []string {
	return selector.FindAllString(otherWords.ReplaceAllString(expr, " "), -1)
}

// Whoever takes the dashboard and the alerts gets some that know the metrics as
// they are: no name or label's value that farebox never says.
func TestTheDashboardAndTheAlertsKnowTheMetricsOfARun(t *testing.T) {
	t.Parallel()
	board, rules := readDashboard(t), alertRules(t)
	traces, h := newCollector(t), build(t)
	good := h.serve("FAREBOX_POOL_MIN=2", "FAREBOX_POOL_MAX=4",
		"OTEL_EXPORTER_OTLP_ENDPOINT="+traces.URL, "OTEL_EXPORTER_OTLP_HEADERS=X-Tenant=a%20b")
	o := startObserver(t, strings.TrimPrefix(good.ops, "http://"))

	// All is well: callers of each type, one who asks again and one without a session.
	for i, path := range []string{scribePath, batchPath, "/v1/single-use-token/tts_websocket", scribePath} {
		header := http.Header{
			"Authorization": {"Bearer " + h.session("ada", nil)}, "Idempotency-Key": {path},
			"Traceparent": {"00-" + callersTrace + "-" + callersSpan + "-01"},
		}
		if a := do(t, http.MethodPost, good.url+path, header, ""); a.status != http.StatusOK {
			t.Fatalf("call %d: %d %s", i, a.status, a.raw)
		}
	}
	mint(t, good.url, scribePath, "no.session.atall", "")
	do(t, http.MethodGet, good.url+"/health/ready", nil, "")
	o.await(map[string]string{"a full pool": `min(farebox_pool_tokens) == 2`, "rates": `rate(farebox_session_verifications_total{outcome="invalid"}[1m]) > -1`}, true)
	alerts := map[string]string{}
	for _, rule := range rules {
		alerts[rule.Alert] = rule.Expr
	}
	o.await(alerts, false)

	// Much is not: a replica has no session keys, and the vendor fails and then
	// refuses the key of the other.
	blind := h.serve("FAREBOX_SESSION_PUBLIC_KEY_FILE=", "FAREBOX_SESSION_JWKS_URL=http://127.0.0.1:1/jwks")
	o.look(strings.TrimPrefix(good.ops, "http://"), strings.TrimPrefix(blind.ops, "http://"))
	users := 0
	ask := func(until string) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !o.answers(until); time.Sleep(100 * time.Millisecond) {
			users++
			mint(t, good.url, scribePath, h.session(fmt.Sprint("user ", users), nil), "")
			mint(t, blind.url, scribePath, h.session("ada", nil), "")
			do(t, http.MethodGet, blind.url+"/health/ready", nil, "")
			if time.Now().After(deadline) {
				t.Fatalf("it never happens: %s", until)
			}
		}
	}
	h.inject(`{"operation":"mint","fault":"server_error","times":1}`)
	ask(`farebox_vendor_calls_total{outcome="server_error"}`)
	h.inject(`{"operation":"mint","fault":"credits_exhausted"}`)
	for _, name := range []string{"FareboxNoKeyUsable", "FareboxKeySetAside", "FareboxRefusesMany", "FareboxNotReady", "FareboxVendorRefusesService"} {
		ask(alerts[name])
	}

	exprs := map[string]string{}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			name, expr := fmt.Sprintf("panel %q %s", p.Title, target.RefID), variables.Replace(target.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%s has a variable that the dashboard has not: %s", name, expr)
			}
			exprs[name] = expr
			for _, one := range selectors(expr) {
				exprs[name+", "+one] = one
			}
			if target.Exemplar {
				o.wantExemplar(expr)
			}
		}
	}
	for _, rule := range rules {
		for _, one := range selectors(rule.Expr) {
			exprs[rule.Alert+", "+one] = one
		}
	}
	// queue_full and the like need not happen: what is asked for leaves them out.
	o.await(exprs, true)
	o.wantRulesEvaluated(len(rules))
	o.wantVariables(board)
}

// wantExemplar waits until a query's histogram has the caller's trace for an example.
func (o *observer) wantExemplar(expr string) {
	o.t.Helper()
	if strings.Contains(expr, "vendor") {
		return // whether a caller's mint or the refill's was made is a matter of luck
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		var data []struct {
			Exemplars []struct{ Labels map[string]string }
		}
		now := time.Now()
		o.get("/api/v1/query_exemplars", url.Values{
			"query": {expr}, "start": {now.Add(-time.Hour).Format(time.RFC3339)}, "end": {now.Add(time.Minute).Format(time.RFC3339)},
		}, &data)
		for _, series := range data {
			for _, exemplar := range series.Exemplars {
				if exemplar.Labels["trace_id"] == callersTrace {
					return
				}
			}
		}
		if time.Now().After(deadline) {
			o.t.Fatalf("no exemplar of the caller's trace: %s", expr)
		}
	}
}

// wantRulesEvaluated holds Prometheus' own view of its rules: all evaluated,
// none with an error, texts included.
func (o *observer) wantRulesEvaluated(want int) {
	o.t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct {
				Name, Health, LastError string
				Alerts                  []struct{ Annotations map[string]string }
			}
		}
	}
	o.get("/api/v1/rules", nil, &data)
	n := 0
	for _, group := range data.Groups {
		for _, rule := range group.Rules {
			n++
			if rule.Health != "ok" {
				o.t.Errorf("%s is %s: %s", rule.Name, rule.Health, rule.LastError)
			}
			for _, alert := range rule.Alerts {
				for _, text := range alert.Annotations {
					if strings.Contains(text, "<error") || strings.Contains(text, "<no value>") {
						o.t.Errorf("%s says %q", rule.Name, text)
					}
				}
			}
		}
	}
	if n != want {
		o.t.Errorf("%d rules are loaded, want %d", n, want)
	}
}

// wantVariables asks what each variable of the dashboard offers.
func (o *observer) wantVariables(board dashboard) {
	o.t.Helper()
	for _, v := range board.Templating.List {
		if v.Type != "query" {
			continue
		}
		parts := regexp.MustCompile(`^label_values\((.*), ([a-z]+)\)$`).FindStringSubmatch(v.Definition)
		if parts == nil {
			o.t.Errorf("the variable %s asks %s", v.Name, v.Definition)
			continue
		}
		var values []string
		o.get("/api/v1/label/"+parts[2]+"/values", url.Values{"match[]": {variables.Replace(parts[1])}}, &values)
		if len(values) == 0 || v.Name != parts[2] {
			o.t.Errorf("the variable %s offers %v", v.Name, values)
		}
	}
}
