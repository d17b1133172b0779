// Package check finds what is wrong with policies before they are asked: syntax,
// names that nothing has, attributes that our context doesn't have, statements
// that can never match (POLICY.md, Commands).
package check

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Fault is one thing that is wrong, and where.
type Fault struct {
	File string
	Line int
	Text string
}

func (f Fault) Error() string { return f.File + ":" + strconv.Itoa(f.Line) + ": " + f.Text }

// sorted orders faults by file and line, each once.
func sorted(faults []Fault) []Fault {
	slices.SortFunc(faults, func(a, b Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), strings.Compare(a.Text, b.Text))
	})
	return slices.Compact(faults)
}
