package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kest.example/kest"
)

const evalConfig = `
workload: spiffe://t/orders
identity: {insecure_seed: b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28}
insecure_trust_all_claims: true
kest:
  enterprise_policies: [baseline]
  deviations: [{scope: refund, policy: baseline, tier: enterprise, reason: known, expires: 2026-06-01T00:00:00Z}]
policies:
  cedar:
    baseline: |
      // at least a little trust
      permit(principal, action, resource)
        when { context.trust_score >= 10 };
  rego: {names: [team/refunds]}
  opa: {cluster: opa, names: [pci]}
routes:
  - match: {path: "/refunds"}
    operation: refund
    policies: [team/refunds]
  - match: {path: "/cards"}
    operation: cards.read
    policies: [pci]
  - match: {path: "/simple"}
    operation: simple
    policies: []
    root: {origin: user_input}
`

const refunds = "package team.refunds\n\ndefault allow := false\n\nallow if {\n\tnot \"pci\" in input.subject.taints\n\tinput.subject.user == \"ana\"\n}\n\nallow if input.trust_score == 100\n"

// world writes files below a folder.
func world(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func evalWorld(t *testing.T) (dir string, eval func(stdin string, args ...string) answer) {
	dir = world(t, map[string]string{"filter.yaml": evalConfig, "rego/refunds.rego": refunds})
	return dir, func(stdin string, args ...string) answer {
		return kestRun(t, stdin, append([]string{"policy", "eval", "--config", filepath.Join(dir, "filter.yaml"), "--rego", filepath.Join(dir, "rego")}, args...)...)
	}
}

func TestPolicyEval(t *testing.T) {
	_, eval := evalWorld(t)
	a := eval(`{"trust_score": 40, "subject": {"user": "ana"}}`, "--operation", "refund", "--json", "-")
	a.want(t, exitGood)
	r := decode[evaluated](t, a)
	if !r.Allow || len(r.DecisionID) != 36 || len(r.Policies) != 2 {
		t.Fatalf("%+v", r)
	}
	if p := r.Policies[0]; p.Name != "baseline" || p.Tier != "enterprise" || p.Engine != "cedar" || !p.Allow || len(p.Digest) != 64 {
		t.Errorf("%+v", p)
	}
	if p := r.Policies[1]; p.Name != "team/refunds" || p.Tier != "function" || p.Engine != "rego" || !p.Allow || len(p.Digest) != 64 {
		t.Errorf("%+v", p)
	}
	a = eval(`{"trust_score": 5, "subject": {"user": "ana"}}`, "--operation", "refund", "--json", "-")
	a.want(t, exitNo)
	if r := decode[evaluated](t, a); r.Allow || len(r.Policies) != 1 || r.Policies[0].Allow || r.Policies[0].Reason == "" {
		t.Errorf("%+v", r)
	}
	// A deviation counts at the time that is asked about.
	a = eval(`{"trust_score": 5, "subject": {"user": "ana"}}`, "--operation", "refund", "--now", "2026-05-01T00:00:00Z", "-")
	a.want(t, exitGood, "allow", "team/refunds")
	if strings.Contains(a.out, "baseline") {
		t.Errorf("a policy that was deviated from is asked: %s", a.out)
	}
	eval(`{"subject": {"user": "bob"}, "trust_score": 40}`, "--operation", "refund", "-").want(t, exitNo, "deny", "team/refunds: allow is false")
}

func TestPolicyEvalMisuse(t *testing.T) {
	dir, eval := evalWorld(t)
	const good = `{"trust_score": 40}`
	eval(good, "--operation", "nothing", "-").refused(t, "no route has the operation")
	eval(`{"trust": 40}`, "--operation", "refund", "-").refused(t, "trust")
	eval(`{"trust_score": 40, "trust_score": 41}`, "--operation", "refund", "-").refused(t, "")
	eval(good, "--operation", "refund", filepath.Join(dir, "missing.json")).refused(t, "missing.json")
	kestRun(t, good, "policy", "eval", "--config", filepath.Join(dir, "filter.yaml"), "--operation", "refund", "-").refused(t, "--rego")
	other := world(t, map[string]string{"p.rego": "package other\nallow := true"})
	kestRun(t, good, "policy", "eval", "--config", filepath.Join(dir, "filter.yaml"), "--rego", other, "--operation", "refund", "-").refused(t, "team/refunds")
}

func TestPolicyEvalLines(t *testing.T) {
	_, eval := evalWorld(t)
	a := eval("{\"trust_score\": 40, \"identity\": \"a\"}\n\n{\"trust_score\": 5}\n", "--operation", "simple", "--jsonl", "-")
	a.want(t, exitGood)
	lines := strings.Split(strings.TrimSpace(a.out), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"allow":true`) || !strings.Contains(lines[1], `"allow":false`) {
		t.Errorf("%q", lines)
	}
	eval("{\"trust_score\": 40}\n{\n", "--operation", "simple", "--jsonl", "-").refused(t, ":2:")
}

func TestPolicyEvalRemote(t *testing.T) {
	_, eval := evalWorld(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var question struct{ Input map[string]any }
		allow := r.URL.Path == "/v1/data/pci" && json.NewDecoder(r.Body).Decode(&question) == nil && question.Input["identity"] == "spiffe://t/orders"
		_ = json.NewEncoder(w).Encode(map[string]any{"result": allow})
	}))
	defer server.Close()
	const about = `{"trust_score": 40, "identity": "spiffe://t/orders"}`
	eval(about, "--operation", "cards.read", "--target", "opa="+server.URL, "-").want(t, exitGood, "opa", "allow")
	eval(about, "--operation", "cards.read", "-").want(t, exitNo, "--target")
	server.Close()
	eval(about, "--operation", "cards.read", "--target", "opa="+server.URL, "-").want(t, exitNo, "deny")
}

// A recorded passport is verified, and decided on as its next hop would be.
func TestPolicyEvalPassport(t *testing.T) {
	dir, eval := evalWorld(t)
	config := strings.Replace(evalConfig, "insecure_trust_all_claims: true", `authority: [{principal: "spiffe://t/edge", origins: [user_input], max_root_trust: 40}]
keys:
  static:
    - {principal: "spiffe://t/edge", jwk: `+identity(t, edge).Key.JWK()+`}
    - {principal: "spiffe://t/agent", jwk: `+identity(t, agent).Key.JWK()+`}`, 1)
	config = strings.Replace(config, "context.trust_score >= 10", `context.lineage.depth == 2 && context.taints.contains("llm")`, 1)
	if err := os.WriteFile(filepath.Join(dir, "filter.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	two := passport(t)
	eval(two.String(), "--operation", "simple", "-").want(t, exitGood, "allow", "baseline")
	eval(kest.NewPassport(two.Entries()[0]).String(), "--operation", "simple", "-").want(t, exitNo, "deny")
	eval("[]", "--operation", "simple", "-").want(t, exitNo, "deny")
	eval("[]", "--operation", "refund", "-").refused(t, "root")
	eval(forged(t).String(), "--operation", "simple", "-").refused(t, "signature")
	eval(`["x"]`, "--operation", "simple", "-").refused(t, "malformed")
}

func TestPolicyCheck(t *testing.T) {
	dir := world(t, map[string]string{
		"good.yaml": evalConfig, "rego/refunds.rego": refunds, "rego/refunds_test.rego": "package x\n x",
		"cedar/team.cedar": "permit(principal, action, resource);", "values.json": `{"a": 1}`,
		"envoy.yaml":             "static_resources: {listeners: [{configuration: 'workload: x, policies: y'}]}\n",
		"rego/refunds.test.yaml": "policy: team/refunds\nrego: .\ncases:\n  - name: a\n    allow: false\n",
	})
	a := kestRun(t, "", "policy", "check", dir)
	a.want(t, exitGood, "good: 4 files")
	bad := world(t, map[string]string{
		"bad.yaml":         strings.Replace(evalConfig, "context.trust_score", "context.trust", 1),
		"worse.yaml":       strings.Replace(evalConfig, "[pci]}", "[pci, baseline]}", 1),
		"rego/p.rego":      "package p\n\nallow if input.trust > 3\n",
		"cedar/team.cedar": "permit(principal, action, resource)\nwhen { context.user == \"ana\" };",
		"t.test.yaml":      "policy: p\nrego: rego\ncases: []\n",
	})
	a = kestRun(t, "", "policy", "check", bad)
	a.want(t, exitNo, filepath.Join(bad, "bad.yaml")+":13: ", filepath.Join(bad, "worse.yaml")+":15: ", "rego/p.rego:3: ", "team.cedar:2: ", "t.test.yaml:3: ")
	if n := strings.Count(a.out, "\n"); n != 5 {
		t.Errorf("%d faults:\n%s", n, a.out)
	}
	list := decode[[]checkedFault](t, kestRun(t, "", "policy", "check", "--json", filepath.Join(bad, "rego", "p.rego")))
	if len(list) != 1 || list[0].Line != 3 || list[0].Text == "" {
		t.Errorf("%+v", list)
	}
	kestRun(t, "", "policy", "check", filepath.Join(dir, "missing")).refused(t, "missing")
	linked := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, linked); err != nil {
		t.Fatal(err)
	}
	kestRun(t, "", "policy", "check", linked).want(t, exitGood, "good: 4 files")
	kestRun(t, "", "policy", "check", t.TempDir()).refused(t, "no policy")
}

// What can't be read hides no fault of what can.
func TestPolicyCheckUnreadable(t *testing.T) {
	dir := world(t, map[string]string{
		"twice.yaml": "workload: a\npolicies: {}\nworkload: b\n", "broken.json": "{\"workload\": 1,\n \"policies\": [}",
		"p.rego": "package p\n\nallow if input.trust > 3\n", "q.cedar": "permit(principal, action, resource) when { context.trust > 3 };",
	})
	for _, name := range []string{".#p.rego", "r.cedar", "gone.yaml"} {
		if err := os.Symlink("nowhere", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	a := kestRun(t, "", "policy", "check", dir)
	a.want(t, exitNo, "twice.yaml:3: ", "broken.json:2: ", "/p.rego:3: ", "q.cedar:1: ", ".#p.rego:1: ", "r.cedar:1: ", "gone.yaml:1: ")
	if n := strings.Count(a.out, "\n"); n != 7 {
		t.Errorf("%d faults:\n%s", n, a.out)
	}
	a = kestRun(t, "", "policy", "build", "--rego", dir, "-o", filepath.Join(t.TempDir(), "x.wasm"))
	if !strings.Contains(a.err, filepath.Join(dir, ".#p.rego")+":1: ") {
		t.Error(a.err)
	}
}

const refundsTable = `policy: team/refunds
rego: rego
cedar: refunds.cedar
base: {subject: {user: ana}, trust_score: 40}
cases:
  - name: ana may
    allow: true
  - name: nobody else
    context: {subject: {user: bob}}
    allow: false
`

func TestPolicyTest(t *testing.T) {
	files := map[string]string{
		"refunds.test.yaml": refundsTable, "rego/refunds.rego": refunds,
		"refunds.cedar": "permit(principal, action, resource)\nwhen { context has user && context.user == \"ana\" };\nforbid(principal, action, resource)\nwhen { context.taints.contains(\"pci\") };",
	}
	dir := world(t, files)
	a := kestRun(t, "", "policy", "test", dir)
	a.want(t, exitGood, "cedar: 2 of 2 rows hold; 1 of 2 rules reached", "refunds.cedar:3", "rego: 2 of 2 rows hold; 1 of 2 rules reached", "refunds.rego:10")
	files["refunds.test.yaml"] = refundsTable + "  - name: pci\n    context: {subject: {taints: [pci]}, trust_score: 100}\n    allow: false\n"
	dir = world(t, files)
	a = kestRun(t, "", "policy", "test", dir)
	a.want(t, exitNo, "refunds.test.yaml:11: pci: is allow, want deny (rego: allow is true)", "cedar: 3 of 3 rows hold; 2 of 2 rules reached", "rego: 2 of 3 rows hold")
	list := decode[[]tested](t, kestRun(t, "", "policy", "test", "--json", dir))
	if len(list) != 2 || len(list[0].Failed) != 0 || len(list[1].Failed) != 1 || list[1].Failed[0].Line != 11 || list[1].Failed[0].Want || !list[1].Failed[0].Have {
		t.Errorf("%+v", list)
	}
	kestRun(t, "", "policy", "test", world(t, map[string]string{"t.test.yaml": "policy: p\n"})).want(t, exitNo)
	kestRun(t, "", "policy", "test", world(t, map[string]string{"t.test.yaml": "policy: p\nrego: gone\ncases:\n  - name: a\n    allow: true\n"})).want(t, exitNo)
	dir = world(t, map[string]string{"t.test.yaml": "policy: p\nrego: .\ncases:\n  - name: a\n    allow: true\n", "p.rego": "package p\nallow if http.send({})\nallow if opa.runtime()"})
	if a := kestRun(t, "", "policy", "test", dir); a.code != exitNo || !strings.Contains(a.err, "/p.rego:2: ") || !strings.Contains(a.err, "\n"+dir) {
		t.Errorf("%+v", a)
	}
	kestRun(t, "", "policy", "test", world(t, map[string]string{"p.rego": refunds})).refused(t, "no decision table")
}

func TestPolicyBuild(t *testing.T) {
	dir := world(t, map[string]string{"rego/refunds.rego": refunds, "data.json": `{"limit": 3}`, "filter.yaml": evalConfig})
	out := filepath.Join(dir, "mine.wasm")
	a := kestRun(t, "", "policy", "build", "--rego", filepath.Join(dir, "rego"), "--data", filepath.Join(dir, "data.json"), "-o", out)
	a.want(t, exitGood, "team/refunds ")
	first, err := os.ReadFile(out)
	if err != nil || len(strings.Fields(a.out)) != 2 || len(strings.Fields(a.out)[1]) != 64 {
		t.Fatalf("%v, %q", err, a.out)
	}
	kestRun(t, "", "policy", "build", "--rego", filepath.Join(dir, "rego"), "--data", filepath.Join(dir, "data.json"), "-o", out).want(t, exitGood)
	if second, err := os.ReadFile(out); err != nil || string(first) != string(second) {
		t.Errorf("a second build gives other bytes, %v", err)
	}
	eval := func(about string) answer {
		return kestRun(t, about, "policy", "eval", "--config", filepath.Join(dir, "filter.yaml"), "--wasm", out, "--operation", "refund", "--json", "-")
	}
	eval(`{"trust_score": 40, "subject": {"user": "ana"}}`).want(t, exitGood, strings.Fields(a.out)[1])
	eval(`{"trust_score": 40, "subject": {"user": "bob"}}`).want(t, exitNo)
	kestRun(t, "", "policy", "eval", "--config", filepath.Join(dir, "filter.yaml"), "--wasm", filepath.Join(dir, "data.json"), "--operation", "refund", "-").refused(t, "data.json")
	kestRun(t, "", "config", "check", "--wasm", out, filepath.Join(dir, "filter.yaml")).want(t, exitGood)
	other := strings.Replace(evalConfig, "names: [team/refunds]", "names: [team/refunds, team/gone]", 1)
	kestRun(t, other, "config", "check", "--wasm", out, "-").want(t, exitNo, "policies.rego.names[1]")
	kestRun(t, other, "config", "check", "-").want(t, exitGood)
	table := world(t, map[string]string{"t.test.yaml": "policy: team/refunds\nwasm: mine.wasm\ncases:\n  - name: ana\n    context: {subject: {user: ana}}\n    allow: true\n", "mine.wasm": string(first)})
	kestRun(t, "", "policy", "test", table).want(t, exitGood, "wasm: 1 of 1 rows hold")
}

func TestPolicyBuildRefuses(t *testing.T) {
	dir := world(t, map[string]string{"bad/p.rego": "package p\n\nallow if http.send({})\n", "lib/p.rego": "package p\nhelper := 1\n"})
	for folder, said := range map[string]string{"bad": "bad/p.rego:3: ", "lib": "lib:1: "} {
		out := filepath.Join(dir, "out.wasm")
		a := kestRun(t, "", "policy", "build", "--rego", filepath.Join(dir, folder), "-o", out)
		if a.code != exitNo || a.out != "" || !strings.Contains(a.err, said) {
			t.Errorf("%s: %+v", folder, a)
		}
		if _, err := os.Lstat(out); !os.IsNotExist(err) {
			t.Errorf("%s leaves a file: %v", folder, err)
		}
	}
	kestRun(t, "", "policy", "build", "--rego", filepath.Join(dir, "gone"), "-o", "x").refused(t, "gone")
}

func TestPolicyInit(t *testing.T) {
	for _, model := range []string{"bell_lapadula", "biba", "brewer_nash", "clark_wilson", "goguen_meseguer", "financial", "security", "healthcare"} {
		for _, language := range []string{"rego", "cedar"} {
			dir := filepath.Join(t.TempDir(), "policies")
			kestRun(t, "", "policy", "init", "--model", model, "--language", language, dir).want(t, exitGood, model+"."+language)
			kestRun(t, "", "policy", "test", dir).want(t, exitGood, language+": ", " rows hold")
			kestRun(t, "", "policy", "check", dir).want(t, exitGood, "good: ")
			kestRun(t, "", "policy", "init", "--model", model, "--language", language, dir).refused(t, "written over")
		}
	}
	kestRun(t, "", "policy", "init", "--model", "nothing", t.TempDir()).refused(t, "nothing")
}
