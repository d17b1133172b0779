package regowasm

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"kest.example/kest/internal/regocall"
	"kest.example/kest/internal/regoinfo"
	"kest.example/kest/internal/regorun"
)

// running compiles policies and runs them.
func running(t *testing.T, s source) *regorun.Module {
	t.Helper()
	module, err := s.compile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run, err := regorun.New(t.Context(), module.wasm, module.info, regocall.Call)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run.Close(context.Background()) })
	return run
}

// Whatever an input is, an evaluation ends in a result or an abort, never in a
// trap, and the next one is served.
func TestInputsOfAnyKind(t *testing.T) {
	const text = "package p\nallow if { count(input) >= 0; not f with input.a.b as 1; walk(input, [_, v]); v == input }\nf if input.a.b == 2"
	m, err := ast.ParseModuleWithOpts("p.rego", text, ast.ParserOptions{RegoVersion: ast.RegoV1})
	if err != nil {
		t.Fatal(err)
	}
	s := source{modules: map[string]*ast.Module{"p.rego": m}, paths: []string{"p.rego"}, policies: []regoinfo.Policy{{Name: "p"}}, data: []byte("{}")}
	run := running(t, s)
	nested := func(n int) string { return strings.Repeat(`{"a":[`, n) + strings.Repeat(`]}`, n) }
	for name, c := range map[string]struct {
		input string
		allow bool
	}{
		"an object":       {`{"a": {"b": 1}}`, true},
		"60 levels":       {nested(30), true},
		"1000 levels":     {nested(500), false},
		"100000 levels":   {nested(50000), false},
		"nothing":         {"", false},
		"no JSON":         {"{", false},
		"null":            {"null", false},
		"a number":        {"1", false},
		"an array":        {"[1]", false},
		"a long number":   {`{"a":` + strings.Repeat("1", 2000) + "}", false},
		"a large number":  {`{"a":1e100000}`, false},
		"5 MiB":           {`{"a":"` + strings.Repeat("x", 5<<20) + `"}`, false},
		"many members":    {`{` + strings.Repeat(`"a":1,`, 300000) + `"b":1}`, false},
		"a cut string":    {`{"a":"x`, false},
		"a wrong escape":  {`{"a":"\ud800"}`, false},
		"no UTF-8":        {"{\"a\":\"\xff\"}", false},
		"a control":       {"{\"a\":\"\x01\"}", false},
		"a set, as text":  {`{"a": {1, 2}}`, true},
		"an empty object": {`{}`, true},
	} {
		result, err := run.Evaluate(0, []byte(c.input), caseTime)
		_, aborted := errors.AsType[*regoinfo.AbortError](err)
		if err != nil && !aborted {
			t.Errorf("%s: %v", name, err)
		}
		if allow, _ := regoinfo.Verdict(result); allow != c.allow || allow == aborted {
			t.Errorf("%s: %s, %v", name, result, err)
		}
		if result, err := run.Evaluate(0, []byte(`{"a": {"b": 1}}`), caseTime); err != nil || string(result) != `[{"result":true}]` {
			t.Errorf("after %s: %s, %v", name, result, err)
		}
	}
}
