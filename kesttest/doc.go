// Package kesttest is for tests of people who implement [kest.Provider],
// [kest.Engine], [kest.KeySource] or [kest.Cache], or who use Kest.
//
// It has doubles of these interfaces that a test can make fail, and checks of
// what Kest relies on:
//
//	func TestMyCache(t *testing.T) {
//		kesttest.TestCache(t, func() kest.Cache { return mycache.New() })
//	}
//
// A check that fails says which promise was broken and how. It works on any
// implementation: one in memory, or one that talks to a real service.
package kesttest
