package regowasm_test

import (
	"context"
	"testing"

	"kest.example/kest"
	"kest.example/kest/kesttest"
	"kest.example/kest/policy/cedar"
	"kest.example/kest/policy/rego"
)

const (
	allowRego = `package p

allow if {
	input.trust_score >= 10
	not forbidden
}

forbidden if {
	some taint in input.subject.taints
	taint in {"pii", "phi"}
}
`
	allowCedar = `permit(principal, action, resource) when {
	context.trust_score >= 10 && !(context.subject.taints.containsAny(["pii", "phi"]))
};`
)

// BenchmarkDecision is one policy, with the context made for it: in Cedar, in
// Rego natively, and in Rego compiled, on wazero.
func BenchmarkDecision(b *testing.B) {
	bundle := load(b, map[string]string{"p.rego": allowRego})
	native, err := rego.New(bundle)
	if err != nil {
		b.Fatal(err)
	}
	inCedar, err := cedar.New(map[string]string{"p": allowCedar}, nil)
	if err != nil {
		b.Fatal(err)
	}
	c := kesttest.Context(b, "op")
	for _, e := range []struct {
		name   string
		engine kest.Engine
	}{{"cedar", inCedar}, {"rego", native}, {"compiled", open(b, bundle)}} {
		b.Run(e.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d, err := e.engine.Evaluate(context.Background(), "p", c); err != nil || !d.Allow {
					b.Fatal(d, err)
				}
			}
		})
	}
}
