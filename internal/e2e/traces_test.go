//go:build real

package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector takes traces by OTLP over HTTP.
type collector struct {
	*httptest.Server
	t  *testing.T
	mu sync.Mutex
	// spans are all that came, and raw is what they were sent as.
	spans []*tracepb.Span
	raw   strings.Builder
}

func newCollector(t *testing.T) *collector {
	c := &collector{t: t}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var data tracepb.TracesData
		if err == nil {
			err = proto.Unmarshal(body, &data)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" || r.Header.Get("X-Tenant") != "a b" {
			t.Errorf("%s %v: %v", r.URL.Path, r.Header, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(body)
		for _, of := range data.ResourceSpans {
			if service := attributes(of.Resource.Attributes)["service.name"]; service != "farebox" {
				t.Errorf("service.name = %s", service)
			}
			for _, scope := range of.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(c.Server.Close)
	return c
}

func attributes(list []*commonpb.KeyValue) map[string]string {
	all := map[string]string{}
	for _, pair := range list {
		all[pair.Key] = fmt.Sprint(pair.Value.GetStringValue(), map[bool]string{true: fmt.Sprint(pair.Value.GetIntValue())}[pair.Value.GetStringValue() == ""])
	}
	return all
}

// of are the spans of one trace, by their names.
func (c *collector) of(traceID string) map[string]*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := map[string]*tracepb.Span{}
	for _, span := range c.spans {
		if fmt.Sprintf("%x", span.TraceId) == traceID {
			found[span.Name] = span
		}
	}
	return found
}

const (
	callersTrace = "0af7651916cd43dd8448eb211c80319c"
	callersSpan  = "b7ad6b7169203331"
)

func TestTheSpansOfARequestHangTogetherAndHoldNothingSecret(t *testing.T) {
	t.Parallel()
	c, h := newCollector(t), build(t)
	r := h.serve("OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_EXPORTER_OTLP_HEADERS=X-Tenant=a%20b", "OTEL_BSP_SCHEDULE_DELAY=50")
	session := h.session("subject-of-the-session", nil)
	header := http.Header{
		"Authorization": {"Bearer " + session}, "Traceparent": {"00-" + callersTrace + "-" + callersSpan + "-01"},
		"Baggage": {"canary=baggage-canary"}, "User-Agent": {"agent-canary"}, "Idempotency-Key": {"key-canary"}, "X-Request-Id": {"this-request"},
	}
	a := do(t, http.MethodPost, r.url+scribePath+"?query-canary", header, "")
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	const request, vendor = "POST /v1/single-use-token/:token_type", "POST /v1/single-use-token/realtime_scribe"
	var spans map[string]*tracepb.Span
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if spans = c.of(callersTrace); spans[request] != nil && spans[vendor] != nil && spans["EVALSHA"] != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("spans: %v", spans)
		}
	}
	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "traces.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range spans {
		if !strings.Contains(string(docs), "`"+name+"`") {
			t.Errorf("docs/traces.md does not know the span %s", name)
		}
	}
	if parent := fmt.Sprintf("%x", spans[request].ParentSpanId); parent != callersSpan {
		t.Errorf("the request's parent is %s", parent)
	}
	for name, want := range map[string]map[string]string{
		request:   {"http.request.method": "POST", "http.route": "/v1/single-use-token/:token_type", "http.response.status_code": "200"},
		vendor:    {"http.request.method": "POST", "url.full": h.sandbox + scribePath, "server.address": "127.0.0.1", "http.response.status_code": "200"},
		"EVALSHA": {"db.system.name": "redis", "db.operation.name": "EVALSHA"},
	} {
		if got := attributes(spans[name].Attributes); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		if parent := spans[name].ParentSpanId; name != request && string(parent) != string(spans[request].SpanId) {
			t.Errorf("%s is no child of the request", name)
		}
	}
	if at := r.printed(`"request_id":"this-request","method":"POST".*"trace_id":"([0-9a-f]+)"`); at != callersTrace {
		t.Errorf("the log says trace %s", at)
	}
	metrics := do(t, http.MethodGet, r.ops+"/metrics", http.Header{"Accept": {"application/openmetrics-text"}}, "").raw
	if !strings.Contains(metrics, `# {trace_id="`+callersTrace+`"}`) {
		t.Error("no histogram has the trace for an example")
	}
	calls := do(t, http.MethodGet, h.sandbox+"/_sandbox/calls", nil, "").raw
	for _, sent := range []string{callersTrace, "raceparent", "baggage"} {
		if strings.Contains(calls, sent) {
			t.Errorf("%s was sent to the vendor", sent)
		}
	}
	// What ends the process delivers the rest.
	do(t, http.MethodGet, r.url+"/nowhere/path-canary", nil, "")
	do(t, "CANARY", r.url+scribePath, nil, "")
	r.signal(15)
	if status := r.wait(); status != 0 {
		t.Errorf("status = %d", status)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !strings.Contains(c.raw.String(), "HTTP /v1/single-use-token/:token_type") {
		t.Error("the last span was not delivered")
	}
	for _, secret := range []string{"canary", "CANARY", session, "subject-of-the-session", testAPIKey, deploymentSecret, fmt.Sprint(a.body["token"])} {
		if strings.Contains(c.raw.String(), secret) {
			t.Errorf("spans hold %s", secret)
		}
	}
}

func TestACollectorThatIsAwayHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	d := startDev(t, "OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_BSP_SCHEDULE_DELAY=10")
	session := d.signIn("ada")
	d.printed(`(traces cannot be delivered)`)
	if a := mint(t, d.url, scribePath, session, ""); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.raw)
	}
	d.signal(15)
	if status := d.wait(); status != 0 || strings.Count(d.text(), "traces cannot") != 1 {
		t.Errorf("status %d: %s", status, d.text())
	}
}
