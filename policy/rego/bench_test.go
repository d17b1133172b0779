package rego_test

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	oparego "github.com/open-policy-agent/opa/v1/rego"

	"kest.example/kest/kesttest"
)

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
