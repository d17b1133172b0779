package cedar

import (
	"context"
	"testing"

	cedargo "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"kest.example/kest"
	"kest.example/kest/policy/library"
	"kest.example/kest/policy/table"
)

// allowedRow is the context of the first row of a model's table that allows.
func allowedRow(b *testing.B, m *library.Model) *kest.Context {
	b.Helper()
	t, err := table.Parse(m.Name, []byte(m.Table))
	if err != nil {
		b.Fatal(err)
	}
	for _, row := range t.Cases {
		if row.Allow {
			return row.Context
		}
	}
	b.Fatalf("%s: no row allows", m.Name)
	return nil
}

// BenchmarkModels is each model of the library: a decision with the context made
// into Cedar's, and cedar-go alone on a context that is made already.
func BenchmarkModels(b *testing.B) {
	for _, m := range library.Models() {
		c := allowedRow(b, &m)
		e, err := New(map[string]string{m.Policy(): m.Cedar}, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(m.Name+"/evaluate", func(b *testing.B) {
			for b.Loop() {
				if d, err := e.Evaluate(context.Background(), m.Policy(), c); err != nil || !d.Allow {
					b.Fatal(d, err)
				}
			}
		})
		set, err := cedargo.NewPolicySetFromBytes(m.Name, []byte(m.Cedar))
		if err != nil {
			b.Fatal(err)
		}
		record, err := buildContext(c, nil)
		if err != nil {
			b.Fatal(err)
		}
		request := cedargo.Request{
			Principal: types.NewEntityUID("Workload", types.String(c.Subject.Workload)),
			Action:    types.NewEntityUID("Action", types.String(m.Policy())), Resource: types.NewEntityUID("Resource", "*"), Context: record,
		}
		b.Run(m.Name+"/authorize", func(b *testing.B) {
			for b.Loop() {
				if d, _ := cedargo.Authorize(set, nil, request); d != cedargo.Allow {
					b.Fatal(d)
				}
			}
		})
	}
}
