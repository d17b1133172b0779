package plugin_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"kest.example/kest/internal/jws"
	"kest.example/kest/plugin"
	"kest.example/kest/policy/cedar"
)

func newCedar(policies map[string]string) (plugin.LocalEngine, error) {
	return cedar.New(policies, nil)
}

func seedText(c string) string { return jws.Encode([]byte(strings.Repeat(c, 32))) }

func newFilter(t *testing.T, configuration string) *plugin.Filter {
	t.Helper()
	f, err := plugin.New([]byte(configuration), plugin.Environment{
		Now: time.Now, Random: rand.Reader, Cedar: newCedar,
		Log: func(_ plugin.Level, m string) { t.Log(m) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const single = `{
	"workload": "spiffe://t/orders", "identity": {"insecure_seed": "SEED"}, "insecure_trust_all_claims": true,
	"policies": {"cedar": {"trusted": "permit(principal, action, resource) when { context.trust_score >= 10 && context.lineage.depth < 3 };"}},
	"routes": [{"match": {"methods": ["GET"], "path": "/orders/{id}"}, "operation": "orders.read", "policies": ["trusted"],
	"root": {"origin": "user_input"}, "resource": {"id": "{id}"}}]}`

func get(headers ...plugin.Header) *plugin.Request {
	return &plugin.Request{Headers: append([]plugin.Header{
		{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/orders/7?x=1"}, {Name: ":authority", Value: "Orders.example:8080"},
	}, headers...)}
}

func TestHopsUntilThePolicySaysNo(t *testing.T) {
	f := newFilter(t, strings.Replace(single, "SEED", seedText("o"), 1))
	var headers []plugin.Header
	for hop := range 3 {
		x, step := f.Begin(get(headers...))
		if step.Kind != plugin.Continue {
			t.Fatalf("hop %d: %+v", hop, step)
		}
		entry := x.Signed().Entry
		if entry.Operation != "orders.read" || entry.Labels["kest.resource_id"] != "7" || entry.TrustScore != 40 {
			t.Errorf("hop %d: entry %+v", hop, entry)
		}
		headers = nil
		for _, e := range step.Edits {
			headers = append(headers, plugin.Header(e))
		}
	}
	x, step := f.Begin(get(headers...))
	if step.Kind != plugin.Refuse || step.Response.Status != 403 || x.Signed() != nil {
		t.Fatalf("the fourth hop: %+v", step)
	}
	if body := string(step.Response.Body); !strings.Contains(body, `"decision_id":"0`) || strings.Contains(body, "trusted") {
		t.Errorf("body %s", body)
	}
}
