// Package regofile has one file of kest policy build and the requests that it
// is tried with: in a real Envoy and in the Go host it must decide them alike.
package regofile

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"kest.example/kest/policy/rego"
	"kest.example/kest/policy/rego/regowasm"
	"kest.example/kest/wasm"
)

// policies by their files. Each stands on a route of its name, /NAME/{id}.
var policies = map[string]string{
	"plain": `allow if { input.subject.workload == "spiffe://example.org/orders"; startswith(input.object.id, "order-") }`,
	"number": `# A built-in that fails denies, under not too.
allow if not over
over if to_number(input.object.id) > 5`,
	"divide": `allow if not over
over if 10 / (count(input.object.id) - 3) > 5`,
	"time": `allow if not late
late if time.parse_rfc3339_ns(input.object.id) > time.now_ns()`,
	"parsed":  `allow if count(json.unmarshal(input.object.id)) >= 0`,
	"memory":  `allow if count(concat("", [input.object.id | some _ in numbers.range(1, 20000)])) > 0`,
	"endless": `allow if count(numbers.range(1, to_number(input.object.id))) > 0`,
	"text":    `allow := "true"`,
	"nothing": `allow if input.absent`,
	"served": `allow if {
	sprintf("%s/%d", [input.object.id, count(input.subject.taints)]) == "order-7/0"
	regex.replace(input.object.id, "[0-9]+", "#") == "order-#"
	crypto.sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	object.subset(input.object, {"id": "order-7"})
	json.unmarshal(json.marshal({"b": {2, 1}})) == {"b": [1, 2]}
	time.now_ns() / 1000000 == input.environment.timestamp_ms
	base64.decode("b3JkZXI=") == split(input.object.id, "-")[0]
}`,
	"data": `allow if input.object.id in data.orders`,
}

const data = `{"orders": ["order-7", "order-8"]}`

// Build makes the file of all policies.
func Build(t testing.TB) []byte {
	t.Helper()
	base, err := wasm.Policy()
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for name, text := range policies {
		files["team/"+name+".rego"] = &fstest.MapFile{Data: []byte("package team." + name + "\n\n" + text + "\n")}
	}
	bundle, err := rego.LoadFS(files, "team")
	if err != nil {
		t.Fatal(err)
	}
	bundle.Data = []byte(data)
	file, err := regowasm.Build(context.Background(), bundle, base)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Configuration has a route for each policy, and one whose policy is Cedar's.
func Configuration(more ...string) string {
	names, routes := []string{}, []string{}
	for name := range policies {
		names = append(names, fmt.Sprintf("%q", "team/"+name))
		routes = append(routes, route(name, "team/"+name))
	}
	for _, name := range more {
		names = append(names, fmt.Sprintf("%q", name))
	}
	routes = append(routes, route("cedar", "cedar"))
	return `{"workload": "spiffe://example.org/orders", "identity": {"insecure_seed": "b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28"}, "authority": [],
	"policies": {"rego": {"names": [` + strings.Join(names, ",") + `]}, "cedar": {"cedar": "permit(principal, action, resource) unless { resource == Resource::\"secret\" };"}},
	"routes": [` + strings.Join(routes, ",") + `]}`
}

func route(path, policy string) string {
	return fmt.Sprintf(`{"match": {"path": "/%s/{id}"}, "operation": "%s", "policies": ["%s"], "root": {"origin": "user_input"}, "resource": {"id": "{id}"}}`,
		path, path, policy)
}

// requests in an order in which what denies stands before what must still work.
var requests = []struct {
	policy, id string
	status     int
}{
	{"plain", "order-7", 200},
	{"plain", "other", 403},
	{"number", "3", 200},
	{"number", "7", 403},
	{"number", "abc", 403},
	{"divide", "abcd", 403},
	{"divide", "abcdefgh", 200},
	{"divide", "abc", 403},
	{"time", "2001-01-01T00:00:00Z", 200},
	{"time", "2901-01-01T00:00:00Z", 403},
	{"time", "soon", 403},
	{"parsed", "[1,2]", 200},
	{"parsed", "[1,2", 403},
	{"parsed", strings.Repeat("[", 60) + strings.Repeat("]", 60), 200},
	{"parsed", strings.Repeat("[", 100) + strings.Repeat("]", 100), 403},
	{"parsed", strings.Repeat("[", 20000) + strings.Repeat("]", 20000), 403},
	{"plain", strings.Repeat("x", 100000), 403},
	{"memory", strings.Repeat("x", 100000), 403},
	{"memory", "x", 200},
	{"endless", "100", 200},
	{"endless", "1e15", 403},
	{"endless", "1e100", 403},
	{"endless", "1e99999", 403},
	{"text", "x", 403},
	{"nothing", "x", 403},
	{"served", "order-7", 200},
	{"served", "order-8", 403},
	{"data", "order-8", 200},
	{"data", "order-9", 403},
	{"cedar", "order-7", 200},
	{"cedar", "secret", 403},
	{"plain", "order-7", 200},
}

// Run sends all requests to a server.
func Run(t *testing.T, server string) {
	t.Helper()
	for range 2 {
		for _, r := range requests {
			response, err := http.Get(server + "/" + r.policy + "/" + url.PathEscape(r.id))
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != r.status {
				t.Errorf("%s %.40s: %d, want %d", r.policy, r.id, response.StatusCode, r.status)
			}
		}
	}
}
