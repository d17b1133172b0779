package library_test

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	oparego "github.com/open-policy-agent/opa/v1/rego"

	"kest.example/kest/policy/library"
)

// BenchmarkPreparedQuery is the native engine beside OPA's prepared query, in
// turn on every row of a model's table, as ratios of the times for all: to the
// query on an input that is made already, and on one that OPA makes of Go maps.
// The engine makes its own of a context each time.
func BenchmarkPreparedQuery(b *testing.B) {
	for _, m := range library.Models() {
		b.Run(m.Name, func(b *testing.B) {
			ctx := context.Background()
			query, err := oparego.New(oparego.Query("data.kest.library."+m.Name+".allow"), oparego.Module("policy.rego", m.Rego), oparego.StrictBuiltinErrors(true)).PrepareForEval(ctx)
			if err != nil {
				b.Fatal(err)
			}
			engine, cases := enginesOf(b, &m)["rego"], tableOf(b, &m).Cases
			parsed, maps := make([]oparego.EvalOption, len(cases)), make([]oparego.EvalOption, len(cases))
			for i, row := range cases {
				value, err := ast.ValueFromReader(bytes.NewReader(row.Context.JSON()))
				if err != nil {
					b.Fatal(err)
				}
				var goValue any
				if err := json.Unmarshal(row.Context.JSON(), &goValue); err != nil {
					b.Fatal(err)
				}
				parsed[i], maps[i] = oparego.EvalParsedInput(value), oparego.EvalInput(goValue)
			}
			prepared := func(input oparego.EvalOption, allow bool) time.Duration {
				start := time.Now()
				result, err := query.Eval(ctx, input)
				took := time.Since(start)
				if allow && err != nil || result.Allowed() != allow {
					b.Fatal(result, err)
				}
				return took
			}
			var ours, onParsed, onMaps time.Duration
			for b.Loop() {
				for i, row := range cases {
					start := time.Now()
					d, err := engine.Evaluate(ctx, m.Policy(), row.Context)
					ours += time.Since(start)
					if row.Allow && err != nil || d.Allow != row.Allow {
						b.Fatal(d, err)
					}
					onParsed += prepared(parsed[i], row.Allow)
					onMaps += prepared(maps[i], row.Allow)
				}
			}
			b.ReportMetric(float64(ours)/float64(onParsed), "x/parsed")
			b.ReportMetric(float64(ours)/float64(onMaps), "x/maps")
			b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N*len(cases)), "ns/decision")
		})
	}
}
