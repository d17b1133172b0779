// Package fault is what is wrong with a file that a person wrote, and where.
package fault

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Fault is one thing that is wrong.
type Fault struct {
	File string
	Line int
	Text string
}

func (f *Fault) Error() string { return f.File + ":" + strconv.Itoa(f.Line) + ": " + f.Text }

// List is all that is wrong, an error of one line each.
type List []*Fault

func (l List) Error() string {
	lines := make([]string, len(l))
	for i, f := range l {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Sorted orders the list by file and line, each fault once. It changes the list.
func (l List) Sorted() List {
	slices.SortFunc(l, func(a, b *Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), strings.Compare(a.Text, b.Text))
	})
	return slices.CompactFunc(l, func(a, b *Fault) bool { return *a == *b })
}

// New makes a fault. Lines count from 1.
func New(file string, line int, text string) *Fault { return &Fault{file, line, text} }
