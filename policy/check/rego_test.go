package check_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"kest.example/kest/policy/check"
	"kest.example/kest/policy/rego"
)

func regoFaults(t *testing.T, text string, options ...rego.Option) check.Faults {
	t.Helper()
	faults, err := check.Rego(fstest.MapFS{"p.rego": &fstest.MapFile{Data: []byte(text)}}, "policies", options...)
	if err != nil {
		t.Fatal(err)
	}
	return faults
}

func TestGoodRego(t *testing.T) {
	for _, text := range []string{
		"package p\nallow := true",
		"package p\ndefault allow := false\nallow if input.trust_score >= 40",
		"package p\nallow if input.subject.attributes.clearance.level[_] == \"x\"",
		"package p\nallow if input.object.attributes.amount <= input.subject.attributes.limit",
		"package p\nallow if {\n some level in input.subject.labels.level\n level == \"secret\"\n}",
		"package p\nallow if input.lineage.taint_sources.pii == \"spiffe://a\"",
		"package p\nallow if input.subject.user == null",
		"package p\nallow if { input.object.attributes.amount > 3; input.object.attributes.amount < 4 }",
		"package p\nallow if { input.object.attributes.depth < 0; input.subject.attributes.trust_score > 100 }",
		"package p\nallow if { input.lineage.depth >= 3; input.lineage.depth <= 3; input.lineage.min_trust == 100 }",
		"package p\nallow if { some act in input.lineage.acts; act.user == \"ana\" }",
		"package p\nimport data.kest.lineage\nallow if lineage.separate_duty(\"pay\", input.subject.user)",
		"package p\nallow if count(input.subject.taints) == 0\nallow if input.environment.is_root",
		"package p\nallow := verdict.ok\nverdict := {\"ok\": input.trust_score > 3}",
	} {
		if faults := regoFaults(t, text); len(faults) > 0 {
			t.Errorf("%s: %v", text, faults)
		}
	}
	if faults := regoFaults(t, "package p\nhelper := 1", rego.WithoutPolicies()); len(faults) > 0 {
		t.Errorf("a library: %v", faults)
	}
}

func TestRegoFaults(t *testing.T) {
	for text, lines := range map[string][]int{
		"package p\nallow if {":                                                                           {2},
		"package p\nallow := \"yes\"":                                                                     {2},
		"package p\nallow contains \"x\"":                                                                 {2},
		"package p\nallow := {true}":                                                                      {2},
		"package p\nallow if input.trust > 3":                                                             {2},
		"package p\nallow if input.subject.name == \"x\"":                                                 {2},
		"package p\nallow if input.trust_score == \"high\"":                                               {2},
		"package p\nallow if {\n input.trust_score > 100\n}":                                              {2},
		"package p\nallow if false":                                                                       {2},
		"package p\nallow if { input.lineage.depth < 3; input.lineage.depth >= 3 }":                       {2},
		"package p\nallow if { input.lineage.depth > 3; input.lineage.depth < 4 }":                        {2},
		"package p\nallow if { input.object.attributes.amount > 3; input.object.attributes.amount <= 3 }": {2},
		"package p\nallow if { input.object.attributes.amount == 3; input.object.attributes.amount < 3 }": {2},
		"package p\nallow if input.lineage.depth < 0":                                                     {2},
		"package p\nallow if http.send({})":                                                               {2},
		"package p\ndefault allow := false":                                                               {1},
		"package p\nhelper := 1":                                                                          {1},
		"package p\nallow if { some act in input.lineage.acts; act.by == \"ana\" }":                       {2},
	} {
		var have []int
		faults := regoFaults(t, text)
		for _, f := range faults {
			have = append(have, f.Line)
		}
		if !slices.Equal(slices.Compact(have), lines) {
			t.Errorf("%s: %v, want lines %v", text, faults, lines)
		}
	}
}

// What a module that can't be read may hold is not said to be missing.
func TestRegoFaultsOfALostModule(t *testing.T) {
	for name, text := range map[string]string{
		"long":        "package a\nallow if input.trust_score > 1\n#" + strings.Repeat(" ", 4<<20),
		"a semicolon": "package a; allow if {{",
		"quoted":      "package data[\"a\"]\nallow if {{",
	} {
		faults, err := check.Rego(fstest.MapFS{
			"a.rego": &fstest.MapFile{Data: []byte("package a\ndefault allow := false")},
			"b.rego": &fstest.MapFile{Data: []byte(text)},
		}, "policies")
		if err != nil || len(faults) != 1 || faults[0].File != "policies/b.rego" {
			t.Errorf("%s: %v, %v", name, faults, err)
		}
	}
}

// Faults of all modules are found together.
func TestRegoFaultsTogether(t *testing.T) {
	faults, err := check.Rego(fstest.MapFS{
		"a.rego": &fstest.MapFile{Data: []byte("package a\nallow if {")},
		"b.rego": &fstest.MapFile{Data: []byte("package b\nallow := {true}")},
		"c.rego": &fstest.MapFile{Data: []byte("package c\ndefault allow := false\nallow if input.trust_score > 100\nother if input.nothing == 1")},
		"d.rego": &fstest.MapFile{Data: []byte("package d\ndefault allow := false")},
		"e.rego": &fstest.MapFile{Data: []byte("package e\ndefault allow := false")},
		"f.rego": &fstest.MapFile{Data: []byte("package e\nallow if {{")},
		"g.rego": &fstest.MapFile{Data: []byte("package g\nallow := \"yes\" if input.nothing\nallow if http.send({})")},
		"h.rego": &fstest.MapFile{Data: []byte("package h\nallow if other\nother if input.nothing")},
	}, "policies")
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, f := range faults {
		have = append(have, fmt.Sprintf("%s:%d", f.File, f.Line))
	}
	want := []string{
		"policies:1", "policies/a.rego:2", "policies/b.rego:2", "policies/c.rego:3", "policies/c.rego:4", "policies/f.rego:2",
		"policies/g.rego:2", "policies/g.rego:3", "policies/h.rego:3",
	}
	if slices.Sort(have); !slices.Equal(slices.Compact(have), slices.Sorted(slices.Values(want))) {
		t.Errorf("%v", faults)
	}
	said := 0
	for _, f := range faults {
		if strings.Contains(f.Text, "never changes its mind") {
			if said++; !strings.Contains(f.Text, "policy d ") {
				t.Error(f)
			}
		}
	}
	if said != 1 {
		t.Errorf("%d policies have only a default", said)
	}
}
