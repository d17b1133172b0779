package rego

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Fault is one thing that is wrong with a module, and where.
type Fault struct {
	File string
	Line int
	Text string
}

func (f *Fault) Error() string { return f.File + ":" + strconv.Itoa(f.Line) + ": " + f.Text }

// Faults are all that is wrong, by file and line.
type Faults []*Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

func (f Faults) has(file string, line int) bool {
	return slices.ContainsFunc(f, func(f *Fault) bool { return f.File == file && f.Line == line })
}

func (f Faults) sorted() Faults {
	slices.SortFunc(f, func(a, b *Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), strings.Compare(a.Text, b.Text))
	})
	return slices.CompactFunc(f, func(a, b *Fault) bool { return *a == *b })
}

// faultsOf takes apart what OPA says of a file.
func faultsOf(file string, err error) (list Faults) {
	switch e := err.(type) { //nolint:errorlint // OPA returns its lists unwrapped
	case ast.Errors:
		for _, one := range e {
			list = append(list, faultOf(file, one))
		}
	case *ast.Error:
		list = append(list, faultOf(file, e))
	default:
		list = append(list, &Fault{file, 1, oneLine(err.Error())})
	}
	return list
}

func faultOf(file string, e *ast.Error) *Fault {
	f := &Fault{file, 1, oneLine(e.Message)}
	if e.Location != nil {
		f.Line = max(e.Location.Row, 1)
		if e.Location.File != "" {
			f.File = e.Location.File
		}
	}
	if name, ok := strings.CutPrefix(f.Text, "undefined function "); ok {
		f.Text = "there is no built-in or function " + name
	}
	return f
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
