package cedar

import (
	"context"
	"slices"
	"testing"

	cedargo "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
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

// likeIt are contexts of the same content, of which each has attributes of the
// resource that were parsed for it, as a hook does it, and an id among them.
func likeIt(b *testing.B, m *library.Model) []*kest.Context {
	b.Helper()
	row := allowedRow(b, m)
	contexts := make([]*kest.Context, 256)
	for i := range contexts {
		attributes, err := jcs.Parse(jcs.Append(nil, row.Object.Attributes))
		if err != nil {
			b.Fatal(err)
		}
		id := jcs.Member{Name: "id", Value: jcs.IntValue(int64(i))}
		withID := jcs.ObjectValue(append(slices.Clone(attributes.Items()), id)...)
		c := *row
		c.Object.Attributes = &withID
		contexts[i] = &c
	}
	return contexts
}

// BenchmarkModels is each model of the library: cedar-go alone, on a context that
// is made already and holds what the policy reads; a decision with the context
// made into Cedar's; and one on a resource such as there was none before.
func BenchmarkModels(b *testing.B) {
	for _, m := range library.Models() {
		contexts := likeIt(b, &m)
		e := engineOf(b, m.Cedar)
		b.Run(m.Name+"/authorize", func(b *testing.B) { benchmarkAuthorize(b, m.Cedar, contexts[0]) })
		b.Run(m.Name+"/evaluate", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				mustAllow(b, e, contexts[i%len(contexts)])
			}
		})
		b.Run(m.Name+"/unseen", func(b *testing.B) {
			b.ReportAllocs()
			resource := e.objectPart()
			memories := make([]objects, 64)
			for i := 0; b.Loop(); i++ {
				resource.known = &memories[i%len(memories)]
				*resource.known = objects{}
				mustAllow(b, e, contexts[i%len(contexts)])
			}
		})
	}
}

func (e *Engine) objectPart() *part {
	parts := e.policies["p"].lazy.parts
	return &parts[slices.IndexFunc(parts, func(p part) bool { return p.name == "object_attributes" })]
}

func mustAllow(b *testing.B, e *Engine, c *kest.Context) {
	if d, err := e.Evaluate(context.Background(), "p", c); err != nil || !d.Allow {
		b.Fatal(d, err)
	}
}

func benchmarkAuthorize(b *testing.B, text string, c *kest.Context) {
	set, err := cedargo.NewPolicySetFromBytes("p", []byte(text))
	if err != nil {
		b.Fatal(err)
	}
	record, err := buildContext(c, usageOf(text))
	if err != nil {
		b.Fatal(err)
	}
	request := cedargo.Request{
		Principal: types.NewEntityUID("Workload", types.String(c.Subject.Workload)),
		Action:    types.NewEntityUID("Action", "p"), Resource: types.NewEntityUID("Resource", "*"), Context: record,
	}
	b.ReportAllocs()
	for b.Loop() {
		if d, _ := cedargo.Authorize(set, nil, request); d != cedargo.Allow {
			b.Fatal(d)
		}
	}
}
