// Package wasmbounds rewrites a module so that a compiler without guard pages
// checks the bounds of fewer accesses to its memory.
//
// Such a compiler (wazero's) compares each address with the memory's size, and
// remembers for each value how far it has checked. An object is mostly accessed
// from its start on, so that it checks again for each member. Here the first
// access by a value is preceded by one to the furthest byte that any access by
// it takes: one check, and its result is dropped, so that nothing is loaded.
//
// The furthest byte may be behind the end of the memory where the code wouldn't
// have come to it. So the memory is made one page larger than the module knows,
// and nothing is checked further than a page ahead. What changes is that an
// access within that page behind the end doesn't trap any more. It is still the
// module's own memory.
package wasmbounds
