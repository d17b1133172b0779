package main

import "testing"

// vector is the object whose canonical SHA-256 CONTRACT 1 gives.
const vector = `{"schema_version": "0.3.0", "trust_score": 50, "taints": [], "runtime": {"version": "0.3.0", "name": "kest-python"},
	"removed_taints": [], "added_taints": ["taint_a", "taint_b"], "classification": "user_input", "operation": "test_op",
	"entry_id": "019d6e05-7ead-7000-952a-cdbb3e7f0c5f", "labels": {"num": 42, "foo": "bar"},
	"parent_ids": ["0", "a8940770792ae81b5a2f629d9edf2d6adcb9a1b489371453459fda3fa1e36c7a"],
	"policy_context": {"platform_policies": [], "app_policies": ["app_pol1"], "enterprise_policies": [],
		"function_policies": ["func_pol1", "func_pol2"],
		"deviations": [{"tier": "enterprise", "reason": "emergency", "policy": "strict_mode", "approver": "eterna2"}]}}`

func TestCanonical(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"TC-10":       {`{"z":3,"a":1,"m":2}`, `{"a":1,"m":2,"z":3}`},
		"white space": {" [ 1.0 , {\"b\" : [] }\n]\n", `[1,{"b":[]}]`},
		"one string":  {`"\u00e9\u0001"`, "\"é\\u0001\""},
		"a number":    {"1e3", "1000"},
	} {
		for _, args := range [][]string{{"canonical"}, {"canonical", "-"}, {"canonical", file(t, "in.json", c.in)}} {
			if a := kestRun(t, c.in, args...); a != (answer{exitGood, c.want, ""}) {
				t.Errorf("%s, %v: %+v", name, args, a)
			}
		}
	}
}

func TestCanonicalHash(t *testing.T) {
	a := kestRun(t, vector, "canonical", "--sha256")
	if a != (answer{exitGood, "939a97e9ea233522cd47c4aa938648d983462dc91a34f82ea1ac00ca00d2c879\n", ""}) {
		t.Errorf("%+v", a)
	}
}

func TestCanonicalRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing": "", "repeated names": `{"a":1,"a":2}`, "cut off": `{"a":`, "two values": "1 2", "NaN": "NaN",
		"bad UTF-8": "\"\xff\"", "a lone surrogate": `"\ud800"`, "YAML": "a: b", "a BOM": "\ufeff{}",
	} {
		t.Run(name, func(t *testing.T) {
			kestRun(t, in, "canonical").refused(t, "-: ")
			kestRun(t, in, "canonical", "--sha256").refused(t, "-: ")
		})
	}
}
