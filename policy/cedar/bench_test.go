package cedar_test

import (
	"context"
	"testing"

	cedargo "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"kest.example/kest/kesttest"
	"kest.example/kest/policy/cedar"
)

const moderate = `permit(principal, action, resource)
when {
  context.trust_score >= 40 &&
  !context.taints.contains("pii") &&
  context.lineage.callers.contains("spiffe://example.org/edge") &&
  ["user_input", "internal"].containsAll(context.lineage.origins) &&
  context.environment.operation == "op"
};
forbid(principal, action, resource) when { context.lineage.min_trust < 10 };`

// BenchmarkEvaluate is a decision with the context made into Cedar's.
func BenchmarkEvaluate(b *testing.B) {
	e, err := cedar.New(map[string]string{"p": moderate}, nil)
	if err != nil {
		b.Fatal(err)
	}
	c := kesttest.Context(b, "op")
	b.ReportAllocs()
	for b.Loop() {
		if d, err := e.Evaluate(context.Background(), "p", c); err != nil || !d.Allow {
			b.Fatal(d, err)
		}
	}
}

// BenchmarkAuthorize is cedar-go alone, on a context that is made already.
func BenchmarkAuthorize(b *testing.B) {
	set, err := cedargo.NewPolicySetFromBytes("p.cedar", []byte(moderate))
	if err != nil {
		b.Fatal(err)
	}
	texts := func(list ...types.Value) types.Set { return types.NewSet(list...) }
	request := cedargo.Request{
		Principal: types.NewEntityUID("Workload", "spiffe://example.org/kesttest"),
		Action:    types.NewEntityUID("Action", "p"),
		Resource:  types.NewEntityUID("Resource", "*"),
		Context: types.NewRecord(types.RecordMap{
			"trust_score": types.Long(40),
			"taints":      texts(),
			"environment": types.NewRecord(types.RecordMap{"operation": types.String("op")}),
			"lineage": types.NewRecord(types.RecordMap{
				"callers":   texts(types.String("spiffe://example.org/edge")),
				"origins":   texts(types.String("user_input")),
				"min_trust": types.Long(40),
			}),
		}),
	}
	b.ReportAllocs()
	for b.Loop() {
		if d, _ := cedargo.Authorize(set, nil, request); d != cedargo.Allow {
			b.Fatal(d)
		}
	}
}
