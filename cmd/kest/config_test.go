package main

import (
	"strings"
	"testing"
)

const goodConfig = `
workload: spiffe://t/orders
identity: {insecure_seed: b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28}
authority: []
policies:
  cedar:
    any: permit(principal, action, resource);
routes:
  - match: {methods: [GET], path: "/orders/{id}"}
    operation: orders.read
    policies: [any]
    root: {origin: user_input}
`

const goodConfigJSON = `{"workload": "spiffe://t/orders", "identity": {"insecure_seed": "b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28"},
	"authority": [], "policies": {"cedar": {"any": "permit(principal, action, resource);"}},
	"routes": [{"match": {"path": "/orders/{id}"}, "operation": "orders.read", "policies": ["any"]}]}`

// checked is what config check --json prints.
type checked struct {
	Valid    bool     `json:"valid"`
	Path     string   `json:"path"`
	Error    string   `json:"error"`
	Warnings []string `json:"warnings"`
}

func TestConfigCheck(t *testing.T) {
	for name, text := range map[string]string{"filter.yaml": goodConfig, "filter.json": goodConfigJSON, "flow.yaml": strings.ReplaceAll(goodConfigJSON, `"workload"`, "workload")} {
		path := file(t, name, text)
		a := kestRun(t, "", "config", "check", path)
		a.want(t, exitGood, path+": good\n")
		if !strings.Contains(a.err, "warning: ") || !strings.Contains(a.err, "seed") {
			t.Errorf("%s: no warning of the seed: %q", name, a.err)
		}
		a = kestRun(t, "", "config", "check", "--json", path)
		a.want(t, exitGood)
		if r := decode[checked](t, a); !r.Valid || r.Path != "" || r.Error != "" || len(r.Warnings) == 0 || a.err != "" {
			t.Errorf("%s: %+v, %q", name, r, a.err)
		}
		kestRun(t, text, "config", "check", "-").want(t, exitGood, "-: good")
	}
}

func TestConfigCheckNamesTheMember(t *testing.T) {
	for path, change := range map[string][2]string{
		"routes[0].match.path":             {`"/orders/{id}"`, `"orders"`},
		"routes[0].policies[0]":            {"policies: [any]", "policies: [other]"},
		"routes[0].match.method":           {"methods: [GET]", "method: [GET]"},
		"identity.insecure_seed":           {"b29v", ""},
		"authority":                        {"authority: []", ""},
		"workload":                         {"workload: spiffe://t/orders", ""},
		"policies.cedar":                   {"permit(principal, action, resource)", "permit("},
		"lineage.limits.entries":           {"authority: []", "authority: []\nlineage: {limits: {entries: 0}}"},
		"surprise":                         {"authority: []", "authority: []\nsurprise: 1"},
		"authority[0].max_root_trust":      {"authority: []", `authority: [{principal: a, max_root_trust: "40"}]`},
		"kest.deviations[0].tier":          {"authority: []", "authority: []\nkest: {deviations: [{scope: a, policy: b}]}"},
		"policies.opa.names[0]":            {"  cedar:", "  opa: {cluster: opa, names: [any]}\n  cedar:"},
		"keys.static[0].jwk":               {"authority: []", "authority: []\nkeys: {static: [{principal: a, jwk: {kty: oct}}]}"},
		"propagation.claim_check.cluster":  {"authority: []", "authority: []\npropagation: {claim_check: {}}"},
		"edge.strip_incoming":              {"authority: []", "authority: []\nedge: {strip_incoming: 1}"},
		"default_route.policies[0]":        {"authority: []", "authority: []\ndefault_route: {operation: any, policies: [other]}"},
		"routes[0].trust_override":         {"policies: [any]", "policies: [any]\n    trust_override: 101"},
		"subjects[0].attributes":           {"authority: []", `authority: []` + "\n" + `subjects: [{user: "*", attributes: 1}]`},
		"identity":                         {"identity: {insecure_seed: b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28}", ""},
		"classification_taints.everything": {"authority: []", "authority: []\nclassification_taints: {everything: a}"},
	} {
		t.Run(path, func(t *testing.T) {
			text := strings.Replace(goodConfig, change[0], change[1], 1)
			if text == goodConfig {
				t.Fatalf("%q is not in the configuration", change[0])
			}
			a := kestRun(t, text, "config", "check", "--json", "-")
			a.want(t, exitNo)
			r := decode[checked](t, a)
			if r.Valid || r.Path != path || r.Error == "" {
				t.Errorf("%+v", r)
			}
			kestRun(t, text, "config", "check", "-").want(t, exitNo, "-: ", path)
		})
	}
}

// What contradicts itself within a route is named by the route, its member in the text.
func TestConfigCheckNamesTheRoute(t *testing.T) {
	for member, change := range map[string][2]string{
		"root.origin":    {"origin: user_input", "origin: heaven"},
		"source_type":    {"policies: [any]", "policies: [any]\n    source_type: heaven"},
		"classification": {"policies: [any]", "policies: [any]\n    classification: divine"},
		"trust_override": {"policies: [any]", "policies: [any]\n    classification: data\n    trust_override: 100"},
	} {
		a := kestRun(t, strings.Replace(goodConfig, change[0], change[1], 1), "config", "check", "--json", "-")
		a.want(t, exitNo)
		if r := decode[checked](t, a); !strings.HasPrefix(r.Path, "routes[0]") || !strings.Contains(r.Error, member) {
			t.Errorf("%s: %+v", member, r)
		}
	}
}

// lineage.wasm neither decides nor signs, so it needs no identity.
func TestConfigCheckForTheLineageGuest(t *testing.T) {
	text := "workload: spiffe://t/orders\nauthority: []\nroutes: [{match: {path: \"/{any}\"}, operation: any}]\n"
	kestRun(t, text, "config", "check", "--guest", "lineage", "-").want(t, exitGood, "-: good")
	kestRun(t, text, "config", "check", "-").want(t, exitNo)
	kestRun(t, text+"surprise: 1\n", "config", "check", "--guest", "lineage", "-").want(t, exitNo, "surprise")
}

func TestConfigCheckOfWhatCannotBeRead(t *testing.T) {
	kestRun(t, "", "config", "check", "no/such/file.yaml").refused(t, "no such file")
	for name, text := range map[string]string{
		"cut off": `{"workload": `, "bad YAML": "a: [b\nc: d\n", "repeated names": `{"workload": "a", "workload": "b"}`,
		"repeated names in YAML": "workload: a\nworkload: b\n", "two JSON values": "{}\n{}",
	} {
		t.Run(name, func(t *testing.T) {
			kestRun(t, text, "config", "check", "-").refused(t, "-: neither JSON nor YAML")
			kestRun(t, text, "config", "check", "--json", "-").refused(t, "-: neither JSON nor YAML")
		})
	}
	for name, text := range map[string]string{"an array": "[]", "a word": "orders", "nothing": "", "bytes": "\xff\xfe"} {
		if a := kestRun(t, text, "config", "check", "-"); a.code == exitGood {
			t.Errorf("%s is a good configuration: %+v", name, a)
		}
	}
}
