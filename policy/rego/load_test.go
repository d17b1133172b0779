package rego_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kest.example/kest/kesttest"
	"kest.example/kest/policy/rego"
)

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

// A fault is named by its file and line, and a built-in by its name.
func TestFaults(t *testing.T) {
	for text, want := range map[string]struct {
		line int
		name string
	}{
		"package p\nallow if {": {2, ""},
		"package p\n\nallow if http.send({\"method\": \"get\", \"url\": \"x\"}).x":                {3, "http.send"},
		"package p\nallow if opa.runtime().x":                                                     {2, "opa.runtime"},
		"package p\nf(x) := y if {\n  y := net.lookup_ip_addr(x)\n}\nallow if f(1)":               {3, "net.lookup_ip_addr"},
		"package p\nallow if rego.parse_module(\"a\", \"package a\").x":                           {2, "rego.parse_module"},
		"package p\nallow if {\n  g(1) with g as rand.intn\n}\ng(x) := x":                         {3, "rand.intn"},
		"package p\nallow if {\n  count([1]) with count as http.send\n}":                          {3, "http.send"},
		"package p\nallow if {\n  g(1) with http.send as g\n}\ng(x) := x":                         {3, "http.send"},
		"package p\nallow if {\n  f := [1, http.send]\n  f[1]\n}":                                 {3, "http.send"},
		"package p\nallow if {\n  every x in [1] {\n    x == {y | y := trace(\"a\")}\n  }\n}":     {4, "trace"},
		"package p\nallow if {\n  not false\n  print(\"x\",\n    http.send({}))\n}":               {5, "http.send"},
		"package p\nallow := false if false\nelse := $\"{opa.runtime()}\" == \"\"":                {3, "opa.runtime"},
		"package p\nr[uuid.rfc4122(\"x\")] := 1\nallow := true":                                   {2, "uuid.rfc4122"},
		"package p\nunused if {\n  io.jwt.decode(\"x\")\n}\nallow := true":                        {3, "io.jwt.decode"},
		"package p\nallow if {\n  true\n  $\"{no_such()}\" == \"\"\n}":                            {4, "no_such"},
		"package p\nallow if {\n  true\n  $\"{startswith(1, $\"{count(1, 2, 3)}\")}\" == \"\"\n}": {4, "count"},
		"package p\nallow if {\n  $\"{walk(input)}\" == \"\"\n}":                                  {3, "walk"},
		"package p\nallow if no_such(1)":                                                          {2, "no_such"},
		"package p\nallow if count.no_such(1)":                                                    {2, "count.no_such"},
		"package p\nallow if data.lib.no_such(1)":                                                 {2, "data.lib.no_such"},
		"package p\nallow if unknown_var == 1":                                                    {2, "unknown_var"},
		"package p\nallow(x) := true":                                                             {2, "allow"},
		"package p\nallow { true }":                                                               {2, ""},
		"package kest.lineage\nallow := true":                                                     {1, "data.kest.lineage"},
		"package kest.lineage.more\nallow := true":                                                {1, "data.kest.lineage"},
		"package kest\nallow := true\nlineage.called_by(_) := true":                               {3, "data.kest.lineage"},
		"package kest\nallow := true\nlineage := 1":                                               {3, "data.kest.lineage"},
		"package kest\nallow := true\nlineage[x] := x if some x in [\"did\"]":                     {3, "data.kest.lineage"},
		"package p[\"a b\"]\nallow := true":                                                       {1, ""},
		"package p[\"a/b\"]\nallow := true":                                                       {1, ""},
		"package p[\"a.b\"]\nallow := true":                                                       {1, ""},
		"package p\nallow := true\nx := y\ny := x":                                                {3, "recursive"},
		"":                       {1, ""},
		"package p\nhelper := 1": {1, ""},
	} {
		dir := folder(t, map[string]string{"sub/p.rego": text})
		b, err := rego.Load(dir)
		var faults rego.Faults
		if !errors.As(err, &faults) || b != nil || faults[0].Line != want.line || !strings.Contains(faults[0].Text, want.name) {
			t.Errorf("%q: %v, want %+v", text, err, want)
			continue
		}
		file := filepath.ToSlash(filepath.Join(dir, "sub/p.rego"))
		if strings.Contains(text, "helper") { // which is nobody's fault in particular
			file = filepath.ToSlash(dir)
		}
		if faults[0].File != file {
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
}

// A name that a module gives to something of its own is no built-in.
func TestOwnNamesAreNotRefused(t *testing.T) {
	d, err := engine(t, map[string]string{
		"p.rego":   "package p\nimport data.http\nallow if { http.send(1); trace(2); rand.intn == 3; f({\"runtime\": 4}) }\nf(opa) if opa.runtime == 4\nrand.intn := 3",
		"q.rego":   "package p\ntrace(x) := x",
		"lib.rego": "package http\nsend(x) := x",
	}).Evaluate(context.Background(), "p", kesttest.Context(t, "op"))
	if err != nil || !d.Allow {
		t.Errorf("%+v, %v", d, err)
	}
}

// All faults are said at once, none that only follows from another.
func TestAllFaults(t *testing.T) {
	many := "package many\n" + strings.Repeat("x if unknown\n", 40)
	_, err := rego.Load(folder(t, map[string]string{
		"a.rego": "package a\nallow if {\n  http.send({})\n  no_such(1)\n}\nf(x) := x if unknown\nallow if f(startswith(1, \"\"))\nallow if count(1, 2, 3)\ny := y",
		"b.rego": "package b\nallow if {\n",
		"c.rego": "package c\nallow if data.b.helper(1)\nallow if no_such(2)",
		"d.rego": "package b\nallow if helper\nx := opa.runtime()",
		"e.rego": "package e\nallow(x) := x\nz := no_such\ny if z",
		"f.rego": "package f\nimport data.a\nimport data.b as a\nallow if a.x",
		"m.rego": many,
		"n.rego": "package kest.lineage\ncalled_by(_) := true",
	}), rego.WithData(filepath.Join(folder(t, map[string]string{"d.json": "{\n\"a\":\n}"}), "d.json")))
	var faults rego.Faults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	var have []string
	for _, f := range faults {
		if f.Text == "" {
			t.Errorf("%s:%d has no text", f.File, f.Line)
		}
		have = append(have, fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line))
	}
	want := []string{
		"a.rego:3", "a.rego:4", "a.rego:6", "a.rego:7", "a.rego:8", "a.rego:9", "b.rego:3", "c.rego:3", "d.rego:3",
		"e.rego:2", "e.rego:3", "f.rego:3", "n.rego:1", "d.json:3",
	}
	for i := range 40 {
		want = append(want, fmt.Sprintf("m.rego:%d", i+2))
	}
	slices.Sort(want)
	slices.Sort(have)
	if have = slices.Compact(have); !slices.Equal(have, want) {
		t.Errorf("%q\nwant\n%q\n%v", have, want, err)
	}
}

// Kubernetes mounts a folder as links into a second one beside it.
func TestMountedFolder(t *testing.T) {
	dir := folder(t, map[string]string{"..2026_01_01/p.rego": "package p\ndefault allow := false\nallow if input.trust_score == 40"})
	for link, to := range map[string]string{"..data": "..2026_01_01", "p.rego": "..data/p.rego"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := rego.Load(dir)
	if err != nil || len(b.Modules) != 1 || b.Modules[0].Path != "p.rego" {
		t.Errorf("%+v, %v", b, err)
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

// The library's text is in the digests of those that can reach it, and in no other.
func TestDigestHasTheLibraryThatIsUsed(t *testing.T) {
	plain := "package p\nallow := true"
	for text, used := range map[string]bool{
		plain: false,
		"package p\nimport data.kest.lineage\nallow if lineage.did(1, 2)":                true,
		"package p\nimport data.kest as k\nallow if k.lineage.did(1, 2)":                 true,
		"package p\nallow if data.kest.lineage.did(1, 2)":                                true,
		"package p\nallow if data[\"kest\"].lineage.did(1, 2)":                           true,
		"package p\nallow if { some x; data.q[x] }":                                      false,
		"package p\nallow if { some x; data.kest[x] }":                                   true,
		"package p\nallow if f(1) with f as data.kest.lineage.has_origin\nf(_) := false": true,
		"package p\nallow if data.kest.library.x":                                        false,
		"package p\nallow if \"data.kest.lineage\" == \"kest\"":                          false,
	} {
		e := engine(t, map[string]string{"p.rego": text})
		have, _ := e.Digest("p")
		sum := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
		members := fmt.Sprintf(`"p.rego":"%s","policy":"p"}`, sum(text))
		want := `{"data":"` + sum("{}") + `",`
		if used {
			want += `"data.kest.lineage":"` + sum(rego.LibraryText) + `",`
		}
		if have != sum(want+members) {
			t.Errorf("%q: the digest is not that of %s", text, want+members)
		}
	}
}
