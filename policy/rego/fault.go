package rego

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"kest.example/kest/internal/fault"
)

// Fault is one thing that is wrong with a module, and where.
type Fault = fault.Fault

// Faults are all that is wrong, by file and line.
type Faults = fault.List

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
		list = append(list, fault.New(file, 1, oneLine(err.Error())))
	}
	return list
}

func faultOf(file string, e *ast.Error) *Fault {
	f := fault.New(file, 1, oneLine(e.Message))
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
