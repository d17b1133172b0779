package rego_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

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
		"allow := true":                       {true, false},
		"allow if input.subject.user == null": {true, false},
		"allow := false":                      {},
		"allow := null":                       {},
		`allow := "true"`:                     {},
		"allow := 1":                          {},
		"allow := [true]":                     {},
		`allow := {"a": true}`:                {},
		"allow := {true}":                     {},
		"allow contains true":                 {},
		"allow.x := true":                     {},
		"allow if false":                      {},
		"allow if input.nothing":              {},
		"allow := true\nallow := false":       {false, true},
		"allow if not over\nover if bits.lsh(1, 12345678901234567890) > 1":                               {false, true}, // which panics in OPA
		"allow if not over\nover if json.patch({\"a\": 1}, [{\"op\": \"remove\", \"path\": \"\"}]) == 1": {false, true},
		"allow if not over\nover if 1/0 > 1":                                                             {false, true},
		"allow if not over\nover if to_number(\"x\") > 1":                                                {false, true},
		"allow if not over\nover if time.parse_rfc3339_ns(\"soon\") > 1":                                 {false, true},
		"allow if not over\nover if input.trust_score / (input.trust_score - 40) > 1":                    {false, true},
		"allow if not over\nover if max([]) > 1":                                                         {true, false},
		"allow if time.now_ns() == input.environment.timestamp_ms * 1000000":                             {true, false},
		"allow if count(input.subject.taints) == 2":                                                      {true, false},
		"import data.kest.lineage\nallow if lineage.called_by(\"spiffe://example.org/edge\")":            {true, false},
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
