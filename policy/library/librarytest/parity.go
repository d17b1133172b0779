// Package librarytest holds the library's models against each other: one model
// in several engines on contexts that are made at random (POLICY.md).
package librarytest

import (
	"context"
	"iter"
	"math/rand/v2"
	"testing"

	"kest.example/kest"
	"kest.example/kest/policy/library"
)

// Contexts makes n contexts for a model. The same seed makes the same ones.
func Contexts(t testing.TB, model string, seed uint64, n int) iter.Seq[*kest.Context] {
	t.Helper()
	words, known := vocabularies[model]
	if !known {
		t.Fatalf("the library has no model %q", model)
	}
	s := source{rand.New(rand.NewPCG(seed, uint64(len(model))))} //nolint:gosec // the contexts are to be the same each time
	return func(yield func(*kest.Context) bool) {
		for range n {
			v := s.context(&words)
			c, err := kest.ContextFromValue(&v)
			if err != nil {
				t.Fatalf("a context of %s: %v", model, err)
			}
			if !yield(c) {
				return
			}
		}
	}
}

// The share of contexts that a model should allow, in percent: few either way
// would show little.
const leastAllowed, mostAllowed = 10, 90

// maxShown is how many differences are shown before the rest is left.
const maxShown = 5

// CheckParity asks each engine for a model's policy on n contexts, and wants one
// verdict of all. It allows where Allow is set and there is no error.
func CheckParity(t testing.TB, model string, seed uint64, n int, engines ...kest.Engine) {
	t.Helper()
	if len(engines) < 2 {
		t.Fatalf("%d engines have nothing to compare", len(engines))
	}
	allowed, different := 0, 0
	for c := range Contexts(t, model, seed, n) {
		allow, same := ask(engines, model, c)
		if allow {
			allowed++
		}
		if !same {
			if different++; different <= maxShown {
				show(t, engines, model, c)
			}
		}
	}
	if different > 0 {
		t.Errorf("%s (seed %d): the engines differ on %d of %d contexts", model, seed, different, n)
	}
	if allowed*100 < n*leastAllowed || allowed*100 > n*mostAllowed {
		t.Errorf("%s (seed %d): %d of %d contexts are allowed: they show little", model, seed, allowed, n)
	}
	t.Logf("%s: %d of %d contexts are allowed", model, allowed, n)
}

// ask returns the first engine's verdict and whether it is everybody's.
func ask(engines []kest.Engine, model string, c *kest.Context) (allow, same bool) {
	same = true
	for i, e := range engines {
		d, err := e.Evaluate(context.Background(), library.Prefix+model, c)
		yes := err == nil && d.Allow
		if i == 0 {
			allow = yes
		}
		same = same && yes == allow
	}
	return allow, same
}

func show(t testing.TB, engines []kest.Engine, model string, c *kest.Context) {
	t.Helper()
	t.Errorf("%s: on %s", model, c.JSON())
	for i, e := range engines {
		d, err := e.Evaluate(context.Background(), library.Prefix+model, c)
		t.Errorf("  engine %d (%T): allows %v: %s, %v", i, e, err == nil && d.Allow, d.Reason, err)
	}
}
