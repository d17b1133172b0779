// Package regobuiltin holds the built-in functions of Rego that OPA's compiled
// form leaves to its host. It serves guests, where the size of code counts, and
// the Go host alike.
//
// A call gives what OPA's own interpreter gives with strict built-in errors, or
// an error, on which whoever asks denies. Names has the functions there are.
//
// # Values
//
// Values cross as the text that opa_value_dump writes and opa_value_parse reads:
// JSON, in which objects may have keys of any kind, and sets: {1, 2} and set().
// Strings are valid UTF-8; a result that isn't is an error.
//
// A number is its decimal text, so that none loses precision: 9007199254740993
// and 0.1 stay themselves. Numbers are compared by value, 1 and 1.0 being one.
// Where a function needs an integer, one beyond 64 bits is an error; so is a
// number of which no double comes near, such as 1e400.
//
// # Where OPA gives a result and this package an error
//
//   - arguments and results beyond MaxText, MaxDepth or MaxValues, and strings
//     that aren't valid UTF-8
//   - regular expressions beyond what package regex does
//   - times of another zone than UTC
//   - sprintf with an integer beyond 64 bits, or with widths that come to megabytes
//   - object.subset, strings.any_prefix_match, strings.any_suffix_match and
//     json.patch, where they take more than a bounded amount of work
//   - json.patch that goes on in a value which it has put in place of the whole one
//
// json.patch does what OPA's does also where that is not RFC 6902: an index into
// an array that an earlier operation has moved may find what stood there at first.
package regobuiltin
