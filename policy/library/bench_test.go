package library_test

import (
	"context"
	"testing"

	"kest.example/kest/policy/library"
)

// BenchmarkModels is a decision that allows: the first such row of each table.
func BenchmarkModels(b *testing.B) {
	for _, m := range library.Models() {
		c := tableOf(b, &m).Cases[0].Context
		for _, row := range tableOf(b, &m).Cases {
			if row.Allow {
				c = row.Context
				break
			}
		}
		for language, engine := range enginesOf(b, &m) {
			b.Run(m.Name+"/"+language, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if d, err := engine.Evaluate(context.Background(), m.Policy(), c); err != nil || !d.Allow {
						b.Fatal(d, err)
					}
				}
			})
		}
	}
}
