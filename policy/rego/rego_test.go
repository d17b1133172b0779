package rego_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	oparego "github.com/open-policy-agent/opa/v1/rego"

	"kest.example/kest"
	"kest.example/kest/kesttest"
	"kest.example/kest/policy/rego"
)

func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func load(t testing.TB, files map[string]string, options ...rego.Option) *rego.Bundle {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	b, err := rego.LoadFS(fsys, "policies", options...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func engine(t testing.TB, files map[string]string, options ...rego.Option) *rego.Engine {
	t.Helper()
	e, err := rego.New(load(t, files, options...))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEngine(t *testing.T) {
	e := engine(t, map[string]string{
		"a.rego":      "package yes\nallow := true",
		"b.rego":      "package no\ndefault allow := false\nallow if input.trust_score > 100",
		"_test.rego":  "package broken\nallow if",
		"x_test.rego": "package broken\nallow if",
	})
	kesttest.TestEngine(t, e, "yes", "no")
	names := e.Names()
	slices.Sort(names)
	if !slices.Equal(names, []string{"no", "yes"}) {
		t.Errorf("the policies are %q", names)
	}
}

// Only the boolean true allows; an error of a built-in denies wherever it happens.
func TestWhatAllows(t *testing.T) {
	for rule, want := range map[string]struct{ allow, failed bool }{
		"allow := true":                                   {true, false},
		"allow if input.subject.user == null":             {true, false},
		"allow := false":                                  {},
		"allow := null":                                   {},
		`allow := "true"`:                                 {},
		"allow := 1":                                      {},
		"allow := [true]":                                 {},
		`allow := {"a": true}`:                            {},
		"allow := {true}":                                 {},
		"allow contains true":                             {},
		"allow.x := true":                                 {},
		"allow if false":                                  {},
		"allow if input.nothing":                          {},
		"allow := true\nallow := false":                   {false, true},
		"allow if not over\nover if 1/0 > 1":              {false, true},
		"allow if not over\nover if to_number(\"x\") > 1": {false, true},
		"allow if not over\nover if time.parse_rfc3339_ns(\"soon\") > 1":                      {false, true},
		"allow if not over\nover if input.trust_score / (input.trust_score - 40) > 1":         {false, true},
		"allow if not over\nover if max([]) > 1":                                              {true, false},
		"allow if time.now_ns() == input.environment.timestamp_ms * 1000000":                  {true, false},
		"allow if count(input.subject.taints) == 2":                                           {true, false},
		"import data.kest.lineage\nallow if lineage.called_by(\"spiffe://example.org/edge\")": {true, false},
	} {
		e := engine(t, map[string]string{"p.rego": "package p\n" + rule})
		d, err := e.Evaluate(context.Background(), "p", kesttest.Context(t, "op", "a", "b"))
		if d.Allow != want.allow || (err != nil) != want.failed || d.Revision == "" || !want.failed && d.Reason == "" {
			t.Errorf("%s: %+v, %v", rule, d, err)
		}
	}
}

func TestNamesHaveSlashesOrDots(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": "package team.refunds\nallow := true", "lib.rego": "package team.lib\nhelper := 1"})
	for name, want := range map[string]bool{"team/refunds": true, "team.refunds": true, "team/lib": false, "refunds": false} {
		d, err := e.Evaluate(context.Background(), name, kesttest.Context(t, "op"))
		if _, known := e.Digest(name); d.Allow != want || (err == nil) != want || known != want {
			t.Errorf("%s: %+v, %v, known %v", name, d, err, known)
		}
	}
}

func TestRootDocument(t *testing.T) {
	data := filepath.Join(folder(t, map[string]string{"d.json": `{"limits": {"x": 40}}`}), "d.json")
	files := map[string]string{"p.rego": "package p\nallow if input.trust_score <= data.limits.x"}
	d, err := engine(t, files, rego.WithData(data)).Evaluate(context.Background(), "p", kesttest.Context(t, "op"))
	if err != nil || !d.Allow {
		t.Errorf("%+v, %v", d, err)
	}
	for _, text := range []string{"", "[]", `{"a":1,"a":2}`, `{"p": {"allow": true}}`} {
		broken := filepath.Join(folder(t, map[string]string{"d.json": text}), "d.json")
		var faults rego.Faults
		if _, err := rego.Load(folder(t, files), rego.WithData(broken)); !errors.As(err, &faults) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := rego.Load(folder(t, files), rego.WithData("missing.json")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestFaults(t *testing.T) {
	for text, line := range map[string]int{
		"package p\nallow if {": 2,
		"package p\n\nallow if http.send({\"method\": \"get\", \"url\": \"x\"}).x":  3,
		"package p\nallow if opa.runtime().x":                                       2,
		"package p\nf(x) := y if {\n  y := net.lookup_ip_addr(x)\n}\nallow if f(1)": 3,
		"package p\nallow if {\n  g(1) with g as rand.intn\n}\ng(x) := x":           3,
		"package p\nallow if {\n  count([1]) with count as http.send\n}":            3,
		"package p\nallow if no_such(1)":                                            2,
		"package p\nallow if unknown_var == 1":                                      2,
		"package p\nallow if uuid.rfc4122(\"x\") == \"\"":                           2,
		"package p\nallow(x) := true":                                               2,
		"package kest.lineage\nallow := true":                                       1,
		"package p\nhelper := 1":                                                    1,
		"package p[\"a b\"]\nallow := true":                                         1,
		"":                                                                          1,
		"package p\nallow if rego.parse_module(\"a\", \"package a\").x":             2,
		"package p\nallow { true }":                                                 2,
	} {
		dir := folder(t, map[string]string{"sub/p.rego": text})
		b, err := rego.Load(dir)
		var faults rego.Faults
		if !errors.As(err, &faults) || b != nil || faults[0].Line != line {
			t.Errorf("%q: %v, want line %d", text, err, line)
			continue
		}
		if file := filepath.ToSlash(filepath.Join(dir, "sub/p.rego")); faults[0].File != file && !strings.HasPrefix(file, faults[0].File) {
			t.Errorf("%q: the file is %s", text, faults[0].File)
		}
	}
	var faults rego.Faults
	if _, err := rego.Load(t.TempDir()); !errors.As(err, &faults) {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := rego.Load(filepath.Join(t.TempDir(), "x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if _, err := rego.Load(folder(t, map[string]string{"a.rego": "package a\nallow if x", "b.rego": "package b\nallow if {"})); !errors.As(err, &faults) || faults[0].Line != 2 {
		t.Errorf("two broken modules: %v", err)
	}
}

func TestDigest(t *testing.T) {
	base := map[string]string{"p.rego": "package p\nallow := true", "q.rego": "package q\nallow := true", "q_test.rego": "package q"}
	digests := func(files map[string]string, options ...rego.Option) [2]string {
		e := engine(t, files, options...)
		p, _ := e.Digest("p")
		q, _ := e.Digest("q")
		return [2]string{p, q}
	}
	first := digests(base)
	if first[0] == first[1] || len(first[0]) != 64 || digests(base) != first {
		t.Errorf("%q", first)
	}
	tests := map[string]string{"p.rego": base["p.rego"], "q.rego": base["q.rego"], "q_test.rego": "package other"}
	if digests(tests) != first {
		t.Error("a test changes the digests")
	}
	data := filepath.Join(folder(t, map[string]string{"d.json": ` {"b": 1, "a": 1.0} `}), "d.json")
	same := filepath.Join(folder(t, map[string]string{"d.json": `{"a":1,"b":1}`}), "d.json")
	if a, b := digests(base, rego.WithData(data)), digests(base, rego.WithData(same)); a != b || a == first {
		t.Errorf("%q, %q", a, b)
	}
	other := map[string]string{"p.rego": base["p.rego"] + "\n", "q.rego": base["q.rego"]}
	if got := digests(other); got[0] == first[0] || got[1] == first[1] {
		t.Error("a module that changed doesn't change the digests")
	}
	moved := map[string]string{"sub/p.rego": base["p.rego"], "q.rego": base["q.rego"]}
	if got := digests(moved); got[0] == first[0] {
		t.Error("a module that moved doesn't change the digests")
	}
}

// An evaluation ends with its context.
func TestDeadline(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": "package p\nallow if {\n some a in numbers.range(1, 4000)\n some b in numbers.range(1, 4000)\n a * b == -1\n}"})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if d, err := e.Evaluate(ctx, "p", kesttest.Context(t, "op")); d.Allow || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%+v, %v", d, err)
	}
}

const moderate = `package p
default allow := false
allow if {
	input.trust_score >= 40
	not "pii" in input.subject.taints
	"spiffe://example.org/edge" in input.lineage.callers
	every origin in input.lineage.origins { origin in {"user_input", "internal"} }
	input.environment.operation == "op"
}`

func TestConcurrent(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": moderate})
	good, bad := kesttest.Context(t, "op"), kesttest.Context(t, "op", "pii")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				for c, want := range map[*kest.Context]bool{good: true, bad: false} {
					if d, err := e.Evaluate(context.Background(), "p", c); err != nil || d.Allow != want {
						t.Errorf("%+v, %v", d, err)
					}
				}
			}
		})
	}
	all.Wait()
}

// The input is the context's JSON, however little of it a policy reads.
func TestInputIsTheContext(t *testing.T) {
	c := kesttest.Context(t, "op", "level=secret", "b")
	c.Subject.Actor.User = "ana"
	v, err := kest.ParseContext([]byte(`{"subject": {"attributes": {"a": [1, {"b": null}], "c": 1.5, "d": true}}}`))
	if err != nil {
		t.Fatal(err)
	}
	c.Subject.Attributes = v.Subject.Attributes
	for _, whole := range []string{"input", "object.union({}, input)"} {
		text, err := json.Marshal(string(c.JSON()))
		if err != nil {
			t.Fatal(err)
		}
		e := engine(t, map[string]string{"p.rego": "package p\nallow if " + whole + " == json.unmarshal(" + string(text) + ")"})
		if d, err := e.Evaluate(context.Background(), "p", c); err != nil || !d.Allow {
			t.Errorf("%s: %+v, %v", whole, d, err)
		}
	}
	var walk func(path []string, v any)
	var all map[string]any
	dec := json.NewDecoder(bytes.NewReader(c.JSON()))
	dec.UseNumber()
	if err := dec.Decode(&all); err != nil {
		t.Fatal(err)
	}
	var rules []string
	walk = func(path []string, v any) {
		value, _ := json.Marshal(v)
		ref := "input"
		for _, p := range path {
			name, _ := json.Marshal(p)
			ref += "[" + string(name) + "]"
		}
		rules = append(rules, ref+" == json.unmarshal("+string(must(json.Marshal(string(value))))+")")
		if m, ok := v.(map[string]any); ok {
			for name, inner := range m {
				walk(append(slices.Clip(path), name), inner)
			}
		}
	}
	for name, v := range all {
		walk([]string{name}, v)
	}
	for _, rule := range rules { // each alone, so that nothing else is built
		e := engine(t, map[string]string{"p.rego": "package p\nallow if " + rule})
		if d, err := e.Evaluate(context.Background(), "p", c); err != nil || !d.Allow {
			t.Errorf("%s: %+v, %v", rule, d, err)
		}
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// BenchmarkRego is a decision with the context made into Rego's input.
func BenchmarkRego(b *testing.B) {
	e := engine(b, map[string]string{"p.rego": moderate})
	c := kesttest.Context(b, "op")
	b.ReportAllocs()
	for b.Loop() {
		if d, err := e.Evaluate(context.Background(), "p", c); err != nil || !d.Allow {
			b.Fatal(d, err)
		}
	}
}

// BenchmarkPreparedQuery is OPA's prepared query alone: on an input that is made
// already, and on one that OPA makes of Go maps.
func BenchmarkPreparedQuery(b *testing.B) {
	query, err := oparego.New(oparego.Query("data.p.allow"), oparego.Module("p.rego", moderate), oparego.StrictBuiltinErrors(true)).PrepareForEval(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	text := kesttest.Context(b, "op").JSON()
	parsed, err := ast.ValueFromReader(bytes.NewReader(text))
	if err != nil {
		b.Fatal(err)
	}
	var maps any
	if err := json.Unmarshal(text, &maps); err != nil {
		b.Fatal(err)
	}
	for name, option := range map[string]oparego.EvalOption{"parsed": oparego.EvalParsedInput(parsed), "maps": oparego.EvalInput(maps)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r, err := query.Eval(context.Background(), option); err != nil || !r.Allowed() {
					b.Fatal(r, err)
				}
			}
		})
	}
}
