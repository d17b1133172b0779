package rego_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	oparego "github.com/open-policy-agent/opa/v1/rego"

	"kest.example/kest"
	"kest.example/kest/kesttest"
	"kest.example/kest/policy/rego"
)

type generator struct{ *rand.Rand }

func (g generator) word() string {
	words := [...]string{"", "a", "ana", "op", "refund", "spiffe://example.org/edge", "user_input", "internal", "level=secret", "level=", "=x", "pii", "é\u2028\"\\", "日本"}
	return words[g.IntN(len(words))]
}

func (g generator) words() []string {
	list := make([]string, g.IntN(4))
	for i := range list {
		list[i] = g.word()
	}
	return list
}

func (g generator) value(depth int) any {
	switch g.IntN(8) {
	case 0:
		return nil
	case 1:
		return g.IntN(2) == 0
	case 2:
		return g.IntN(200) - 100
	case 3:
		return [...]float64{0.1, -1.5, 1e21, 1e-7, 9007199254740993, 5e-324}[g.IntN(6)]
	case 4:
		if depth > 0 {
			return []any{g.value(depth - 1), g.value(depth - 1)}
		}
	case 5:
		if depth > 0 {
			return g.attributes(depth - 1)
		}
	}
	return g.word()
}

func (g generator) attributes(depth int) map[string]any {
	m := make(map[string]any)
	for range g.IntN(4) {
		m[g.word()] = g.value(depth)
	}
	return m
}

func (g generator) orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// context makes a context as it may come out of a lineage and a configuration.
func (g generator) context(t testing.TB) *kest.Context {
	t.Helper()
	acts := make([]any, g.IntN(3))
	for i := range acts {
		acts[i] = map[string]any{"operation": g.word(), "user": g.orNull(g.word())}
	}
	sources := make(map[string]any)
	for _, taint := range g.words() {
		sources[taint] = g.word()
	}
	trust := g.IntN(101)
	text, err := json.Marshal(map[string]any{
		"subject": map[string]any{
			"workload": "spiffe://example.org/w", "user": g.orNull(g.word()), "agent": g.orNull(g.word()), "task": g.orNull(g.word()),
			"trust_score": trust, "taints": g.words(), "attributes": g.attributes(3),
		},
		"object": map[string]any{"id": g.orNull(g.word()), "attributes": g.attributes(3)},
		"environment": map[string]any{
			"is_root": g.IntN(2) == 0, "source_type": g.word(), "parent_hash": g.word(), "policy_names": g.words(), "policy_tier": "function",
			"active_deviations": g.words(), "operation": g.word(), "classification": "system", "timestamp_ms": g.Int64N(1 << 41),
		},
		"identity": "spiffe://example.org/w", "trust_score": trust,
		"lineage": map[string]any{
			"depth": g.IntN(5), "roots": g.words(), "callers": g.words(), "principals": g.words(), "operations": g.words(),
			"origins": g.words(), "users": g.words(), "acts": acts, "taint_sources": sources, "min_trust": g.IntN(101),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := kest.ParseContext(text)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return c
}

// contexts are generated ones, and one of a lineage.
func contexts(t testing.TB, n int) []*kest.Context {
	t.Helper()
	g := generator{rand.New(rand.NewPCG(6, 6))}
	list := []*kest.Context{kesttest.Context(t, "op", "level=secret", "b")}
	for range n {
		list = append(list, g.context(t))
	}
	return list
}

func fromJSON(t testing.TB, c *kest.Context) ast.Value {
	t.Helper()
	v, err := ast.ValueFromReader(bytes.NewReader(c.JSON()))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestInputIsTheContext(t *testing.T) {
	for _, c := range contexts(t, 3000) {
		if have, want := rego.WholeInput(c), fromJSON(t, c); have.Compare(want) != 0 || have.Hash() != want.Hash() {
			t.Fatalf("the input is\n%v\nnot\n%v", have, want)
		}
	}
}

// A policy that reads one member gets it, though nothing else is made.
func TestEveryMemberIsThere(t *testing.T) {
	c := contexts(t, 1)[1]
	var whole map[string]any
	d := json.NewDecoder(bytes.NewReader(c.JSON()))
	d.UseNumber()
	if err := d.Decode(&whole); err != nil {
		t.Fatal(err)
	}
	var rules []string
	var walk func(ref string, v any)
	walk = func(ref string, v any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, fmt.Sprintf("%s == json.unmarshal(%q)", ref, text))
		if members, ok := v.(map[string]any); ok {
			for name, inner := range members {
				walk(fmt.Sprintf("%s[%q]", ref, name), inner)
			}
		}
	}
	walk("input", whole)
	for _, rule := range rules {
		e := engine(t, map[string]string{"p.rego": "package p\nallow if " + rule})
		if d, err := e.Evaluate(context.Background(), "p", c); err != nil || !d.Allow {
			t.Errorf("%s: %+v, %v", rule, d, err)
		}
	}
}

// ways are policies that come by their input in ways that are easy to overlook.
var ways = []string{
	"allow := false if input.trust_score > 60\nelse := true if helper\nelse := helper2\nhelper if input.environment.operation == \"op\"\nhelper2 if input.environment.is_root",
	"allow if not unsafe\nunsafe := false if input.trust_score > 60\nelse if helper\nhelper if \"pii\" in input.subject.taints",
	"allow if f(1) with f as g\nf(_) := false\ng(_) := input.environment.operation == \"op\"",
	"allow if f(1) with f as data.q.g\nf(_) := false",
	"allow if $\"{input.environment.operation}\" == \"op\"",
	"allow if { x := \"helper\"; data.p[x] }\nhelper if input.environment.operation == \"op\"",
	"allow if { some x; data.p.sub[x] == true }\nsub.a if input.environment.operation == \"op\"\nsub.b if input.lineage.depth > 3",
	"allow if { some x; data.q[x] == true }",
	"allow if walk(input, [[\"environment\", \"operation\"], \"op\"])",
	"allow if { x := input; x.environment.operation == \"op\" }",
	"allow if { y with input as {\"a\": input.environment.operation} }\ny if input.a == \"op\"",
	"allow if { y with input.subject as input.environment }\ny if input.subject.operation == \"op\"",
	"allow if { y with input.lineage.depth as input.trust_score }\ny if input.lineage.depth > 50",
	"allow if { k := [\"environment\", \"operation\"]; object.get(input, k, 1) == \"op\" }",
	"allow if input[_].operation == \"op\"",
	"allow if { some x in input; x.operation == \"op\" }",
	"allow if { some k, v in input.subject.attributes; k == v }",
	"import input.environment as e\nallow if e.operation == \"op\"",
	"import input as i\nallow if i.environment.operation == \"op\"",
	"allow if count(input) == 6",
	"allow if count(input.lineage) == 10",
	"allow if { input.subject.user == null; count(input.subject) == 8 }",
	"allow if { count(input.environment) == 9; input.environment.is_root }",
	"allow if data.q.x",
	"allow if data.q.tree.y.z",
	"roles[input.subject.user] := 1\nallow if roles.ana == 1",
	"names contains input.subject[k] if some k in [\"user\", \"task\"]\nallow if \"ana\" in names",
	"allow if { every o in input.lineage.origins { o in {\"user_input\", \"internal\"} } }",
	"allow if { {a.user | some a in input.lineage.acts} == {null} }",
	"allow if { [x | x := input.lineage.taint_sources[_]] != [] }",
	"allow if input.object.attributes.a == input.subject.attributes.a",
	"allow if input.object.attributes.a.ana",
	"allow if input.object.attributes[input.subject.user]",
	"allow if json.marshal(input.object.attributes) != \"{}\"",
	"allow if sum([input.trust_score, input.lineage.min_trust, input.lineage.depth]) > 100",
	"allow if 100 / (input.trust_score % 2) > 1",
	"allow if not over\nover if to_number(input.environment.operation) > 1",
	"allow if time.now_ns() % 2000000 == 0",
	"allow if input.object.attributes.a + 1 > 0",
	"import data.kest.lineage\nallow if lineage.separate_duty(\"op\", input.subject.user)",
	"import data.kest.lineage as l\nallow if l.tainted_by(\"pii\", \"ana\")\nallow if l.only_origins([\"internal\"])",
	"allow if data.kest[\"lineage\"].called_by(\"ana\")",
	"allow if { some f in [\"users_of\"]; count(input.lineage.users) > 1; f }",
	"allow := input.environment.is_root",
	"allow := input.object.attributes.a",
	"default allow := true\nallow := false if input.trust_score < 50",
}

const beside = "package q\ng(_) := input.environment.operation == \"op\"\nx if input.trust_score > 50\ntree.y.z if input.environment.is_root\nword := \"op\""

// What is made of the input for a policy gives its decision on the whole JSON.
func TestDecidesAsOnJSON(t *testing.T) {
	about := contexts(t, 60)
	reached := make(map[bool]int)
	for _, way := range ways {
		text := "package p\n" + way
		e := engine(t, map[string]string{"p.rego": text, "q.rego": beside})
		query, err := oparego.New(oparego.Query("data.p.allow"), oparego.Module("p.rego", text), oparego.Module("q.rego", beside),
			oparego.Module("lineage.rego", rego.LibraryText), oparego.StrictBuiltinErrors(true)).PrepareForEval(context.Background())
		if err != nil {
			t.Fatalf("%s: %v", way, err)
		}
		for _, c := range about {
			now := time.UnixMilli(c.Environment.TimestampMS)
			results, wantErr := query.Eval(context.Background(), oparego.EvalParsedInput(fromJSON(t, c)), oparego.EvalTime(now))
			d, err := e.Evaluate(context.Background(), "p", c)
			if d.Allow != (wantErr == nil && results.Allowed()) || (err == nil) != (wantErr == nil) {
				t.Fatalf("%s: %+v, %v; on the JSON %v, %v\n%s", way, d, err, results, wantErr, c.JSON())
			}
			reached[d.Allow]++
		}
	}
	if reached[true] < 100 || reached[false] < 100 {
		t.Errorf("the verdicts are too much alike: %v", reached)
	}
}
