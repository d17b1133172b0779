package regowasm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"kest.example/kest"
	"kest.example/kest/internal/regoinfo"
	"kest.example/kest/internal/regolink"
	"kest.example/kest/kesttest"
	"kest.example/kest/policy/rego"
	"kest.example/kest/policy/rego/regowasm"
	"kest.example/kest/wasm"
)

func load(t testing.TB, files map[string]string) *rego.Bundle {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	b, err := rego.LoadFS(fsys, "policies")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, b *rego.Bundle) *regowasm.Engine {
	t.Helper()
	m, err := regowasm.Compile(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	e, err := regowasm.New(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

func guest(t testing.TB) []byte {
	t.Helper()
	b, err := wasm.Policy()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parseContext(t testing.TB, text string) *kest.Context {
	t.Helper()
	c, err := kest.ParseContext([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEngine(t *testing.T) {
	b := load(t, map[string]string{
		"a.rego": "package yes\nallow := true",
		"b.rego": "package no\ndefault allow := false\nallow if input.trust_score > 100",
	})
	e := open(t, b)
	kesttest.TestEngine(t, e, "yes", "no")
	if !slices.Equal(e.Names(), []string{"no", "yes"}) {
		t.Errorf("the policies are %q", e.Names())
	}
	for _, p := range b.Policies {
		if d, ok := e.Digest(p.Name); !ok || d != p.Digest {
			t.Errorf("%s has the digest %s, not %s", p.Name, d, p.Digest)
		}
	}
}

// document is a context with something in it.
const document = `{"subject": {"workload": "spiffe://example.org/orders", "user": "alice", "taints": ["pci", "a=1", "a=2"], "trust_score": 40,
	"attributes": {"n": 3, "text": "soon", "list": [3, 1, 2]}}, "object": {"id": "order-7", "attributes": {"team": "checkout"}},
	"environment": {"timestamp_ms": 1767225600000, "operation": "orders.read"}}`

// rules are bodies of policies with what they decide.
var rules = map[string]struct{ allow, aborts bool }{
	// Functions and documents replaced by one expression, in every order.
	"f(x) := x\ng(_) := 7\nt := input.subject.trust_score\nallow if [t, f(1)] == [1, 7] with f as g with input.subject.trust_score as 1":                                 {allow: true},
	"f(x) := x\ng(_) := 7\nt := input.subject.trust_score\nallow if not t == 1 with f as g with input.subject.trust_score as 1":                                          {},
	"f(x) := x\ng(_) := 7\nt := input.subject.trust_score\nallow if [t, f(1)] == [1, 7] with input.subject.trust_score as 1 with f as g":                                 {allow: true},
	"g(_) := 7\nt := input.subject.trust_score\nallow if [t, abs(-1)] == [1, 7] with abs as g with input.subject.trust_score as 1":                                       {allow: true},
	"g(_) := 7\nr := 2\nt := input.subject.user\nallow if [t, abs(-1), r] == [\"x\", 7, 3] with abs as g with r as 3 with input.subject.user as \"x\"":                   {allow: true},
	"import input.subject as s\ng(_) := 7\nt := s.user\nallow if [t, abs(-1)] == [\"x\", 7] with abs as g with input.subject.user as \"x\"":                              {allow: true},
	"g(_) := 7\nr := 2\nallow if { every x in [1, 2] { [abs(-1), r, input.subject.user] == [7, x, \"y\"] with abs as g with r as x with input.subject.user as \"y\" } }": {allow: true},
	"g(_) := 7\nr := 2\nallow if { not r == 2 with abs as g with r as 3; r == 2; abs(-1) == 1 }":                                                                         {allow: true},

	"allow := true":      {allow: true},
	"allow := false":     {},
	"allow := null":      {},
	`allow := "true"`:    {},
	"allow := 1":         {},
	"allow := [true]":    {},
	"allow := {true}":    {},
	`allow := {"a": 1}`:  {},
	"allow if false":     {},
	"allow contains 1":   {},
	"allow if input.nil": {},

	// A built-in that fails denies, wherever it stands.
	"allow if not over\nover if 1 / (input.subject.attributes.n - 3) > 1":                        {aborts: true},
	"allow if not over\nover if input.subject.attributes.n % 0 == 1":                             {aborts: true},
	"allow if not over\nover if to_number(input.subject.attributes.text) > 1":                    {aborts: true},
	"allow if not over\nover if time.parse_rfc3339_ns(input.subject.attributes.text) > 1":        {aborts: true},
	"allow if not over\nover if json.unmarshal(input.subject.attributes.text)":                   {aborts: true},
	"allow if not over\nover if base64.decode(input.object.id) == \"!\"":                         {aborts: true},
	"allow if not over\nover if regex.match(\"[\", input.subject.attributes.text)":               {aborts: true},
	"allow if not over\nover if { some x in input.subject.taints; to_number(x) > 1 }":            {aborts: true},
	"allow if count([x | some t in input.subject.taints; x := to_number(t)]) == 0":               {aborts: true},
	"allow if every t in input.subject.taints { not to_number(t) == 1 }":                         {aborts: true},
	"allow if f(input.subject.attributes.text) != 1\nf(x) := to_number(x)":                       {aborts: true},
	"allow if not f(\"x\")\nf(x) if g(x) with input as {}\ng(x) if to_number(x) == 1":            {aborts: true},
	"allow if max(input.subject.attributes.text) != 1":                                           {aborts: true},
	"allow if not max(input.subject.attributes.text) > 1":                                        {aborts: true},
	"allow := 1 if input.subject.user\nallow := 2 if input.subject.user":                         {aborts: true},
	"allow if m.a == 1\nm[k] := v if { some k in [\"a\"]; some v in [1, 2] }":                    {aborts: true},
	"allow if not replace(input.subject.user, substring(\"x\", 0, 0), \"y\") == \"z\"":           {aborts: true},
	"allow if bits.lsh(1, input.environment.timestamp_ms) == 0":                                  {aborts: true},
	"allow if glob.match(concat(\"\", [\"{\", input.subject.user]), [], \"x\") == false":         {aborts: true},
	"allow if count(numbers.range(1, input.environment.timestamp_ms)) > 0":                       {aborts: true},
	"allow if not json.unmarshal(concat(\"\", [\"1\", \".2.3\"]))":                               {aborts: true},
	"allow if max(input.lineage.roots) == 1":                                                     {},
	"allow if not max(input.lineage.roots)":                                                      {allow: true},
	"allow if not input.subject.attributes.absent == 1":                                          {allow: true},
	"allow if { some t in input.subject.taints; startswith(t, \"pc\") }":                         {allow: true},
	"allow if {t | some t in input.subject.taints; not contains(t, \"=\")} == {\"pci\"}":         {allow: true},
	"allow if concat(\",\", [x | some x in {\"c\", \"a\", \"b\"}]) == \"a,b,c\"":                 {allow: true},
	"allow if concat(\",\", {\"c\", \"a\", \"b\"}) == \"a,b,c\"":                                 {allow: true},
	"allow if [k | some k, _ in {\"z\": 1, \"y\": 2, \"x\": 3}] == [\"x\", \"y\", \"z\"]":        {allow: true},
	"allow if json.marshal({\"b\": {3, 1, 2}, \"a\": 1}) == `{\"a\":1,\"b\":[1,2,3]}`":           {allow: true},
	"allow if sort(input.subject.attributes.list) == [1, 2, 3]":                                  {allow: true},
	"allow if { walk(input, [[\"subject\", \"attributes\", \"list\", 2], v]); v == 2 }":          {allow: true},
	"allow if every t in input.subject.taints { count(t) == 3 }":                                 {allow: true},
	"allow if f with input.subject.user as \"bob\"\nf if input.subject.user == \"bob\"":          {allow: true},
	"allow if f with input.new.member as 1\nf if input.new.member == 1":                          {allow: true},
	"allow if input.subject.labels.a == [\"1\", \"2\"]":                                          {allow: true},
	"allow if time.now_ns() == input.environment.timestamp_ms * 1000000":                         {allow: true},
	"allow if sprintf(\"%s-%d\", [input.subject.user, 7]) == \"alice-7\"":                        {allow: true},
	"allow if regex.replace(input.object.id, \"[0-9]\", \"#\") == \"order-#\"":                   {allow: true},
	"allow if semver.compare(\"1.2.3\", \"1.10.0\") < 0":                                         {allow: true},
	"allow if object.subset(input.subject, {\"user\": \"alice\"})":                               {allow: true},
	"allow if object.get(input, [\"subject\", \"absent\"], 7) == 7":                              {allow: true},
	"allow if json.unmarshal(`{\"a\": [1, 2.50, \"ä\"]}`).a[2] == \"ä\"":                         {allow: true},
	"allow if base64.decode(\"w6Q=\") == \"ä\"":                                                  {allow: true},
	"allow if not base64.is_valid(\"***\")":                                                      {allow: true},
	"allow if not json.is_valid(\"1.2.3\")":                                                      {allow: true},
	"allow := input.subject.attributes.n == 3 if input.subject.user == \"alice\"\nelse := false": {allow: true},
	"allow if print(\"x\")": {allow: true},
}

// One module with a policy for each rule: what allows and what denies is as
// natively, and one that aborted leaves nothing behind for the next.
func TestRules(t *testing.T) {
	files, texts := map[string]string{}, []string{}
	for text := range rules {
		texts = append(texts, text)
	}
	slices.Sort(texts)
	for i, text := range texts {
		name := string(rune('a'+i/26)) + string(rune('a'+i%26))
		files[name+".rego"] = "package p." + name + "\n" + text
	}
	b := load(t, files)
	compiled := open(t, b)
	native, err := rego.New(b)
	if err != nil {
		t.Fatal(err)
	}
	c := parseContext(t, document)
	for range 2 {
		for i, text := range texts {
			name := "p/" + string(rune('a'+i/26)) + string(rune('a'+i%26))
			want := rules[text]
			d, err := compiled.Evaluate(t.Context(), name, c)
			_, aborted := errors.AsType[*regoinfo.AbortError](err)
			if d.Allow != want.allow || aborted != want.aborts || err != nil && !aborted {
				t.Errorf("%s\ncompiled: %+v, %v", text, d, err)
			}
			if strings.Contains(text, "bits.lsh") || strings.Contains(text, "numbers.range") || strings.Contains(text, "replace(input.subject.user") {
				continue // natively they panic, go on for ever, or have a value
			}
			d, err = native.Evaluate(t.Context(), name, c)
			if d.Allow && err == nil != want.allow || (err != nil) != want.aborts {
				t.Errorf("%s\nnatively: %+v, %v", text, d, err)
			}
		}
	}
}

// Inputs that are deep or large deny, and the next one is decided.
func TestDeepAndLarge(t *testing.T) {
	e := open(t, load(t, map[string]string{
		"a.rego": "package p\nallow if count(json.unmarshal(input.object.id)) >= 0",
		"b.rego": "package q\nallow if count(input.subject.taints) > 0\n",
		"c.rego": "package r\nallow if count(concat(\"\", [input.object.id | some _ in numbers.range(1, 100000)])) > 0",
		"d.rego": "package s\nallow if input.object.id != \"\"",
	}))
	evaluate := func(policy string, set func(*kest.Context)) (kest.Decision, error) {
		c := parseContext(t, document)
		set(c)
		return e.Evaluate(t.Context(), policy, c)
	}
	good := func() {
		t.Helper()
		if d, err := evaluate("q", func(*kest.Context) {}); err != nil || !d.Allow {
			t.Errorf("the next one: %+v, %v", d, err)
		}
	}
	good()
	for name, c := range map[string]struct{ policy, id string }{
		"nested text":     {"p", strings.Repeat("[", 100000) + strings.Repeat("]", 100000)},
		"nested too deep": {"p", strings.Repeat("[", 65) + strings.Repeat("]", 65)},
		"memory":          {"r", strings.Repeat("x", 1000)},
		"5 MiB of id":     {"s", strings.Repeat("x", 5<<20)},
		"1 MiB of id":     {"r", strings.Repeat("x", 1<<20)},
	} {
		d, err := evaluate(c.policy, func(x *kest.Context) { x.Object.ID = c.id })
		if _, aborted := errors.AsType[*regoinfo.AbortError](err); d.Allow || !aborted {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
		good()
	}
	if d, err := evaluate("s", func(x *kest.Context) { x.Object.ID = strings.Repeat("x", 1<<20) }); err != nil || !d.Allow {
		t.Errorf("1 MiB of id: %+v, %v", d, err)
	}
	if d, err := evaluate("p", func(x *kest.Context) { x.Object.ID = strings.Repeat("[", 60) + strings.Repeat("]", 60) }); err != nil || !d.Allow {
		t.Errorf("60 levels: %+v, %v", d, err)
	}
}

// Every evaluation begins with the memory of the first, so that order and
// number of the others change nothing, and many at once don't meet.
func TestEvaluationsAreAlone(t *testing.T) {
	e := open(t, load(t, map[string]string{"a.rego": `package p
allow if { regex.match(concat("", ["^", input.subject.user, "$"]), "alice"); count(seen) == 3 }
seen contains t if some t in input.subject.taints
`}))
	alice, bob := parseContext(t, document), parseContext(t, strings.ReplaceAll(document, "alice", "bob"))
	broken := parseContext(t, strings.ReplaceAll(document, "alice", "("))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 300 {
				if d, err := e.Evaluate(context.Background(), "p", alice); err != nil || !d.Allow {
					t.Errorf("alice: %+v, %v", d, err)
				}
				if d, err := e.Evaluate(context.Background(), "p", bob); err != nil || d.Allow {
					t.Errorf("bob: %+v, %v", d, err)
				}
				if d, err := e.Evaluate(context.Background(), "p", broken); err == nil || d.Allow {
					t.Errorf("broken: %+v, %v", d, err)
				}
			}
		})
	}
	all.Wait()
}

func TestBuild(t *testing.T) {
	files := map[string]string{
		"team/refunds.rego": "package team.refunds\nimport data.kest.lineage\nallow if { input.subject.user == \"alice\"; data.team.lib.ok }",
		"lib.rego":          "package team.lib\nok if startswith(input.object.id, \"order-\")",
		"z.rego":            "package z\nallow if { some x in [\"a\"]; sprintf(\"%s\", [x]) == \"a\" }",
	}
	first, err := regowasm.Build(t.Context(), load(t, files), guest(t))
	if err != nil {
		t.Fatal(err)
	}
	second, err := regowasm.Build(t.Context(), load(t, files), guest(t))
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("the same policies give other bytes: %v", err)
	}
	e, err := regowasm.Open(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close(context.Background()) }()
	if !slices.Equal(e.Names(), []string{"team/refunds", "z"}) {
		t.Errorf("policies %q", e.Names())
	}
	for _, name := range []string{"team/refunds", "team.refunds", "z"} {
		if d, err := e.Evaluate(t.Context(), name, parseContext(t, document)); err != nil || !d.Allow {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
	if _, err := regowasm.Build(t.Context(), load(t, files), first); !errors.Is(err, regolink.ErrBase) {
		t.Errorf("policies twice in one guest: %v", err)
	}
	if _, err := regowasm.Build(t.Context(), load(t, files), []byte("no module")); !errors.Is(err, regolink.ErrBase) {
		t.Errorf("policies in no guest: %v", err)
	}
	if _, err := regowasm.Open(t.Context(), guest(t)); !errors.Is(err, regowasm.ErrNoPolicies) {
		t.Errorf("a file without policies: %v", err)
	}
	if _, err := regowasm.Open(t.Context(), first[:len(first)-1]); err == nil {
		t.Error("half a file is opened")
	}
}

// The root document is inside.
func TestData(t *testing.T) {
	b := load(t, map[string]string{"a.rego": "package p\nallow if { some g in data.groups; input.subject.user in g.users; g.limit > 2.5 }"})
	b.Data = []byte(`{"groups":{"one":{"limit":2,"users":["alice"]},"two":{"limit":3,"users":["ä\u0000","alice"]}}}`)
	if d, err := open(t, b).Evaluate(t.Context(), "p", parseContext(t, document)); err != nil || !d.Allow {
		t.Errorf("%+v, %v", d, err)
	}
	var groups []string
	for range 60000 {
		groups = append(groups, `{"limit":3,"users":["alice","bob","carol"]}`)
	}
	b.Data = []byte(`{"groups":[` + strings.Join(groups, ",") + `]}`)
	if d, err := open(t, b).Evaluate(t.Context(), "p", parseContext(t, document)); err != nil || !d.Allow {
		t.Errorf("a large document: %+v, %v", d, err)
	}
}

func TestClosed(t *testing.T) {
	e := open(t, load(t, map[string]string{"a.rego": "package p\nallow := true"}))
	for range 2 {
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if d, err := e.Evaluate(t.Context(), "p", parseContext(t, document)); err == nil || d.Allow {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestUnknownPolicyAndEndedContext(t *testing.T) {
	e := open(t, load(t, map[string]string{"a.rego": "package p\nallow := true"}))
	c := parseContext(t, document)
	if d, err := e.Evaluate(t.Context(), "q", c); err == nil || d.Allow {
		t.Errorf("%+v, %v", d, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if d, err := e.Evaluate(ended, "p", c); !errors.Is(err, context.Canceled) || d.Allow {
		t.Errorf("%+v, %v", d, err)
	}
}

// Scopes that are open at once take no memory for rules that they don't ask.
func TestManyScopes(t *testing.T) {
	body, many := &strings.Builder{}, &strings.Builder{}
	for range 400 {
		body.WriteString("u with input.subject.user as \"b\"\n")
	}
	for i := range 2000 {
		fmt.Fprintf(many, "r%d if input.subject.user == \"x%d\"\n", i, i)
	}
	e := open(t, load(t, map[string]string{
		"p.rego":    "package p\nu if input.subject.user == \"b\"\nallow if {\n" + body.String() + "some_rule\n}\nsome_rule if count(data.many) >= 0",
		"many.rego": "package many\n" + many.String(),
	}))
	if d, err := e.Evaluate(t.Context(), "p", parseContext(t, document)); err != nil || !d.Allow {
		t.Errorf("%+v, %v", d, err)
	}
}
