package rego_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"kest.example/kest/kesttest"
)

// What a built-in can't do denies also where its absence would allow: under not,
// in a comprehension, in a function, in an else that stands behind it.
func TestEveryErrorDenies(t *testing.T) {
	failing := []string{
		"1 / 0", "1 % 0", "1 / (input.trust_score - input.trust_score)", `to_number("x")`, "to_number(input.environment.operation)",
		`time.parse_rfc3339_ns("soon")`, `time.parse_duration_ns("1 year")`, `json.unmarshal("{")`, `regex.match("[", "x")`,
		`regex.replace("x", "(", "y")`, `base64.decode("*")`, `hex.decode("x")`, `urlquery.decode("%zz")`, `semver.compare("1", "2")`,
		`net.cidr_contains("x", "y")`, `json.patch({}, [{"op": "remove", "path": "/a"}])`, `numbers.range(0.5, 3)`,
		"input.subject.taints + 1", "count(input.trust_score)", `upper(input.trust_score)`, `startswith(input.trust_score, "4")`, "substring(\"abc\", -1, 1)",
	}
	places := []string{
		"allow if not bad\nbad if %",
		"allow if not is_null(bad)\nbad := %",
		"allow if not bad(1)\nbad(_) := %",
		"allow if count([x | x := %]) == 0",
		"allow if count({x | some y in [1]; x := %; y == 1}) == 0",
		"allow if { every x in [1] { not f(x) } }\nf(_) := %",
		"allow := false if is_null(%)\nelse := true",
		"default allow := true\nallow := false if is_null(%)",
		"allow if { not false; not bad with input.object as {} }\nbad if %",
	}
	c := kesttest.Context(t, "op", "pii")
	for _, expression := range failing {
		for _, place := range places {
			e := engine(t, map[string]string{"p.rego": "package p\n" + strings.ReplaceAll(place, "%", "("+expression+")")})
			if d, err := e.Evaluate(context.Background(), "p", c); d.Allow || err == nil || d.Revision == "" {
				t.Errorf("%s in %q: %+v, %v", expression, place, d, err)
			}
		}
	}
}

// Rules and functions that contradict each other deny.
func TestConflictsDeny(t *testing.T) {
	for _, rules := range []string{
		"allow := true\nallow := false if input.trust_score == 40",
		"allow if not over\nover := 1 if input.trust_score == 40\nover := 2 if input.trust_score > 1",
		"allow if not f(40)\nf(x) := 1 if x == 40\nf(x) := 2 if x > 1",
		"allow if not m.a\nm[k] := v if some k, v in {\"a\": false}\nm[k] := 1 if k := input.subject.taints[0]",
	} {
		e := engine(t, map[string]string{"p.rego": "package p\n" + rules})
		if d, err := e.Evaluate(context.Background(), "p", kesttest.Context(t, "op", "a")); d.Allow || err == nil {
			t.Errorf("%q: %+v, %v", rules, d, err)
		}
	}
}

// A caller that is gone gets no allow.
func TestContextThatIsOver(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": "package p\nallow := true"})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if d, err := e.Evaluate(ctx, "p", kesttest.Context(t, "op")); d.Allow || !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", d, err)
	}
}
