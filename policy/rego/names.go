package rego

import "github.com/open-policy-agent/opa/v1/ast"

// names visits what a module that was parsed refers to.
type names struct {
	ref  func(ref ast.Ref, at *ast.Location) // each reference, also a call's
	bare func(ast.Var)                       // each variable that stands for itself
}

func (n *names) walk(m *ast.Module) {
	var v *ast.GenericVisitor
	inside := func(ref ast.Ref) {
		for i, t := range ref {
			if _, name := t.Value.(ast.Var); i > 0 || !name {
				v.Walk(t)
			}
		}
	}
	v = ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Head: // of which OPA's visitor leaves the reference out
			inside(x.Ref())
		case *ast.Term:
			ref, ok := x.Value.(ast.Ref)
			if ok {
				n.ref(ref, x.Location)
				inside(ref)
			}
			return ok
		case ast.Var:
			n.bare(x)
		}
		return false
	})
	for _, i := range m.Imports {
		v.Walk(i.Path)
	}
	for _, r := range m.Rules {
		v.Walk(r)
	}
}

// templateCalls visits the calls that template strings show, with their place.
func templateCalls(m *ast.Module, f func(call *ast.Expr, at *ast.Location)) {
	ast.WalkTerms(m, func(t *ast.Term) bool {
		if template, ok := t.Value.(*ast.TemplateString); ok {
			for _, part := range template.Parts {
				if e, ok := part.(*ast.Expr); ok && e.IsCall() {
					f(e, t.Location)
				}
			}
		}
		return false
	})
}
