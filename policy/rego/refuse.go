package rego

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// refused are the names of OPA's built-ins that policies may not use.
var refused = func() map[string]bool {
	allowed := make(map[string]bool)
	for _, b := range Capabilities().Builtins {
		allowed[b.Name] = true
	}
	names := make(map[string]bool)
	for _, b := range ast.Builtins {
		if !allowed[b.Name] {
			names[b.Name] = true
		}
	}
	return names
}()

// refuse finds the built-ins that are refused, wherever they stand: called,
// passed on by with, or inside print, which OPA's compiler takes out unseen.
// own are the names that the module's package gives to rules.
func (l *loader) refuse(m *ast.Module, own map[string]bool) {
	taken := make(map[string]bool)
	for _, i := range m.Imports {
		taken[string(i.Name())] = true
	}
	n := names{bare: func(v ast.Var) { taken[string(v)] = true }, ref: func(ast.Ref, *ast.Location) {}}
	n.walk(m)
	n.bare = func(ast.Var) {}
	n.ref = func(ref ast.Ref, at *ast.Location) {
		root, ok := ref[0].Value.(ast.Var)
		name := refusedName(ref)
		if ok && name != "" && !taken[string(root)] && !own[string(root)] {
			l.fault(at, "the built-in "+name+" is refused")
		}
	}
	n.walk(m)
	templateCalls(m, func(call *ast.Expr, at *ast.Location) {
		if call.Operator().String() == ast.WalkBuiltin.Name { // OPA refuses it too, and doesn't say where
			l.fault(at, "walk has no single result that a template string could show")
		}
	})
}

// refusedName returns the built-in that a reference is, or goes through.
func refusedName(ref ast.Ref) string {
	var name strings.Builder
	for i, t := range ref {
		switch v := t.Value.(type) {
		case ast.Var:
			if i > 0 {
				return ""
			}
			name.WriteString(string(v))
		case ast.String:
			name.WriteString("." + string(v))
		default:
			return ""
		}
		if refused[name.String()] {
			return name.String()
		}
	}
	return ""
}
