package library_test

import (
	"flag"
	"testing"

	"kest.example/kest/policy/library"
	"kest.example/kest/policy/library/librarytest"
)

var (
	paritySeed = flag.Uint64("parity.seed", 1, "seed of the contexts on which the languages are compared")
	parityN    = flag.Int("parity.n", 10000, "how many contexts a model")
)

// Cedar, Rego and Rego compiled decide alike, on contexts of which some are odd.
func TestParity(t *testing.T) {
	each(t, func(t *testing.T, m *library.Model) {
		librarytest.CheckParity(t, m.Name, *paritySeed, *parityN,
			cedarEngine(t, m, m.Cedar), regoEngine(t, m.Rego), compiledEngine(t, m.Rego))
	})
}
