package regowasm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	oparego "github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/util"

	"kest.example/kest/internal/regobuiltin"
	"kest.example/kest/internal/regocall"
	"kest.example/kest/internal/regoinfo"
	"kest.example/kest/internal/regorun"
	"kest.example/kest/policy/rego"
)

// The built-ins that the loader lets through are those that are handled here.
func TestTheBuiltinsAreTheLoaders(t *testing.T) {
	have := slices.Sorted(maps.Keys(innerBuiltins))
	if want := slices.Sorted(slices.Values(rego.Compiled)); !slices.Equal(have, want) {
		t.Errorf("inside are %q, and the loader lets through %q", have, want)
	}
	have = slices.Sorted(slices.Values(regobuiltin.Names()))
	if want := slices.Sorted(slices.Values(rego.Served)); !slices.Equal(have, want) {
		t.Errorf("served are %q, and the loader lets through %q", have, want)
	}
}

// values are arguments of every type. {"set": […]} becomes a set.
var values = []string{
	`null`, `true`, `false`, `0`, `1`, `-1`, `2`, `3.5`, `-2.5`, `1e3`, `70`, `1e100`, `12345678901234567890`,
	`""`, `"a"`, `"abc"`, `"ab"`, `"x,y"`, `","`, `"10"`, `"0x1F"`, `"1e3"`, `"x"`, `"YWI="`, `"YW%"`, `"ä€😀"`, `" pad "`, `"^a(b)?"`, `"["`,
	`"{\"a\":1}"`, `"{"`, `"10.0.0.0/8"`, `"10.1.2.3"`, `"10.1.2.3/33"`, `"::1/64"`, `"*.b"`, `"a/b"`,
	`"-"`, `"1e"`, `"."`, `"1e999"`, `"-0"`, `"\\\\"`, `"("`, `"a\\\\"`, `"\u0000admin"`, `"a\u0000"`, `2147483648`, `-15.9`, `1767225600000`, `1e18`,
	`"::ffff:10.0.0.1"`, `"::ffff:a00:1/104"`, `"0:0:0:0:0:FFFF:0A00:0001"`, `"::fff:ffff"`, `"2001:db8:ffff::1"`, `"2001:db8:ffff::/48"`, `"::/0"`, `"10.1.2.0/24"`,
	`[""]`, `[[]]`, `["a/b", ""]`, `{"set":[""]}`, `["/", "/a", "//"]`,
	`[]`, `[1]`, `[3,1,2]`, `["a","b"]`, `[[1],[2]]`, `["a",1,null]`, `[{"a":1},{"b":2}]`, `[["a","x"]]`,
	`{}`, `{"a":1}`, `{"a":{"b":[1,2]},"c":"d"}`, `{"a":["b"],"b":["a"]}`,
	`{"set":[]}`, `{"set":[1,2]}`, `{"set":["b","a"]}`, `{"set":[true]}`, `{"set":[[1],[2]]}`,
}

var (
	loops = []string{"bits.lsh", "bits.rsh", "numbers.range"}
	large = []string{`1e3`, `1e100`, `12345678901234567890`, `2147483648`, `1767225600000`, `1e18`}
)

// call writes a call of a built-in on input.a, input.b, …
func call(b *ast.Builtin) string {
	n := len(b.Decl.FuncArgs().Args)
	args := make([]string, n)
	for i := range args {
		args[i] = "v(input." + string(rune('a'+i)) + ")"
	}
	switch b.Name {
	case "internal.member_2":
		return args[0] + " in " + args[1]
	case "internal.member_3":
		return "(" + args[0] + ", " + args[1] + " in " + args[2] + ")"
	case "internal.template_string":
		return `$"<{v(input.a)}>"`
	case "walk":
		return "[p | walk(v(input.a), p)]"
	}
	return b.Name + "(" + strings.Join(args, ", ") + ")"
}

// bench has one policy for each built-in inside, natively and compiled.
type bench struct {
	names  []string
	arity  []int
	run    *regorun.Module
	native []oparego.PreparedEvalQuery
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{}
	for _, name := range slices.Sorted(maps.Keys(innerBuiltins)) {
		if !ast.BuiltinMap[name].IsDeprecated() { // which Rego v1 refuses
			b.names = append(b.names, name)
		}
	}
	s := source{modules: make(map[string]*ast.Module), data: []byte("{}")}
	for i, name := range b.names {
		builtin := ast.BuiltinMap[name]
		text := fmt.Sprintf(`package b%d
v(x) := {e | some e in x.set} if { is_object(x); is_array(object.get(x, "set", null)) } else := x
allow := {"is": x} if { x := %s }`, i, call(builtin))
		path := fmt.Sprintf("%03d.rego", i)
		m, err := ast.ParseModuleWithOpts(path, text, ast.ParserOptions{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Fatal(err)
		}
		s.modules[path] = m
		s.paths = append(s.paths, path)
		s.policies = append(s.policies, regoinfo.Policy{Name: fmt.Sprintf("b%d", i), Entry: uint32(i)})
		b.arity = append(b.arity, len(builtin.Decl.FuncArgs().Args))
	}
	options := []func(*oparego.Rego){oparego.StrictBuiltinErrors(true), oparego.SetRegoVersion(ast.RegoV1)}
	for _, m := range s.modules {
		options = append(options, oparego.ParsedModule(m.Copy()))
	}
	for i := range b.names {
		q, err := oparego.New(append(options, oparego.Query(fmt.Sprintf("data.b%d.allow", i)))...).PrepareForEval(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b.native = append(b.native, q)
	}
	m, err := s.compile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if b.run, err = regorun.New(t.Context(), m.wasm, m.info, regocall.Call); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.run.Close(context.Background()) })
	return b
}

// answers evaluates a built-in on arguments, in both ways.
func (b *bench) answers(t *testing.T, i int, input string) (have, want string) {
	t.Helper()
	result, err := b.run.Evaluate(uint32(i), []byte(input), caseTime)
	if abort, ok := errors.AsType[*regoinfo.AbortError](err); ok {
		have = "error " + abort.Text
	} else if err != nil {
		t.Fatalf("%s %s: %v", b.names[i], input, err)
	} else {
		have = normal(string(result))
	}
	var in any
	if err := util.UnmarshalJSON([]byte(input), &in); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	set, err := b.native[i].Eval(ctx, oparego.EvalInput(in))
	switch {
	case err != nil:
		return have, "error " + err.Error()
	case len(set) == 0:
		return have, normal("[]")
	}
	text, err := json.Marshal([]any{map[string]any{"result": set[0].Expressions[0].Value}})
	if err != nil {
		t.Fatal(err)
	}
	return have, normal(string(text))
}

func failed(answer string) bool { return strings.HasPrefix(answer, "error ") }

// denied are the built-ins that compiled end an evaluation on arguments for
// which there is a value natively, and when. There are none the other way round.
var denied = map[string]string{
	"base64.decode":                    "bytes that are no UTF-8",
	"base64url.decode":                 "bytes that are no UTF-8",
	"bits.lsh":                         "a result beyond 64 bits",
	"format_int":                       "an integer beyond 64 bits",
	"glob.match":                       "a pattern that ends too early",
	"json.filter":                      "an empty path",
	"json.is_valid":                    "a number that no double holds",
	"json.remove":                      "an empty path",
	"json.unmarshal":                   "a number that no double holds",
	"net.cidr_contains":                "an IPv4 address in IPv6",
	"net.cidr_intersects":              "an IPv4 address in IPv6",
	"object.union_n":                   "an empty list",
	"regex.find_all_string_submatch_n": "U+0000 in a pattern",
	"regex.is_valid":                   "U+0000 in a pattern",
	"regex.match":                      "U+0000 in a pattern",
	"replace":                          `"" replaced`,
	"strings.replace_n":                `"" replaced`,
}

// agree compares answers: numbers need agree to 15 digits only, since OPA's
// runtime divides to 18 digits and natively to 20.
func agree(a, b string) bool {
	if a == b {
		return true
	}
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && near(x, y)
}

func near(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && math.Abs(a-b) <= 1e-15*math.Abs(a)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, near)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, near)
	}
	return a == b
}

// Every built-in inside, on arguments of every type: the same value, undefined
// alike, and what is an error natively ends the evaluation.
func TestBuiltinsAsNatively(t *testing.T) {
	b := newBench(t)
	random := rand.New(rand.NewPCG(1, 2))
	for i, name := range b.names {
		var denials, failures int
		tried := make(map[string]bool)
		for range 600 {
			input := b.arguments(i, random)
			if tried[input] {
				continue
			}
			tried[input] = true
			have, want := b.answers(t, i, input)
			switch {
			case failed(want):
				failures++
				if !failed(have) {
					t.Errorf("%s %s is an error natively, and compiled %s", name, input, have)
				}
			case failed(have):
				if denials++; denied[name] == "" {
					t.Errorf("%s %s is natively %s, and compiled %s", name, input, want, have)
				}
			case !agree(have, want):
				t.Errorf("%s %s\n\tcompiled %s\tnatively %s", name, input, have, want)
			}
		}
		if denials*10 > len(tried) {
			t.Errorf("%s ends %d of %d evaluations compiled alone", name, denials, len(tried))
		}
	}
}

func (b *bench) arguments(i int, random *rand.Rand) string {
	parts := make([]string, b.arity[i])
	for k := range parts {
		v := values[random.IntN(len(values))]
		if slices.Contains(loops, b.names[i]) && slices.Contains(large, v) {
			v = "3" // natively it would panic, or go on for ever
		}
		parts[k] = fmt.Sprintf("%q:%s", string(rune('a'+k)), v)
	}
	return "{" + strings.Join(parts, ",") + "}"
}
