package table_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"kest.example/kest/policy/table"
)

const good = `# refunds
policy: team/refunds
rego: rego
cedar: refunds.cedar
base: {subject: {taints: [a], user: ana}, object: {attributes: {limit: 5, team: x}}}
cases:
  - name: foreign taint
    context: {subject: {taints: [pci]}, object: {attributes: {limit: null}}}
    now: 2026-01-01T00:00:00Z
    allow: false
    reason: no
  - allow: true
    name: base alone
`

func TestParse(t *testing.T) {
	tab, err := table.Parse("dir/refunds.test.yaml", []byte("\ufeff"+good)) // with a byte order mark
	if err != nil {
		t.Fatal(err)
	}
	if tab.Policy != "team/refunds" || tab.Rego != "dir/rego" || tab.Cedar != "dir/refunds.cedar" || tab.Wasm != "" || len(tab.Cases) != 2 {
		t.Fatalf("%+v", tab)
	}
	first, second := tab.Cases[0], tab.Cases[1]
	if first.Name != "foreign taint" || first.Line != 7 || first.Allow || !first.HasReason || first.Reason != "no" {
		t.Errorf("%+v", first)
	}
	if c := first.Context; !slices.Equal(c.Subject.Taints, []string{"pci"}) || c.Subject.Actor.User != "ana" ||
		c.Environment.TimestampMS != time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() ||
		c.Object.Attributes.Len() != 1 || c.Object.Attributes.Get("team").Str() != "x" {
		t.Errorf("%+v", c)
	}
	if second.Line != 13 || !second.Allow || second.HasReason || second.Context.Subject.Taints[0] != "a" {
		t.Errorf("%+v", second)
	}
}

func TestEveryFaultHasItsLine(t *testing.T) {
	for text, lines := range map[string][]int{
		"":                                {1},
		"[]":                              {1},
		"a: [":                            {1},
		"policy: p\npolicy: q\n":          {2},
		"policy: p\n---\npolicy: q":       {1},
		"policy: p\nrego: x\n":            {1},
		"policy: p\nrego: x\ncases: []\n": {3},
		"policy: p q\nrego: x\nmore: 1\ncases:\n  - name: a\n    allow: true\n":                         {1, 3},
		"policy: p\ncases:\n  - name: a\n    allow: true\n":                                             {1},
		"policy: p\nrego: [x]\ncases:\n  - name: a\n    allow: true\n":                                  {1, 2},
		"policy: p\nrego: x\nbase: 1\ncases:\n  - name: a\n    allow: true\n":                           {3},
		"policy: p\nrego: x\ncases:\n  - name: a\n":                                                     {4},
		"policy: p\nrego: x\ncases:\n  - name: a\n    allow: \"true\"\n":                                {4},
		"policy: p\nrego: x\ncases:\n  - name: a\n    allow: ~\n":                                       {4},
		"policy: p\nrego: x\ncases:\n  - name: a\n    allow: true\n    why: b\n":                        {6},
		"policy: p\nrego: x\ncases:\n  - allow: true\n  - b\n":                                          {4, 5},
		"policy: p\nrego: x\ncases:\n  - name: a\n    allow: true\n    now: soon\n":                     {4},
		"policy: p\nrego: x\ncases:\n  - name: a\n    allow: true\n    context: {x: 1}\n":               {4},
		"policy: p\nrego: x\ncases:\n  - name: a\n    allow: true\n    context: {subject: {user: 1}}\n": {4},
		"policy: p\nrego: x\ncases:\n  - name: a\n    allow: true\n  - name: a\n    allow: true\n":      {6},
	} {
		tab, err := table.Parse("t.test.yaml", []byte(text))
		var faults table.Faults
		if !errors.As(err, &faults) || tab != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var have []int
		for _, f := range faults {
			have = append(have, f.Line)
		}
		if !slices.Equal(have, lines) {
			t.Errorf("%q: %v, want lines %v", text, err, lines)
		}
	}
}
