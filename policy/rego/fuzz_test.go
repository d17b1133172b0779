package rego_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"kest.example/kest/kesttest"
	"kest.example/kest/policy/rego"
)

// Whatever stands in a module, it is a bundle that decides, or faults with places.
func FuzzLoad(f *testing.F) {
	for _, way := range ways {
		f.Add("package p\n" + way)
	}
	f.Add("package p\nallow if {\n  $\"{walk(input)}\" == \"\"\n}\ny := y")
	f.Add("package p\nallow := x if {\n  http.send({})\n  some x in y\n} else := z\nf(x) := x")
	f.Add("package kest\nlineage.did(x, y) := 1\ndefault allow := no")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := rego.LoadFS(fstest.MapFS{"p.rego": {Data: []byte(text)}, "q.rego": {Data: []byte(beside)}}, "d", rego.WithoutPolicies())
		if err != nil {
			var faults rego.Faults
			if !errors.As(err, &faults) || b != nil {
				t.Fatalf("%v", err)
			}
			for _, f := range faults {
				if f.Line < 1 || f.Line > strings.Count(text, "\n")+2 || f.Text == "" || f.File == "" {
					t.Errorf("the fault is %+v", f)
				}
			}
			return
		}
		e, err := rego.New(b)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		for _, p := range b.Policies {
			if d, err := e.Evaluate(ctx, p.Name, kesttest.Context(t, "op")); err != nil && d.Allow {
				t.Errorf("%+v, %v", d, err)
			}
		}
	})
}
