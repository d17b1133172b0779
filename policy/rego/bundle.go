package rego

import (
	"cmp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"
)

// Bundle is a folder of modules, read and checked.
type Bundle struct {
	Modules  []Module // by path
	Policies []Policy // by name
	Data     []byte   // the root document, canonical JSON; {} where there is none
	compiler *ast.Compiler
	lost     lost
}

// Module is one file.
type Module struct {
	Path   string // relative to the folder, with slashes
	Text   []byte
	parsed *ast.Module // nil where it is faulty
}

// Policy is a package with a rule allow.
type Policy struct {
	Name   string // its package's path, with slashes
	Digest string // hex SHA-256, see POLICY.md
	ref    ast.Ref
}

// Rule is one rule of a bundle's own modules.
type Rule struct {
	File string
	Line int
}

// AllowRule is one of the rules that decide a policy, as it was parsed.
type AllowRule struct {
	Rule
	Policy string
	Node   *ast.Rule
}

// AllowRules returns the rules allow of all policies, but for defaults.
func (b *Bundle) AllowRules() (list []AllowRule) {
	for _, m := range b.Modules {
		if m.parsed == nil {
			continue
		}
		for _, r := range m.parsed.Rules {
			if !r.Default && isAllow(r) {
				list = append(list, AllowRule{Rule{r.Location.File, r.Location.Row}, nameOf(m.parsed.Package.Path), r})
			}
		}
	}
	return list
}

// Whole reports whether all rules of a policy's package could be read.
func (b *Bundle) Whole(policy string) bool {
	for _, p := range b.Policies {
		if p.Name == policy {
			return !b.lost.has(p.ref[:len(p.ref)-1].String())
		}
	}
	return false
}

// AllowType returns what OPA's type checker knows of a policy's allow, in its words.
func (b *Bundle) AllowType(policy string) (text string, mayBeBoolean bool) {
	for _, p := range b.Policies {
		if b.compiler != nil && p.Name == policy {
			t := b.compiler.TypeEnv.GetByValue(p.ref)
			return types.Sprint(t), types.Compare(t, types.B) == 0 || types.Contains(types.Or(types.B, types.Nl), t) || types.Contains(t, types.B)
		}
	}
	return "", true // faults kept it from looking
}

// Rules returns the rules on which a policy depends, but for defaults and the
// library's, by file and line.
func (b *Bundle) Rules(policy string) (list []Rule) {
	name := canonicalName(policy)
	for _, p := range b.Policies {
		if p.Name != name {
			continue
		}
		for _, r := range reachable(b.compiler, p.ref) {
			if !r.Default && r.Location != nil && r.Location.File != "" {
				list = append(list, Rule{r.Location.File, r.Location.Row})
			}
		}
	}
	slices.SortFunc(list, func(a, b Rule) int { return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	return slices.Compact(list)
}

// Parsed returns a copy of every module by its path, the library's included,
// for a compiler that changes them.
func (b *Bundle) Parsed() map[string]*ast.Module {
	return b.parsedModules(func(file string) string { return file })
}

func (b *Bundle) parsedModules(name func(file string) string) map[string]*ast.Module {
	modules := map[string]*ast.Module{libraryFile: libraryModule()}
	for _, m := range b.Modules {
		if m.parsed != nil {
			modules[name(m.Path)] = m.parsed.Copy()
		}
	}
	return modules
}

func isAllow(r *ast.Rule) bool {
	ref := r.Head.Ref()
	return len(ref) > 0 && ref[0].Value.Compare(ast.Var("allow")) == 0
}

// nameOf returns a package's path without data, with slashes.
func nameOf(pkg ast.Ref) string {
	parts := make([]string, 0, len(pkg))
	for _, t := range pkg[1:] {
		if s, ok := t.Value.(ast.String); ok {
			parts = append(parts, string(s))
		}
	}
	return strings.Join(parts, "/")
}
