package regowasm

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"kest.example/kest/internal/regoinfo"
)

// Arguments of which OPA's runtime would make another value than there is
// natively, or read where there is nothing, end the evaluation: under not, that
// value would allow.
func TestRefusedArguments(t *testing.T) {
	refused := []struct{ call, input string }{
		{`to_number(input.a) > 5`, `{"a":"-"}`},
		{`to_number(input.a) > 5`, `{"a":"1e"}`},
		{`to_number(input.a) < 5`, `{"a":"1e999"}`},
		{`glob.match(input.a, [], input.b)`, `{"a":"\\","b":"a"}`},
		{`glob.match(input.a, [], input.b)`, `{"a":"a\\","b":"a"}`},
		{`glob.match(input.a, [], input.b)`, `{"a":"[a","b":"a"}`},
		{`net.cidr_contains("10.0.0.0/8", input.a)`, `{"a":"::ffff:10.0.0.1"}`},
		{`net.cidr_contains("10.0.0.0/8", input.a)`, `{"a":"::FFFF:a00:1"}`},
		{`net.cidr_contains("10.0.0.0/8", input.a)`, `{"a":"0:0:0:0:0:ffff:a00:1"}`},
		{`net.cidr_contains(input.a, "10.0.0.1")`, `{"a":"::ffff:10.0.0.0/104"}`},
		{`net.cidr_intersects("10.0.0.0/8", input.a)`, `{"a":"::ffff:a00:0/104"}`},
		{`regex.match(input.a, input.b)`, `{"a":"admin\u0000","b":"user"}`},
		{`regex.match(input.a, input.b)`, `{"a":"\u0000admin","b":"user"}`},
		{`json.filter({"a": 1}, [input.a, "a"]) != {}`, `{"a":""}`},
		{`json.remove({"a": 1}, {input.a}) != {}`, `{"a":""}`},
		{`json.remove({"a": 1}, [input.a]) != {}`, `{"a":[]}`},
	}
	taken := []struct{ call, input string }{
		{`to_number(input.a) > 5`, `{"a":"6"}`},
		{`glob.match(input.a, [], input.b)`, `{"a":"\\*a\\\\","b":"*a\\"}`},
		{`net.cidr_contains("2001:db8:ffff::/48", input.a)`, `{"a":"2001:db8:ffff::1"}`},
		{`net.cidr_contains("::/16", input.a)`, `{"a":"::fff:fff"}`},
		{`net.cidr_contains("10.0.0.0/8", input.a)`, `{"a":"10.0.0.1"}`},
		{`regex.match(input.a, input.b)`, `{"a":"^a","b":"a\u0000"}`},
		{`json.filter({"a": {"b": 1}}, [input.a, ["a", "b"]]) != {}`, `{"a":"a"}`},
		{`json.remove({"a": 1, "b": 2}, {input.a}) != {}`, `{"a":"/a"}`},
		{`format_int(input.a, 10) == "1767225600000"`, `{"a":1767225600000}`},
	}
	s := source{modules: make(map[string]*ast.Module), data: []byte("{}")}
	for i, c := range append(refused, taken...) {
		path := fmt.Sprintf("%03d.rego", i)
		m, err := ast.ParseModuleWithOpts(path, fmt.Sprintf("package p%d\nholds if %s\nallow := holds\nallow := \"not\" if not holds", i, c.call), ast.ParserOptions{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Fatal(err)
		}
		s.modules[path] = m
		s.paths = append(s.paths, path)
		s.policies = append(s.policies, regoinfo.Policy{Name: fmt.Sprintf("p%d", i), Entry: uint32(i)})
	}
	run := running(t, s)
	for i, c := range append(refused, taken...) {
		result, err := run.Evaluate(uint32(i), []byte(c.input), caseTime)
		if i >= len(refused) {
			if err != nil || string(result) != `[{"result":true}]` {
				t.Errorf("%s of %s: %s, %v", c.call, c.input, result, err)
			}
			continue
		}
		name, _, _ := strings.Cut(c.call, "(")
		if abort, ok := errors.AsType[*regoinfo.AbortError](err); !ok || !strings.Contains(abort.Text, name) {
			t.Errorf("%s of %s: %s, %v", c.call, c.input, result, err)
		}
	}
}
