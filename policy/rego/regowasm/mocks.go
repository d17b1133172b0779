package regowasm

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// mocksLast puts in each expression what "with" replaces into an order that OPA's
// planner gets right: it takes the document to replace from the n-th "with", and
// the path and the value from the n-th that is no function. So functions stand
// behind, of which it needs no document. Their order says nothing.
func mocksLast(m *ast.Module) {
	roots := make(map[ast.Var]ast.Var) // of names of this module
	for _, i := range m.Imports {
		if path, ok := i.Path.Value.(ast.Ref); ok {
			if root, ok := path[0].Value.(ast.Var); ok {
				roots[i.Name()] = root
			}
		}
	}
	for _, r := range m.Rules {
		if name, ok := r.Head.Ref()[0].Value.(ast.Var); ok {
			roots[name] = "data"
		}
	}
	ast.WalkExprs(m, func(e *ast.Expr) bool {
		slices.SortStableFunc(e.With, func(a, b *ast.With) int { return placeOf(a, roots) - placeOf(b, roots) })
		return false
	})
}

// placeOf is 0 for what is in the input, 1 for what is below data, where a
// function has the same root as a document, and 2 for a built-in.
func placeOf(w *ast.With, roots map[ast.Var]ast.Var) int {
	var root ast.Var
	switch target := w.Target.Value.(type) {
	case ast.Ref:
		root, _ = target[0].Value.(ast.Var)
	case ast.Var:
		root = target
	}
	if own, ok := roots[root]; ok {
		root = own
	}
	switch {
	case root == "input":
		return 0
	case root != "data" && ast.BuiltinMap[w.Target.String()] != nil:
		return 2
	}
	return 1
}
