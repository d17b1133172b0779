package plugin_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/plugin"
)

// document is a configuration that is good; each test changes one place in it.
const document = `{
	"kest": {"enterprise_policies": ["base"], "platform_policies": ["pci"], "app_policies": [], "shadow_policies": ["maybe"],
		"deviations": [{"scope": "orders.read", "policy": "pci", "tier": "platform", "reason": "r", "approver": "a", "expires": "2999-01-01T00:00:00Z"}]},
	"direction": "ingress", "workload": "spiffe://t/orders",
	"identity": {"insecure_seed": "b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28", "binding": "directory", "algorithm": "EdDSA"},
	"keys": {"static": [{"principal": "spiffe://t/gw", "jwk": {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}], "agent": false, "signers": []},
	"authority": [{"principal": "spiffe://t/gw", "origins": ["user_input"], "remove_taints": ["pii"], "max_override": 1, "max_root_trust": 40}],
	"lineage": {"strict_chain": false, "semantics": "enforce", "schema": "lenient", "peer": "enforce", "grace": "5m", "limits": {"entries": 32, "entry_bytes": 65536, "bytes": 1048576}},
	"propagation": {"max_bytes": 4096, "compress": true, "claim_check": {"cluster": "c", "ttl": "300s"}, "accept": "strict"},
	"edge": {"strip_incoming": false, "allow_hosts": ["*.example.org"]},
	"classification_taints": {"data": "contains_data"},
	"insecure_baggage_identity": false,
	"subjects": [{"user": "*@example.org", "attributes": {"clearance": "secret", "level": 3}}],
	"routes": [{"match": {"methods": ["GET"], "path": "/orders/{id}", "host": "*.example.org"}, "operation": "orders.read", "policies": ["read"],
		"shadow_policies": ["maybe"], "root": {"origin": "user_input"}, "source_type": "internal", "added_taints": ["in"], "removed_taints": [],
		"trust_override": null, "classification": "system", "resource": {"id": "{id}", "attributes": {"team": "checkout"}}}],
	"default_route": {"operation": "{method} {path}", "policies": ["read"]},
	"policies": {"cedar": {"base": "permit(principal, action, resource);", "pci": "permit(principal, action, resource);",
		"maybe": "permit(principal, action, resource);", "read": "permit(principal, action, resource);"}}
}`

// deleted is the value of a member that goes.
type deleted struct{}

// changed sets one place, such as routes.0.match.path, and returns the text.
func changed(t *testing.T, place string, value any) string {
	t.Helper()
	var root any
	if err := json.Unmarshal([]byte(document), &root); err != nil {
		t.Fatal(err)
	}
	if place == "" {
		root = value
	} else {
		put(t, root, strings.Split(place, "."), value)
	}
	text, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func put(t *testing.T, in any, path []string, value any) {
	t.Helper()
	last := len(path) == 1
	switch in := in.(type) {
	case map[string]any:
		name := path[0]
		switch _, gone := value.(deleted); {
		case last && gone:
			delete(in, name)
		case last:
			in[name] = value
		default:
			put(t, in[name], path[1:], value)
		}
	case []any:
		i := int(path[0][0] - '0')
		if last {
			in[i] = value
		} else {
			put(t, in[i], path[1:], value)
		}
	default:
		t.Fatalf("no place %v", path)
	}
}

func try(text string) (*plugin.Filter, error) {
	return plugin.New([]byte(text), plugin.Environment{Now: time.Now, Random: rand.Reader, Cedar: newCedar})
}

func TestTheDocumentIsGood(t *testing.T) {
	if _, err := try(document); err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{ // what has a default or may be left out
		"kest", "direction", "keys", "lineage", "propagation", "edge", "classification_taints", "insecure_baggage_identity", "subjects", "default_route",
		"kest.shadow_policies", "kest.deviations", "kest.deviations.0.expires", "kest.deviations.0.reason", "lineage.limits", "lineage.grace",
		"propagation.claim_check", "propagation.claim_check.ttl", "routes.0.operation", "routes.0.root", "routes.0.resource", "routes.0.match.host",
		"routes.0.match.methods", "routes.0.match", "routes.0.classification", "identity.binding",
	} {
		text := changed(t, place, deleted{})
		if place == "routes.0.operation" {
			text = strings.ReplaceAll(text, `"scope":"orders.read"`, `"scope":"GET /orders/7"`)
		}
		if place == "kest" || place == "routes.0.match" {
			text = strings.ReplaceAll(text, `"id":"{id}"`, `"id":"x"`)
		}
		if _, err := try(text); err != nil {
			t.Errorf("without %s: %v", place, err)
		}
	}
}

// Every error names the place, as a person would write it.
func TestConfigErrorsNameTheMember(t *testing.T) {
	list := func(items ...any) []any { return append([]any{}, items...) }
	object := func(pairs ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1]
		}
		return m
	}
	for _, c := range []struct {
		place string
		value any
		path  string // what the error names; "" is the document
	}{
		// unknown members, at every level
		{"nonsense", 1, "nonsense"},
		{"kest.nonsense", 1, "kest.nonsense"},
		{"kest.deviations.0.nonsense", 1, "kest.deviations[0].nonsense"},
		{"identity.nonsense", 1, "identity.nonsense"},
		{"keys.nonsense", 1, "keys.nonsense"},
		{"keys.static.0.nonsense", 1, "keys.static[0].nonsense"},
		{"authority.0.nonsense", 1, "authority[0].nonsense"},
		{"lineage.nonsense", 1, "lineage.nonsense"},
		{"lineage.limits.nonsense", 1, "lineage.limits.nonsense"},
		{"propagation.nonsense", 1, "propagation.nonsense"},
		{"propagation.claim_check.nonsense", 1, "propagation.claim_check.nonsense"},
		{"edge.nonsense", 1, "edge.nonsense"},
		{"classification_taints.nonsense", "x", "classification_taints.nonsense"},
		{"subjects.0.nonsense", 1, "subjects[0].nonsense"},
		{"routes.0.nonsense", 1, "routes[0].nonsense"},
		{"routes.0.match.nonsense", 1, "routes[0].match.nonsense"},
		{"routes.0.root.nonsense", 1, "routes[0].root.nonsense"},
		{"routes.0.resource.nonsense", 1, "routes[0].resource.nonsense"},
		{"default_route.nonsense", 1, "default_route.nonsense"},
		{"default_route.match", object("path", "/"), "default_route.match"},
		{"policies.nonsense", 1, "policies.nonsense"},
		{"Routes", list(), "Routes"},
		// wrong types
		{"", "text", ""},
		{"", list(), ""},
		{"kest", list(), "kest"},
		{"kest.enterprise_policies", "base", "kest.enterprise_policies"},
		{"kest.enterprise_policies", list(1), "kest.enterprise_policies"},
		{"kest.deviations", object(), "kest.deviations"},
		{"kest.deviations.0", "pci", "kest.deviations[0]"},
		{"kest.deviations.0.expires", 1, "kest.deviations[0].expires"},
		{"workload", 1, "workload"},
		{"identity", "seed", "identity"},
		{"keys.static", object(), "keys.static"},
		{"keys.static.0.jwk", "x", "keys.static[0].jwk"},
		{"authority", object(), "authority"},
		{"authority.0", "x", "authority[0]"},
		{"authority.0.origins", "user_input", "authority[0].origins"},
		{"authority.0.max_override", "1", "authority[0].max_override"},
		{"insecure_trust_all_claims", "true", "insecure_trust_all_claims"},
		{"insecure_baggage_identity", 1, "insecure_baggage_identity"},
		{"lineage.strict_chain", "no", "lineage.strict_chain"},
		{"lineage.limits", 1, "lineage.limits"},
		{"propagation.compress", "yes", "propagation.compress"},
		{"propagation.claim_check", "c", "propagation.claim_check"},
		{"edge.allow_hosts", "x", "edge.allow_hosts"},
		{"edge.strip_incoming", 1, "edge.strip_incoming"},
		{"classification_taints", "yes", "classification_taints"},
		{"subjects", object(), "subjects"},
		{"subjects.0.attributes", list(), "subjects[0].attributes"},
		{"routes", object(), "routes"},
		{"routes.0", "x", "routes[0]"},
		{"routes.0.match", "/orders", "routes[0].match"},
		{"routes.0.match.methods", "GET", "routes[0].match.methods"},
		{"routes.0.root", "user_input", "routes[0].root"},
		{"routes.0.trust_override", "100", "routes[0].trust_override"},
		{"routes.0.resource", "x", "routes[0].resource"},
		{"routes.0.resource.attributes", list(), "routes[0].resource.attributes"},
		{"default_route", list(), "default_route"},
		{"policies", list(), "policies"},
		{"policies.cedar", list(), "policies.cedar"},
		{"policies.cedar.base", 1, "policies.cedar.base"},
		// values that can't be
		{"workload", "", "workload"},
		{"workload", deleted{}, "workload"},
		{"direction", "sideways", "direction"},
		{"kest.deviations.0.tier", "function", "kest.deviations[0].tier"},
		{"kest.deviations.0.tier", deleted{}, "kest.deviations[0].tier"},
		{"kest.deviations.0.scope", deleted{}, "kest.deviations[0].scope"},
		{"kest.deviations.0.policy", "", "kest.deviations[0].policy"},
		{"kest.deviations.0.expires", "2027-02-30T00:00:00Z", "kest.deviations[0].expires"},
		{"kest.deviations.0.expires", "tomorrow", "kest.deviations[0].expires"},
		{"identity", deleted{}, "identity"},
		{"identity.insecure_seed", deleted{}, "identity"},
		{"identity.insecure_seed", "c2hvcnQ", "identity.insecure_seed"},
		{"identity.insecure_seed", "b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28=", "identity.insecure_seed"},
		{"identity.insecure_local", true, "identity"},
		{"identity.binding", "both", "identity.binding"},
		{"identity.algorithm", "RS256", "identity.algorithm"},
		{"keys.static.0.principal", "", "keys.static[0].principal"},
		{"keys.static.0.jwk", deleted{}, "keys.static[0].jwk"},
		{"keys.static.0.jwk.d", "AA", "keys.static[0].jwk"},
		{"authority", deleted{}, "authority"},
		{"insecure_trust_all_claims", true, "authority"},
		{"authority.0.principal", deleted{}, "authority[0].principal"},
		{"authority.0.origins", list("mars"), "authority[0].origins"},
		{"authority.0.max_override", 101, "authority[0].max_override"},
		{"authority.0.max_root_trust", -1, "authority[0].max_root_trust"},
		{"authority.0.max_root_trust", 1.5, "authority[0].max_root_trust"},
		{"lineage.semantics", "loose", "lineage.semantics"},
		{"lineage.schema", "", "lineage.schema"},
		{"lineage.peer", "off", "lineage.peer"},
		{"lineage.grace", "5", "lineage.grace"},
		{"lineage.grace", "-5m", "lineage.grace"},
		{"lineage.limits.entries", 0, "lineage.limits.entries"},
		{"lineage.limits.bytes", 1.5, "lineage.limits.bytes"},
		{"propagation.max_bytes", 1, "propagation.max_bytes"},
		{"propagation.accept", "anything", "propagation.accept"},
		{"propagation.claim_check.cluster", "", "propagation.claim_check.cluster"},
		{"propagation.claim_check.ttl", "soon", "propagation.claim_check.ttl"},
		{"propagation.claim_check.ttl", "10ms", "propagation.claim_check.ttl"},
		{"classification_taints.data", "", "classification_taints.data"},
		{"subjects.0.agent", "bot", "subjects[0]"},
		{"subjects.0.user", deleted{}, "subjects[0]"},
		{"subjects.0.attributes.level", 1.5, "subjects[0].attributes.level"},
		{"routes.0.match.methods", list("get"), "routes[0].match.methods"},
		{"routes.0.match.path", "orders", "routes[0].match.path"},
		{"routes.0.match.path", "/a/../b", "routes[0].match.path"},
		{"routes.0.match.path", "/a//b", "routes[0].match.path"},
		{"routes.0.match.path", "/a%2fb", "routes[0].match.path"},
		{"routes.0.match.path", "/a?b=c", "routes[0].match.path"},
		{"routes.0.match.path", "/{}/x", "routes[0].match.path"},
		{"routes.0.match.path", "/{id}/{id}", "routes[0].match.path"},
		{"routes.0.operation", "orders.{other}", "routes[0].operation"},
		{"routes.0.resource.id", "{other}", "routes[0].resource.id"},
		{"routes.0.resource.attributes.price", 1.5, "routes[0].resource.attributes.price"},
		{"routes.0.resource.attributes.deep", object("list", list(1, 2.5)), "routes[0].resource.attributes.deep.list[1]"},
		{"routes.0.root", object(), "routes[0].root.origin"},
		{"routes.0.trust_override", 101, "routes[0].trust_override"},
		{"routes.0.policies", list("read", "nowhere"), "routes[0].policies[1]"},
		{"routes.0.shadow_policies", list("nowhere"), "routes[0].shadow_policies[0]"},
		{"default_route.policies", list("nowhere"), "default_route.policies[0]"},
		{"kest.platform_policies", list("pci", "nowhere"), "kest.platform_policies[1]"},
		{"kest.shadow_policies", list("nowhere"), "kest.shadow_policies[0]"},
		{"kest.app_policies", list("nowhere"), "kest.app_policies[0]"},
		{"policies.cedar.base", "", "policies.cedar.base"},
		{"policies.cedar.base", "permit(", "policies.cedar"},
		{"policies.cedar.base", "// nothing", "policies.cedar"},
		{"policies.cedar.no name", "permit(principal, action, resource);", "policies.cedar.no name"},
		{"policies.rego", object("names", list("a")), "policies.rego"}, // in a build without Rego
		{"policies.rego", object(), "policies.rego.names"},
		{"policies.rego", object("names", list("a b")), "policies.rego.names[0]"},
		{"policies.rego", list("a"), "policies.rego"},
		{"policies.opa", object("cluster", "opa"), "policies.opa.names"},
		{"policies.opa", object("cluster", "opa", "names", list()), "policies.opa.names"},
		{"policies.opa", object("names", list("a")), "policies.opa.cluster"},
		{"policies.opa", object("cluster", "opa", "names", list("a"), "prefix", "v1"), "policies.opa.prefix"},
		{"policies.opa", object("cluster", "opa", "names", list("read")), "policies.opa.names[0]"},
		{"policies.opa", object("cluster", "opa", "names", list("a", "a")), "policies.opa.names[1]"},
		{"policies.opa", object("cluster", "opa", "names", list("a"), "timeout", "0s"), "policies.opa.timeout"},
		{"policies.opa", object("cluster", "opa", "names", list("a"), "timeout", "1h"), "policies.opa.timeout"},
		{"policies.opa", list(object("cluster", "opa", "names", list("a")), object("cluster", "opa", "names", list("b", "a"))), "policies.opa[1].names[1]"},
		{"policies.cedar_agent", object("cluster", "cedar"), "policies.cedar_agent.names"},
		{"policies.cedar_agent", object("cluster", "cedar", "names", list("a"), "path_prefix", "x"), "policies.cedar_agent.path_prefix"},
		{"policies.cedar_agent", object("cluster", "cedar", "names", list("a"), "wire", "kest-0.4"), "policies.cedar_agent.wire"},
		{"kest.deviations.0.scope", "orders.write", "kest.deviations"},
		{"kest.deviations.0.expires", "soon", "kest.deviations[0].expires"},
		// what is not built yet is refused, not ignored
		{"telemetry", object("service_name", "x"), "telemetry"},
		// what contradicts itself
		{"direction", "sideways", "direction"},
		{"direction", "egress", "direction"}, // in a host without shared data
		{"user", true, "user"},
		{"user", object("jwt", object("claims", object("user", ""))), "user.jwt.claims.user"},
		{"user", object("jwt", object("header", "x")), "user.jwt.header"},
		{"keys.agent", true, "keys.agent"},
		{"keys.signers", list(object()), "keys.signers[0].principals"},
		{"keys.signers", list(object("principals", list("a"))), "keys.signers[0]"},
		{"keys.signers", list(object("principals", list("a"), "jwk", object(), "jwks", "https://example.org/keys")), "keys.signers[0]"},
		{"identity.algorithm", "ES256", "identity.algorithm"},
		{"identity.algorithm", "RS256", "identity.algorithm"},
		{"identity.binding", "inline", "identity.binding"},
		{"identity.agent", object("cluster", "kest_agent"), "identity"},
		{"identity", object("agent", object()), "identity.agent.cluster"},
		{"identity", object("agent", object("cluster", "a", "token", "a b")), "identity.agent.token"},
		{"identity", object("agent", object("cluster", "a", "key", "b")), "identity.agent.key"},
	} {
		_, err := try(changed(t, c.place, c.value))
		var config *plugin.ConfigError
		if !errors.As(err, &config) || !errors.Is(err, kest.ErrConfiguration) {
			t.Errorf("%s = %v: error %v", c.place, c.value, err)
			continue
		}
		if config.Path != c.path || config.Detail == "" || c.path != "" && !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s = %v: the error names %q: %v", c.place, c.value, config.Path, err)
		}
	}
}

// Errors that no single member makes.
func TestConfigErrorsOfSeveralMembers(t *testing.T) {
	cases := map[string]func(m map[string]any){
		"kest.deviations[0].policy": func(m map[string]any) { put(t, m, []string{"kest", "deviations", "0", "policy"}, "base") }, // of an unlisted policy
		"kest.deviations": func(m map[string]any) {
			put(t, m, []string{"kest", "deviations", "0", "scope"}, "nowhere")
			delete(m, "default_route")
		},
		"routes[0].policies": func(m map[string]any) {
			put(t, m, []string{"routes", "0", "policies"}, []any{})
			put(t, m, []string{"kest", "enterprise_policies"}, []any{})
			put(t, m, []string{"kest", "platform_policies"}, []any{})
			put(t, m, []string{"kest", "deviations"}, []any{})
		},
		"default_route.policies": func(m map[string]any) {
			put(t, m, []string{"default_route", "policies"}, []any{})
			put(t, m, []string{"kest", "enterprise_policies"}, []any{})
			put(t, m, []string{"kest", "platform_policies"}, []any{})
			put(t, m, []string{"kest", "deviations"}, []any{})
		},
		"routes":                   func(m map[string]any) { m["routes"] = []any{}; delete(m, "default_route"); delete(m, "kest") },
		"routes[0].classification": func(m map[string]any) { put(t, m, []string{"routes", "0", "trust_override"}, 5) }, // beside a classification
	}
	for path, change := range cases {
		var root map[string]any
		if err := json.Unmarshal([]byte(document), &root); err != nil {
			t.Fatal(err)
		}
		change(root)
		text, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		_, err = try(string(text))
		var config *plugin.ConfigError
		if !errors.As(err, &config) || config.Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
	for name, text := range map[string]string{
		"no JSON": "x", "nothing": "", "repeated members": `{"workload":"a","workload":"b"}`, "two documents": document + document,
		"YAML": "workload: x", "cut off": document[:len(document)-1],
	} {
		var config *plugin.ConfigError
		if _, err := try(text); !errors.As(err, &config) || config.Path != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := plugin.New([]byte(document), plugin.Environment{Now: time.Now, Random: rand.Reader}); err == nil || !strings.Contains(err.Error(), "policies.cedar") {
		t.Errorf("a build without Cedar: %v", err)
	}
}

// The digest covers the configuration and every policy, and not the way it is written.
func TestDigest(t *testing.T) {
	digest := func(text string, policies map[string]string) string {
		t.Helper()
		c, err := plugin.ParseConfig([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c.Digest(policies)
	}
	base := digest(document, map[string]string{"a": "1", "b": "2"})
	if len(base) != 64 {
		t.Errorf("digest %q", base)
	}
	if digest(changed(t, "workload", "spiffe://t/orders"), map[string]string{"b": "2", "a": "1"}) != base {
		t.Error("white space and order count")
	}
	for name, other := range map[string]string{
		"configuration":   digest(changed(t, "workload", "spiffe://t/other"), map[string]string{"a": "1", "b": "2"}),
		"a policy":        digest(document, map[string]string{"a": "1", "b": "3"}),
		"one policy more": digest(document, map[string]string{"a": "1", "b": "2", "c": ""}),
		"swapped":         digest(document, map[string]string{"a": "2", "b": "1"}),
	} {
		if other == base {
			t.Errorf("%s does not count", name)
		}
	}
}

func TestParseAuthority(t *testing.T) {
	a, err := plugin.ParseAuthority([]byte(`[{"principal":"spiffe://t/*","origins":["llm"],"remove_taints":["p*"],"max_override":5,"max_root_trust":6},{"principal":"x"}]`))
	if err != nil || len(a) != 2 || a[0].MaxOverride != 5 || a[0].MaxRootTrust != 6 || a[0].RemoveTaints[0] != "p*" || a[1].Origins != nil {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := plugin.ParseAuthority([]byte("[]")); a == nil || err != nil {
		t.Errorf("an empty list is %v, %v; it grants nothing, which nil would not say", a, err)
	}
	for text, path := range map[string]string{
		"{}": "authority", "x": "authority", "null": "authority", `[{"origins":[]}]`: "authority[0].principal", `[{"principal":"a","max":1}]`: "authority[0].max",
		`[{"principal":"a"},{"principal":"b","origins":["mars"]}]`: "authority[1].origins",
	} {
		var config *plugin.ConfigError
		if a, err := plugin.ParseAuthority([]byte(text)); a != nil || !errors.As(err, &config) || config.Path != path {
			t.Errorf("%s: %v, %v", text, a, err)
		}
	}
}

// What warns, warns: each insecure choice says its name at the start.
func TestWarnings(t *testing.T) {
	warnings := func(text string, verifyOnly bool) string {
		var out strings.Builder
		_, err := plugin.New([]byte(text), plugin.Environment{Now: time.Now, Random: rand.Reader, Cedar: newCedar, VerifyOnly: verifyOnly, Log: func(l plugin.Level, m string) {
			if l >= plugin.LevelWarn {
				out.WriteString(m + "\n")
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	local := strings.Replace(document, `"insecure_seed": "b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28"`, `"insecure_local": true`, 1)
	claims := strings.Replace(document, `"authority": [`, `"insecure_trust_all_claims": true, "authority": null, "subjects": [`, 1)
	claims = strings.Replace(claims, `"subjects": [{"principal": "spiffe://t/gw", "origins": ["user_input"], "remove_taints": ["pii"], "max_override": 1, "max_root_trust": 40}],`, "", 1)
	for name, c := range map[string]struct {
		text       string
		verifyOnly bool
		want       string
	}{
		"seed":     {document, false, "insecure_seed"},
		"local":    {local, false, "insecure_local"},
		"claims":   {claims, false, "insecure_trust_all_claims"},
		"baggage":  {changed(t, "insecure_baggage_identity", true), false, "insecure_baggage_identity"},
		"policies": {document, true, "verifies only"},
		"no trust": {changed(t, "authority.0.max_root_trust", deleted{}), false, "authority[0]"},
	} {
		if got := warnings(c.text, c.verifyOnly); !strings.Contains(got, c.want) {
			t.Errorf("%s: warned %q", name, got)
		}
	}
	if got := warnings(document, false); strings.Contains(got, "oooo") || strings.Contains(got, "b29v") {
		t.Errorf("the seed is in the log: %s", got)
	}
}

// FuzzConfig: no text makes the reader panic; what it takes means the same in
// canonical form.
func FuzzConfig(f *testing.F) {
	paths, err := filepath.Glob("../test/cases/*.json")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no cases: %v", err)
	}
	seen := make(map[string]bool)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		var c struct {
			Configuration json.RawMessage `json:"configuration"`
		}
		if err := json.Unmarshal(text, &c); err != nil {
			f.Fatal(err)
		}
		if s := string(c.Configuration); !seen[s] {
			seen[s] = true
			f.Add([]byte(c.Configuration))
		}
	}
	f.Add([]byte(document))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := plugin.ParseConfig(text)
		if err != nil {
			var config *plugin.ConfigError
			if c != nil || !errors.As(err, &config) {
				t.Fatalf("%v, %v", c, err)
			}
			return
		}
		canonical, err := kest.Canonicalize(text)
		if err != nil {
			t.Fatalf("what is no JSON was read: %v", err)
		}
		again, err := plugin.ParseConfig(canonical)
		if err != nil || again.Digest(nil) != c.Digest(nil) {
			t.Fatalf("in canonical form: %v", err)
		}
		for _, r := range c.Routes {
			if r.Hop.Operation == "" || r.Hop.SourceType == "" || r.Hop.Classification == "" {
				t.Fatalf("a route that isn't finished: %+v", r)
			}
		}
	})
}
