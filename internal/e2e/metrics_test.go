//go:build real

package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrape reads the metrics at the operators' listener.
func scrape(t *testing.T, ops string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(do(t, http.MethodGet, ops+"/metrics", nil, "").raw))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// value adds up the series of a family that have these labels.
func value(family *dto.MetricFamily, labels ...string) (sum float64) {
series:
	for _, m := range family.GetMetric() {
		for _, want := range labels {
			if !slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName()+"="+l.GetValue() == want }) {
				continue series
			}
		}
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return sum
}

// traffic has some of everything happen at d.
func traffic(d *dev) {
	d.t.Helper()
	session := d.signIn("ada")
	for _, path := range []string{scribePath, scribePath, "/v1/single-use-token/tts_websocket"} {
		if a := mint(d.t, d.url, path, session, "key-"+path[len(path)-3:]); a.status != http.StatusOK {
			d.t.Fatalf("%s: %d %s", path, a.status, a.raw)
		}
	}
	mint(d.t, d.url, scribePath, "no.session.atall", "")
	mint(d.t, d.url, "/v1/single-use-token/secret-in-the-path", session, "")
	do(d.t, http.MethodGet, d.url+"/nowhere/secret-in-the-path", nil, "")
	do(d.t, http.MethodGet, d.url+scribePath, nil, "")
	do(d.t, "BREW", d.url+scribePath, nil, "")
}

func TestTheMetricsCountWhatHappens(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	traffic(d)
	m := scrape(t, d.ops)
	tests := []struct {
		name   string
		labels []string
		want   float64
	}{
		{"farebox_dispensed_total", []string{"type=realtime_scribe"}, 2},
		{"farebox_dispensed_total", []string{"type=realtime_scribe", "source=replay"}, 1},
		{"farebox_dispensed_total", []string{"type=tts_websocket"}, 1},
		{"farebox_refused_total", []string{"type=realtime_scribe", "reason=session_invalid", "blame=client"}, 1},
		{"farebox_refused_total", []string{"type=unknown", "reason=unknown_token_type", "blame=client"}, 1},
		{"farebox_refused_total", nil, 2},
		{"farebox_session_verifications_total", []string{"outcome=ok"}, 1},
		{"farebox_session_verifications_total", []string{"outcome=remembered"}, 2},
		{"farebox_session_verifications_total", []string{"outcome=invalid"}, 1},
		{"farebox_requests_total", []string{"route=/v1/single-use-token/:token_type", "code=200"}, 3},
		{"farebox_requests_total", []string{"route=/v1/single-use-token/:token_type", "code=401"}, 1},
		{"farebox_requests_total", []string{"route=/v1/single-use-token/:token_type", "code=405"}, 2},
		{"farebox_requests_total", []string{"route=other", "code=404"}, 1},
		{"farebox_request_duration_seconds", []string{"route=other"}, 1},
		{"farebox_redis_up", nil, 1},
		{"farebox_key_usable", []string{"key=1"}, 1},
		{"farebox_policy_load_success", nil, 1},
		{"farebox_session_keys_age_seconds", nil, 0},
	}
	for _, test := range tests {
		if got := value(m[test.name], test.labels...); got != test.want {
			t.Errorf("%s%v = %v, want %v", test.name, test.labels, got, test.want)
		}
	}
	if ok := value(m["farebox_vendor_calls_total"], "operation=mint", "outcome=ok"); ok < 2 || ok > value(m["farebox_vendor_duration_seconds"], "operation=mint") {
		t.Errorf("%v vendor calls are counted", ok)
	}
	if text := do(t, http.MethodGet, d.ops+"/metrics", nil, "").raw; strings.Contains(text, "secret-in") || strings.Contains(text, "BREW") {
		t.Error("what callers invent is in the metrics")
	}
}

func TestThePoolIsInTheMetrics(t *testing.T) {
	t.Parallel()
	d := startDev(t, "FAREBOX_POOL_MIN=3")
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		m := scrape(t, d.ops)
		if value(m["farebox_pool_tokens"], "type=batch_scribe") == 3 && value(m["farebox_pool_target"], "type=batch_scribe") == 3 && value(m["farebox_pool_fenced"]) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("tokens %v, target %v, fenced %v", m["farebox_pool_tokens"], m["farebox_pool_target"], m["farebox_pool_fenced"])
		}
	}
	off := startDev(t, "FAREBOX_POOL_MAX=0")
	for name := range scrape(t, off.ops) {
		if name == "farebox_pool_fenced" || name == "farebox_pool_tokens" || name == "farebox_pool_target" {
			t.Errorf("%s is there without a pool", name)
		}
	}
}

func TestARefusedKeyAndARedisThatIsAwayAreInTheMetrics(t *testing.T) {
	t.Parallel()
	h := newHouse(t, start(t, []string{"sandbox"}, "FAREBOX_SANDBOX_LISTEN=127.0.0.1:0").printed(`answers at (http://127\.0\.0\.1:\d+)`), "redis://127.0.0.1:1")
	h.inject(`{"operation":"mint","fault":"credits_exhausted"}`)
	r := h.serve()
	if a := mint(t, r.url, scribePath, h.session("ada", nil), ""); a.body["code"] != "vendor_refused" {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	m := scrape(t, r.ops)
	for name, labels := range map[string][]string{
		"farebox_vendor_calls_total": {"outcome=credits_exhausted"},
		"farebox_refused_total":      {"reason=vendor_refused", "blame=vendor"},
	} {
		if got := value(m[name], labels...); got != 1 {
			t.Errorf("%s%v = %v", name, labels, got)
		}
	}
	r.printed(`"event":"key_set_aside","audit":true,"key":"(1)","outcome":"credits_exhausted"`)
	if key, redis := value(m["farebox_key_usable"]), value(m["farebox_redis_up"]); key != 0 || redis != 0 {
		t.Errorf("key usable %v, redis up %v", key, redis)
	}
}

func TestProfilesAreOnTheOperatorsListenerAloneAndOnlyWhereTurnedOn(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{true, false} {
		d := startDev(t, fmt.Sprint("FAREBOX_PPROF=", on))
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine", "/debug/pprof/cmdline"} {
			if a := do(t, http.MethodGet, d.ops+path, nil, ""); (a.status == http.StatusOK) != on {
				t.Errorf("on %v: %s answers %d", on, path, a.status)
			}
			if a := do(t, http.MethodGet, d.url+path, nil, ""); a.status != http.StatusNotFound {
				t.Errorf("on %v: %s of the public listener answers %d", on, path, a.status)
			}
		}
	}
}

// What operators read is what a run tells, both ways.
func TestTheDocsListTheMetricsOfARun(t *testing.T) {
	t.Parallel()
	d := startDev(t)
	traffic(d)
	got := map[string][]string{}
	for name, family := range scrape(t, d.ops) {
		if !strings.HasPrefix(name, "farebox_") {
			continue
		}
		row := []string{strings.ToLower(family.GetType().String())}
		for _, label := range family.GetMetric()[0].GetLabel() {
			row = append(row, label.GetName())
		}
		slices.Sort(row[1:])
		got[name] = row
	}
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{}
	for _, line := range strings.Split(string(data), "\n") {
		cells := strings.Split(line, "|")
		if name := strings.Trim(cells[min(1, len(cells)-1)], " `"); len(cells) > 5 && strings.HasPrefix(name, "farebox_") {
			row := []string{strings.TrimSpace(cells[2])}
			for _, label := range regexp.MustCompile("`([a-z]+)`").FindAllStringSubmatch(cells[3], -1) {
				row = append(row, label[1])
			}
			slices.Sort(row[1:])
			want[name] = row
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/metrics.md (-) and a run (+):\n%s", diff)
	}
}
