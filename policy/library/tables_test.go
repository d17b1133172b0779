package library_test

import (
	"context"
	"path"
	"testing"
	"testing/fstest"

	"kest.example/kest"
	"kest.example/kest/policy/cedar"
	"kest.example/kest/policy/library"
	"kest.example/kest/policy/rego"
	"kest.example/kest/policy/rego/regowasm"
	"kest.example/kest/policy/table"
)

// each runs a test per model. None left out by mistake goes unseen.
func each(t *testing.T, test func(t *testing.T, m *library.Model)) {
	t.Helper()
	models := library.Models()
	if len(models) != 8 {
		t.Fatalf("the library has %d models", len(models))
	}
	for _, m := range models {
		t.Run(m.Name, func(t *testing.T) { test(t, &m) })
	}
}

func tableOf(t testing.TB, m *library.Model) *table.Table {
	t.Helper()
	tab, err := table.Parse(path.Join(m.Name, m.Name+table.Suffix), []byte(m.Table))
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func cedarEngine(t testing.TB, m *library.Model, text string) *cedar.Engine {
	t.Helper()
	e, err := cedar.New(map[string]string{m.Policy(): text}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func bundleOf(text string) (*rego.Bundle, error) {
	return rego.LoadFS(fstest.MapFS{"policy.rego": &fstest.MapFile{Data: []byte(text)}}, "library")
}

func regoEngine(t testing.TB, text string) *rego.Engine {
	t.Helper()
	b, err := bundleOf(text)
	if err != nil {
		t.Fatal(err)
	}
	e, err := rego.New(b)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// compiledEngine runs what kest policy build makes of a module.
func compiledEngine(t testing.TB, text string) kest.Engine {
	t.Helper()
	b, err := bundleOf(text)
	if err != nil {
		t.Fatal(err)
	}
	module, err := regowasm.Compile(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	e, err := regowasm.New(context.Background(), module)
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

func enginesOf(t testing.TB, m *library.Model) map[string]kest.Engine {
	t.Helper()
	return map[string]kest.Engine{
		"cedar": cedarEngine(t, m, m.Cedar), "rego": regoEngine(t, m.Rego), "compiled rego": compiledEngine(t, m.Rego),
	}
}

// Both languages, and Rego compiled, give every row's verdict.
func TestTables(t *testing.T) {
	each(t, func(t *testing.T, m *library.Model) {
		tab := tableOf(t, m)
		if tab.Policy != m.Policy() || path.Clean(tab.Rego) != m.Name || tab.Cedar != m.Name+"/"+m.Name+".cedar" || len(tab.Cases) < 20 {
			t.Errorf("the table is for %s, %s and %s, and has %d rows", tab.Policy, tab.Rego, tab.Cedar, len(tab.Cases))
		}
		for language, engine := range enginesOf(t, m) {
			for _, row := range tab.Cases {
				d, err := engine.Evaluate(context.Background(), m.Policy(), row.Context)
				if allow := err == nil && d.Allow; allow != row.Allow {
					t.Errorf("%s:%d: %s: %s allows: %v (%s, %v)", tab.Path, row.Line, row.Name, language, allow, d.Reason, err)
				}
			}
		}
	})
}
