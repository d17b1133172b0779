package rego

import (
	_ "embed"

	"github.com/open-policy-agent/opa/v1/ast"
)

// LibraryPackage is the package of helpers that every bundle has: see
// library/kest/lineage.rego.
const LibraryPackage = "data.kest.lineage"

//go:embed library/kest/lineage.rego
var libraryText string

// libraryFile stands for the library's path among those of modules, which all
// end in .rego.
const libraryFile = LibraryPackage

// libraryModule has rules without a file, which is how they are told apart.
func libraryModule() *ast.Module {
	return ast.MustParseModuleWithOpts(libraryText, ast.ParserOptions{RegoVersion: ast.RegoV1})
}

var libraryPath = ast.MustParseRef(LibraryPackage)

// meetsLibrary reports whether a reference can be one into the library, or to
// what holds it.
func meetsLibrary(ref ast.Ref) bool {
	for i := range min(len(ref), len(libraryPath)) {
		if (i == 0 || ref[i].IsGround()) && !ref[i].Equal(libraryPath[i]) {
			return false
		}
	}
	return true
}

// definesLibrary reports whether a rule would be one of the library's.
func definesLibrary(m *ast.Module, r *ast.Rule) bool {
	ref := m.Package.Path.Extend(r.Head.Ref())
	return len(ref) >= len(libraryPath) && meetsLibrary(ref)
}

// usesLibrary reports whether a module refers to the library.
func usesLibrary(m *ast.Module) (used bool) {
	n := names{
		ref:  func(ref ast.Ref, _ *ast.Location) { used = used || meetsLibrary(ref) },
		bare: func(v ast.Var) { used = used || v.Equal(libraryPath[0].Value) },
	}
	n.walk(m)
	return used
}
