//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"kest.example/kest/internal/envoytest"
	"kest.example/kest/policy/library"
	"kest.example/kest/policy/rego"
	"kest.example/kest/policy/rego/regowasm"
	"kest.example/kest/wasm"
)

const (
	smallRego  = "allow if { input.trust_score >= 10; not forbidden }\nforbidden if { some t in input.subject.taints; t in {\"pii\", \"phi\"} }\n"
	smallCedar = `permit(principal, action, resource) when { context.trust_score >= 10 && !(context.subject.taints.containsAny(["pii", "phi"])) };`
	many       = 20
)

// decisions is a filter with routes that ask one policy and 1 + many, in each
// language.
type decisions struct {
	files         fstest.MapFS
	names         []string
	cedar         map[string]string
	routes        []any
	configuration string
}

func (d *decisions) add(path, inCedar, inRego string) {
	for _, n := range []int{1, 1 + many} {
		var ofCedar, ofRego []string
		for i := range n {
			ofCedar, ofRego = append(ofCedar, fmt.Sprintf("cedar_%s%d_%d", path, n, i)), append(ofRego, fmt.Sprintf("rego/%s%d_%d", path, n, i))
			d.cedar[ofCedar[i]] = inCedar
			pkg := strings.ReplaceAll(ofRego[i], "/", ".")
			d.files[strings.ReplaceAll(ofRego[i], "/", "_")+".rego"] = &fstest.MapFile{Data: []byte("package " + pkg + "\n\n" + inRego)}
		}
		d.names = append(d.names, ofRego...)
		for language, policies := range map[string][]string{"cedar": ofCedar, "rego": ofRego} {
			d.routes = append(d.routes, object{
				"match": object{"path": fmt.Sprintf("/%s-%s-%d", path, language, n)}, "operation": path, "policies": policies,
				"root": object{"origin": "user_input"}, "resource": object{"id": "order-7", "attributes": object{"level": "unclassified", "access": "read", "categories": []string{}}},
			})
		}
	}
}

// withoutPackage is a module behind its package clause.
func withoutPackage(text string) string {
	_, rest, _ := strings.Cut(text, "\npackage ")
	_, rest, _ = strings.Cut(rest, "\n")
	return rest
}

func regoDecisions(b *testing.B) *decisions {
	b.Helper()
	d := &decisions{files: fstest.MapFS{}, cedar: map[string]string{}}
	d.add("empty", "permit(principal, action, resource);", "allow := true\n")
	d.add("small", smallCedar, smallRego)
	m, known := library.Find("bell_lapadula")
	if !known {
		b.Fatal("no such model")
	}
	d.add("model", m.Cedar, withoutPackage("\n"+m.Rego))
	text, err := json.Marshal(object{
		"workload": "spiffe://example.org/orders", "identity": object{"insecure_seed": "b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28"},
		"authority": []any{}, "subjects": []any{object{"workload": "**", "attributes": object{"clearance": "secret", "categories": []string{}}}}, "policies": object{"cedar": d.cedar, "rego": object{"names": d.names}}, "routes": d.routes,
	})
	if err != nil {
		b.Fatal(err)
	}
	d.configuration = string(text)
	return d
}

func (d *decisions) build(b *testing.B) []byte {
	b.Helper()
	base, err := wasm.Policy()
	if err != nil {
		b.Fatal(err)
	}
	bundle, err := rego.LoadFS(d.files, ".")
	if err != nil {
		b.Fatal(err)
	}
	file, err := regowasm.Build(b.Context(), bundle, base)
	if err != nil {
		b.Fatal(err)
	}
	return file
}

// BenchmarkRegoInEnvoy is what one decision more costs a request in Envoy, by
// the CPU that all its threads take, in Cedar and in Rego side by side. What the
// empty policies cost is mostly that an entry names one more.
func BenchmarkRegoInEnvoy(b *testing.B) {
	d := regoDecisions(b)
	r := startBench(b, regoFilter(b, d.build(b), d.configuration))
	defer r.Stop()
	client := &http.Client{}
	took := make(map[string][]time.Duration)
	paths := []string{"empty-cedar-", "empty-rego-", "small-cedar-", "small-rego-", "model-cedar-", "model-rego-"}
	for b.Loop() {
		for _, path := range paths {
			for _, n := range []int{1, 1 + many} {
				name := fmt.Sprintf("%s%d", path, n)
				took[name] = append(took[name], r.cpu(b, client, "/"+name, 200))
			}
		}
	}
	for _, path := range paths {
		one, more := took[path+"1"], took[fmt.Sprintf("%s%d", path, 1+many)]
		slices.Sort(one)
		slices.Sort(more)
		cost := (more[len(more)/2] - one[len(one)/2]) / many
		b.ReportMetric(float64(cost.Nanoseconds())/1000, path+"us/decision")
	}
}

// startBench runs Envoy with a filter before an upstream that says nothing.
func startBench(b *testing.B, filter any) running {
	b.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	b.Cleanup(upstream.Close)
	ports, err := envoytest.FreePorts(2)
	if err != nil {
		b.Fatal(err)
	}
	y := newYAML(ports[0])
	y.cluster("upstream", upstream.Listener.Addr().String())
	y.listener(ports[1], filter, "upstream")
	e, err := envoytest.Start(y.String(), fmt.Sprintf("127.0.0.1:%d", ports[0]), 1)
	if err != nil {
		b.Fatal(err)
	}
	return running{Envoy: e, url: fmt.Sprintf("http://127.0.0.1:%d", ports[1])}
}

// cpu sends requests and returns what one took of Envoy's CPU.
func (r running) cpu(b *testing.B, client *http.Client, path string, n int) time.Duration {
	b.Helper()
	before, err := r.CPU()
	if err != nil {
		b.Fatal(err)
	}
	for range n {
		response, err := client.Get(r.url + path)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			b.Fatalf("%s: %d", path, response.StatusCode)
		}
	}
	after, err := r.CPU()
	if err != nil {
		b.Fatal(err)
	}
	return (after - before) / time.Duration(n)
}
