package rego_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	oparego "github.com/open-policy-agent/opa/v1/rego"

	"kest.example/kest/kesttest"
	"kest.example/kest/policy/rego"
	"kest.example/kest/policy/rego/regowasm"
)

// What OPA's evaluator could leave out, by its index or once it has a value, is
// asked all the same where it can fail: as the compiled form does.
func TestNoErrorIsHidden(t *testing.T) {
	const fails = "to_number(input.environment.operation) == 1"
	c := kesttest.Context(t, "op", "a", "b")
	for rules, want := range map[string]struct{ allow, failed bool }{
		"allow if not bad\nbad if startswith(input.trust_score, \"4\")":                                              {false, true},
		"allow if not bad\nbad if endswith(input.trust_score, \"4\")":                                                {false, true},
		"allow if not bad\nbad if glob.match(\"a*\", [], input.trust_score)":                                         {false, true},
		"allow if not bad\nbad if strings.any_prefix_match(input.trust_score, \"4\")":                                {false, true},
		"allow if not bad\nbad if strings.any_suffix_match(input.trust_score, [\"4\"])":                              {false, true},
		"default allow := true\nallow := false if startswith(input.object.id, \"x\")":                                {false, true},
		"allow if not bad\nbad if {\n" + fails + "\ninput.environment.classification == \"x\"\n}":                    {false, true},
		"allow if not bad\nbad if {\n" + fails + "\ninput.environment.is_root\n}":                                    {false, true},
		"allow if not bad\nbad if {\n" + fails + "\ninput.environment.classification in {\"x\", \"y\"}\n}":           {false, true},
		"allow if not bad\nbad if {\n" + fails + "\nstartswith(input.environment.classification, \"x\")\n}":          {false, true},
		"allow if not bad\nbad if {\n" + fails + "\nx := input.environment.classification\nx == \"x\"\n}":            {false, true},
		"allow if not bad\nbad if {\nx := input.environment.classification\n" + fails + "\nx == \"x\"\n}":            {false, true},
		"allow if not bad\nbad if {\n" + fails + "\nv := \"x\"\ninput.environment.classification == v\n}":            {false, true},
		"allow if not bad\nbad if {\nx := input.trust_score\nx = floor(input.subject.taints)\nx == 3\n}":             {false, true},
		"allow if not bad(40)\nbad(x) if {\n" + fails + "\nx == 41\n}":                                               {false, true},
		"allow if not bad\nbad if {\nhelper\ninput.environment.classification == \"x\"\n}\nhelper if " + fails:       {false, true},
		"allow if not bad\nbad if {\ntwo\ninput.trust_score == 41\n}\ntwo := 1\ntwo := 2 if input.trust_score == 40": {false, true},
		"allow if not bad\nbad if {\nz := [1 | " + fails + "]\ninput.environment.classification == \"x\"\n}":         {false, true},
		"allow if input.trust_score == 40\nallow if " + fails:                                                        {false, true},
		"allow if " + fails + "\nallow if input.trust_score == 40":                                                   {false, true},
		"allow if { some x in [\"1\", \"x\"]; to_number(x) == 1 }":                                                   {false, true},
		"allow if not bad\nbad if { some x in [\"1\", \"x\"]; to_number(x) == 1 }":                                   {false, true},
		"allow if f(1)\nf(_) if input.trust_score == 40\nf(_) if " + fails:                                           {false, true},
		"allow if x == 1\nx := 1\nx := 1 if " + fails:                                                                {false, true},
		"allow if { some k; data.p.n[k]; k == \"k\" }\nn.k := true\nn.unused := to_number(\"x\")":                    {false, true},

		// what is never reached, in either form
		"allow if not bad\nbad if {\ninput.environment.classification == \"x\"\n" + fails + "\n}":                                                                                                  {true, false},
		"allow := true if input.trust_score == 40\nelse := true if " + fails:                                                                                                                       {true, false},
		"allow if input.trust_score == 40\nunused if " + fails:                                                                                                                                     {true, false},
		"allow if { false; " + fails + " }\nallow if input.trust_score == 40":                                                                                                                      {true, false},
		"allow if count([v | some i; data.p.l[i].k == \"a\"; v := to_number(data.p.l[i].v)]) == 1\nl := [{\"k\": \"a\", \"v\": \"1\"}, {\"k\": \"b\", \"v\": \"x\"}]":                              {true, false},
		"allow if { some k in [\"a\"]; xs := [v | some i; data.p.l[i].k == k; v := to_number(data.p.l[i].v)]; count(xs) == 1 }\nl := [{\"k\": \"a\", \"v\": \"1\"}, {\"k\": \"b\", \"v\": \"x\"}]": {true, false},
	} {
		b := load(t, map[string]string{"p.rego": "package p\n" + rules})
		native, err := rego.New(b)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := native.Evaluate(context.Background(), "p", c); d.Allow != want.allow || (err != nil) != want.failed {
			t.Errorf("%q: %+v, %v", rules, d, err)
		}
		m, err := regowasm.Compile(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		compiled, err := regowasm.New(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := compiled.Evaluate(context.Background(), "p", c); d.Allow != want.allow || (err != nil) != want.failed {
			t.Errorf("%q compiled: %+v, %v", rules, d, err)
		}
		if err := compiled.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// Rules put together at random decide, and fail, as they do where OPA leaves
// nothing out.
func TestDecidesAsWithoutIndex(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(7, 7))}
	alone := []string{ // what stands in any rule
		"to_number(input.environment.operation) == 1", "floor(input.object.attributes.a) == 1", "startswith(input.subject.user, \"a\")",
		"input.environment.operation == \"op\"", "input.environment.operation in {\"op\", \"a\"}", "input.object.attributes.a == \"a\"",
		"input.environment.is_root", "input.object.attributes.ana", "x == \"op\"", "y == \"a\"", "x == y", "z == \"OP\"", "z == \"op\"", "w == 1",
		"x in input.lineage.origins", "\"internal\" in input.lineage.origins", "input.trust_score > 50", "input.environment.operation == z",
		"endswith(x, \"p\")", "count([1 | floor(y) == 1]) == 0", "data.q.x", "object.get(input, [\"environment\", \"operation\"], 1) == x",
		"input.lineage.taint_sources[x] == \"a\"", "every o in input.lineage.origins { o != x }", "{x, 1} == {y, 1}", "[x, y] == [\"op\", \"a\"]",
		"strings.any_prefix_match(x, [\"o\", y])", "glob.match(\"o*\", [], y)", "x = z", "y = z", "input.subject[x] == \"ana\"",
	}
	calling := append([]string{"helper", "not helper", "number == 1", "n == 1", "f(input.environment.operation)", "f(input.object.id)", "f(x)", "f(z)"}, alone...)
	function := append([]string{"a == \"op\"", "a == x", "a = z", "a = y", "a != \"\"", "startswith(a, \"o\")", "a in {\"op\", x}"}, alone...)
	given := map[string][]string{
		"x": {"x = input.environment.operation", "x = lower(input.object.id)", "x = data.q.word", "x = \"op\""},
		"y": {"y = input.object.attributes.a", "y = x", "y = upper(input.object.id)"},
		"z": {"z = upper(input.environment.operation)", "z = lower(input.environment.operation)", "z = x", "z = \"op\""},
		"w": {"w = count(input.object.attributes.a)"}, "n": {"n = number"},
	}
	body := func(pool []string) string {
		var list []string
		for range 1 + g.IntN(4) {
			list = append(list, pool[g.IntN(len(pool))])
		}
		for _, name := range []string{"w", "n", "z", "y", "x"} {
			if uses := regexp.MustCompile(`\b` + name + `\b`); slices.ContainsFunc(list, uses.MatchString) {
				ways := given[name]
				list = slices.Insert(list, g.IntN(len(list)+1), ways[g.IntN(len(ways))])
			}
		}
		return " if {\n" + strings.Join(list, "\n") + "\n}\n"
	}
	about := contexts(t, 40)
	built, verdicts := 0, make(map[string]int)
	for range 1500 {
		text := "package p\nallow if not bad\nbad" + body(calling) + "bad" + body(calling) + "helper" + body(alone) +
			"number := 1" + body(alone) + "f(a)" + body(function) + "f(a)" + body(function)
		files := fstest.MapFS{"p.rego": {Data: []byte(text)}, "q.rego": {Data: []byte(beside)}}
		b, err := rego.LoadFS(files, "policies")
		if err != nil {
			continue // what the type checker knows better
		}
		built++
		e, err := rego.New(b)
		if err != nil {
			t.Fatal(err)
		}
		query, err := oparego.New(oparego.Query("data.p.allow"), oparego.Module("p.rego", text), oparego.Module("q.rego", beside),
			oparego.StrictBuiltinErrors(true)).PrepareForEval(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			c := about[g.IntN(len(about))]
			want, wantErr := query.Eval(context.Background(), oparego.EvalParsedInput(fromJSON(t, c)), oparego.EvalRuleIndexing(false), oparego.EvalEarlyExit(false))
			d, err := e.Evaluate(context.Background(), "p", c)
			if d.Allow != (wantErr == nil && want.Allowed()) || (err == nil) != (wantErr == nil) {
				t.Fatalf("%s\n%+v, %v; want %v, %v\n%s", text, d, err, want, wantErr, c.JSON())
			}
			verdicts[fmt.Sprint(d.Allow, err != nil)]++
		}
	}
	if built < 1000 || verdicts["true false"] < 100 || verdicts["false false"] < 100 || verdicts["false true"] < 100 {
		t.Errorf("of %d modules the verdicts are %v", built, verdicts)
	}
}
