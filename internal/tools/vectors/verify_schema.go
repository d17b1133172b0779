package main

import (
	"bytes"
	"encoding/json"
	"strings"
)

// passportVectors: the wire form.
func passportVectors(c *collector) {
	good := threeHops()
	c.good("passport-empty", nil, 100, nil)
	c.good("passport-three-hops", good, 40, nil)
	wire := passport(good...)
	for name, text := range map[string]string{
		"no-text": "", "null": "null", "object": `{"entries":[]}`, "string": string(canonical(wire)), "number": "1",
		"of-numbers": "[1]", "of-nulls": "[null]", "nested": "[" + wire + "]", "of-objects": `[{"jws":"x"}]`,
		"cut-off": wire[:len(wire)-1], "trailing-bytes": wire + "x", "two": wire + wire, "trailing-comma": wire[:len(wire)-1] + ",]",
		"byte-order-mark": "\ufeff" + wire, "lone-surrogate": `["\ud800"]`, "single-quotes": "['x']",
		"control-character": "[\"a\nb\"]", "bare-entry": good[0], "nan": "[NaN]",
	} {
		c.broken("passport-"+name, text)
	}
}

// rootWith is a good root with one member changed.
func rootWith(name string, value any) []string {
	e := plainRoot()
	switch head, tail, deeper := strings.Cut(name, "."); {
	case !deeper:
		e.set(name, value)
	case head == "labels":
		e.label(tail, value)
	default:
		e.policy(tail, value)
	}
	return one(e.sign())
}

// memberVectors: every member that must be there, and the types of all.
func memberVectors(c *collector) {
	for _, name := range []string{
		"schema_version", "entry_id", "operation", "trust_score", "parent_ids", "taints", "added_taints", "removed_taints",
		"labels", "labels.principal", "policy_context", "policy_context.deviations",
	} {
		c.bad("member-"+name+"-missing", "schema", 0, rootWith(name, absent{}))
		c.bad("member-"+name+"-null", "schema", 0, rootWith(name, nil))
	}
	wrong := map[string][]any{
		"schema_version": {1}, "entry_id": {1}, "operation": {1}, "classification": {1, nil}, "trust_score": {"5", true, []int{5}},
		"parent_ids": {"0", object{}, []int{0}}, "taints": {"a", object{}, []any{1}}, "added_taints": {"a", []any{nil}},
		"removed_taints": {"a", []any{true}}, "labels": {[]string{}, "x"}, "labels.principal": {1, ""},
		"policy_context": {[]string{}, "x"}, "policy_context.deviations": {object{}, "x"},
		"policy_context.enterprise_policies": {"x", []any{1}}, "policy_context.platform_policies": {object{}, []any{nil}},
		"policy_context.app_policies": {"x", []any{true}}, "policy_context.function_policies": {1, []any{[]any{}}},
		"runtime": {"kest-go", []any{}}, "environment": {[]any{}, "x"}, "otel_context": {[]any{}, "x"},
		"content_hash": {1, nil}, "input_hash": {[]any{}, nil}, "timestamp_ms": {"now", nil, true},
		"labels.anything": {[]any{}, object{}}, "labels.trace_id": {1, nil},
	}
	for name, values := range wrong {
		for i, v := range values {
			c.bad("member-"+name+"-wrong-type-"+string(rune('a'+i)), "schema", 0, rootWith(name, v))
		}
	}
	c.bad("member-name-in-other-case", "schema", 0,
		one(plainRoot().set("trust_score", absent{}).set("Trust_Score", 40).sign()), note("names match with case"))
}

// formatVectors: values of the right type that are out of range.
func formatVectors(c *collector) {
	id := plainRoot().members["entry_id"].(string)
	hex64 := strings.Repeat("ab", 32)
	deviation := func(name string, value any) []any {
		return []any{change(object{"policy": "pci", "tier": "platform", "reason": "r", "approver": nil}, name, value)}
	}
	for name, values := range map[string]map[string]any{
		"schema_version": {"0.2.0": "0.2.0", "0.4.0": "0.4.0", "short": "0.3", "empty": "", "suffix": "0.3.0-rc1"},
		"entry_id": {
			"v4": "f47ac10b-58cc-4372-a567-0e02b2c3d479", "v1": "c232ab00-9414-11ec-b3c8-9f6bdeced846",
			"upper-case": strings.ToUpper("0" + id[1:13] + "-7abc-8abc-abcdefabcdef"),
			"variant":    id[:19] + "c" + id[20:], "variant-ncs": id[:19] + "0" + id[20:],
			"no-dashes": strings.ReplaceAll(id, "-", ""), "braces": "{" + id + "}", "urn": "urn:uuid:" + id,
			"short": id[:35], "empty": "", "white-space": id + " ",
		},
		"operation": {"empty": ""},
		"trust_score": {
			"above": 101, "below": -1, "fraction": 1.5, "huge": json.Number("1e30"), "beyond-2-53": json.Number("9007199254740993"),
		},
		"taints":          {"empty-label": []string{""}},
		"added_taints":    {"empty-label": []string{""}},
		"removed_taints":  {"empty-label": []string{""}},
		"classification":  {"upper-case": "System", "empty": ""},
		"content_hash":    {"short": hex64[:62], "upper-case": strings.ToUpper(hex64), "base64": strings.Repeat("/", 64)},
		"input_hash":      {"short": hex64[:62], "upper-case": strings.ToUpper(hex64), "not-hex": strings.Repeat("g", 64)},
		"timestamp_ms":    {"fraction": 1.5, "negative": -1},
		"labels.trace_id": {"short": hex64[:31], "long": hex64[:33], "not-hex": strings.Repeat("x", 32), "empty": ""},
		"policy_context.deviations": {
			"of-strings": []any{"pci"}, "tier-function": deviation("tier", "function"), "tier-unknown": deviation("tier", "team"),
			"tier-missing": deviation("tier", absent{}), "policy-missing": deviation("policy", absent{}),
			"policy-empty": deviation("policy", ""), "policy-number": deviation("policy", 1),
			"reason-number": deviation("reason", 1), "approver-object": deviation("approver", object{}),
		},
	} {
		for what, v := range values {
			c.bad("value-"+name+"-"+what, "schema", 0, rootWith(name, v))
		}
	}
	c.good("value-deviation", rootWith("policy_context.deviations", deviation("tier", "application")), 40, nil)
	c.good("value-trust-zero", rootWith("trust_score", 0), 0, nil)
	c.good("value-hashes", one(plainRoot().set("content_hash", hex64).set("input_hash", hex64).sign()), 40, nil)
	c.good("value-metadata-any", rootWith("metadata", []any{object{"a": nil}, 1.5, "x"}), 40, nil)
}

// lenientVectors: what other implementations may write, and schema: strict refuses.
func lenientVectors(c *collector) {
	both := func(name string, compact string, taints []string) {
		c.good("lenient-"+name, one(compact), 40, taints)
		c.bad("strict-"+name, "schema", 0, one(compact), strict)
	}
	c.good("strict-as-produced", threeHops(), 40, nil, strict)
	for _, name := range append(optionalMembers,
		"policy_context.enterprise_policies", "policy_context.platform_policies", "policy_context.app_policies", "policy_context.function_policies",
	) {
		both(name+"-absent", rootWith(name, absent{})[0], nil)
	}
	both("all-optional-absent", (&maker{}).small(gateway, 40).sign(), nil)
	deviation := []any{object{"policy": "pci", "tier": "platform"}}
	both("deviation-without-reason", rootWith("policy_context.deviations", deviation)[0], nil)
	both("unknown-member", rootWith("extension", object{"a": 1})[0], nil)
	both("unknown-member-of-policy-context", rootWith("policy_context.extension", true)[0], nil)
	both("unknown-member-of-runtime", rootWith("runtime", object{"name": "x", "version": "1", "os": "linux"})[0], nil)
	both("label-number", rootWith("labels.num", 42)[0], nil)
	both("label-boolean", rootWith("labels.flag", true)[0], nil)
	both("label-null", rootWith("labels.nothing", nil)[0], nil)
	unsorted := func(list ...string) string { return plainRoot().taint(list, list, nil).sign() }
	both("taints-unsorted", unsorted("b", "a"), []string{"a", "b"})
	both("taints-repeated", unsorted("a", "a"), []string{"a"})
	both("environment-of-numbers", rootWith("environment", object{"cores": 2})[0], nil)

	var pretty bytes.Buffer
	if err := json.Indent(&pretty, plainRoot().payload(), "", " "); err != nil {
		panic(err)
	}
	both("white-space", signText(gateway, gateway.header(), pretty.String()), nil)
	payload := string(plainRoot().payload())
	other := `{"trust_score":40,` + strings.Replace(payload[1:], `,"trust_score":40`, "", 1)
	both("other-order", signText(gateway, gateway.header(), other), nil)
	both("escaped", signText(gateway, gateway.header(), strings.Replace(payload, `"ask"`, `"\u0061sk"`, 1)), nil)
	both("number-form", signText(gateway, gateway.header(), strings.Replace(payload, `"trust_score":40`, `"trust_score":4e1`, 1)), nil)
	both("kid-is-the-workload", signText(gateway, gateway.headerWith("kid", gateway.id), payload), nil)
	both("kid-absent", signText(gateway, gateway.headerWith("kid", absent{}), payload), nil)
	c.good("strict-trace-id-absent", rootWith("labels.trace_id", absent{}), 40, nil, strict, note("in process there may be no trace"))
	c.bad("strict-trace-id-in-upper-case", "schema", 0, rootWith("labels.trace_id", strings.Repeat("AB", 16)), strict)
	c.good("strict-label-of-text", rootWith("labels.oidc.iss", "https://issuer.example"), 40, nil, strict)
	c.bad("strict-classification-unknown", "schema", 0, rootWith("classification", "user_input"), strict)
	c.good("lenient-classification-unknown", rootWith("classification", "user_input"), 40, nil)
}
