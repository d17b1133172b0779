package kest

import "slices"

// Grant says what the principals that fit a pattern may claim of themselves
// (CONTRACT 3.7). An absent member grants nothing.
type Grant struct {
	Principal    Pattern
	Origins      []string  // the origins as which they may root
	RemoveTaints []Pattern // the taints that they may remove
	MaxOverride  int       // how far an override of theirs may raise trust
	MaxRootTrust int       // how much trust a root of theirs may have
}

// Authority is a list of grants. All that match a principal unite.
type Authority []Grant

// of unites the grants of one principal.
func (a Authority) of(principal string) Grant {
	var all Grant
	for i := range a {
		g := &a[i]
		if !g.Principal.Match(principal) {
			continue
		}
		all.Origins = unite(all.Origins, g.Origins)
		all.RemoveTaints = unite(all.RemoveTaints, g.RemoveTaints)
		all.MaxOverride = max(all.MaxOverride, g.MaxOverride)
		all.MaxRootTrust = max(all.MaxRootTrust, g.MaxRootTrust)
	}
	return all
}

// unite appends one list to another, and shares it where there is no other.
func unite[T any](list, more []T) []T {
	if len(list) == 0 {
		return slices.Clip(more)
	}
	return append(list, more...)
}

// knows reports whether a grant is for exactly such a principal.
func (a Authority) knows(principal string) bool {
	return slices.ContainsFunc(a, func(g Grant) bool { return g.Principal.Match(principal) })
}

// check holds an entry's claims against its signer's grants and says what is
// beyond them; floor is the least score among its parents.
func (a Authority) check(e *Entry, floor int, origins Origins) (detail string) {
	g := a.of(e.Principal())
	for _, t := range e.RemovedTaints {
		if !matchAny(g.RemoveTaints, t) {
			return "it may not remove the taint " + t
		}
	}
	if e.IsRoot() {
		return g.checkRoot(e, origins)
	}
	if e.TrustScore > floor && e.TrustScore > g.MaxOverride {
		return "an override of its trust is not granted so far"
	}
	return ""
}

func (g Grant) checkRoot(e *Entry, origins Origins) (detail string) {
	best := 0
	for _, o := range g.Origins {
		best = max(best, origins.root(o))
	}
	source := e.Labels[LabelSourceType]
	switch {
	case len(g.Origins) == 0:
		return "it may not be a root"
	case source != "" && !slices.Contains(g.Origins, source):
		return "it may not be a root of origin " + source
	case source != "":
		best = origins.root(source)
	}
	override := e.Classification == ClassSanitizer && e.TrustScore <= g.MaxOverride
	if e.TrustScore > best && !override {
		return "a root of its origin may not have so much trust"
	}
	if e.TrustScore > g.MaxRootTrust {
		return "its roots may not have so much trust"
	}
	return ""
}
