package kest

import (
	"slices"

	"kest.example/kest/internal/jcs"
)

// labelSet returns the labels sorted by code point and without repeats. A list
// that is so already comes back as it is.
func labelSet(list []string) []string {
	sorted := true
	for i := 1; i < len(list); i++ {
		if list[i-1] >= list[i] {
			sorted = false
			break
		}
	}
	if sorted {
		return list
	}
	list = slices.Clone(list)
	jcs.SortStrings(list) // bytes of UTF-8 sort as code points do
	return slices.Compact(list)
}

// Taints returns (union of the parents' taints + added) − removed, sorted and
// without repeats (F-TT-04, TC-06).
func Taints(parents [][]string, added, removed []string) []string {
	n := len(added)
	for _, p := range parents {
		n += len(p)
	}
	if n == 0 {
		return nil
	}
	all := append(make([]string, 0, n), added...)
	for _, p := range parents {
		all = append(all, p...)
	}
	all = labelSet(all)
	if len(removed) == 0 {
		return all
	}
	removed = labelSet(removed)
	return slices.DeleteFunc(slices.Clone(all), func(t string) bool {
		_, gone := slices.BinarySearch(removed, t)
		return gone
	})
}

// missing returns the first label of want that have lacks; both are sets.
func missing(want, have []string) (label string, found bool) {
	have = labelSet(have)
	for _, w := range want {
		if _, ok := slices.BinarySearch(have, w); !ok {
			return w, true
		}
	}
	return "", false
}
