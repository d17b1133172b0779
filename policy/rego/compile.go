package rego

import (
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

func (l *loader) compile() {
	c := l.compileModules(l.bundle.parsedModules(l.name))
	if c == nil || len(c.Errors) == 0 {
		l.bundle.compiler = c
		return
	}
	first, refused := c.Errors, slices.Clip(l.faults)
	// OPA stops at the first stage that finds something. What it found is taken
	// out, so that the rest shows its own faults.
	d := newDraft(l.bundle.parsedModules(l.name), &l.lost)
	for range mostRounds {
		c = l.compileModules(d.copy())
		l.compileFaults(c.Errors, refused)
		if !d.takeOut(c.Errors) {
			break
		}
	}
	if len(c.Errors) == 0 {
		l.bundle.compiler = c
	}
	if len(l.faults) == 0 {
		l.compileFaults(first, nil)
	}
}

// mostRounds is more than OPA's compiler has stages.
const mostRounds = 64

func (l *loader) compileModules(modules map[string]*ast.Module) *ast.Compiler {
	c, err := newCompiler(l.bundle.Data)
	if err != nil {
		l.dataFault(1, oneLine(err.Error()))
		return nil
	}
	if l.schema != nil {
		schemas := ast.NewSchemaSet()
		schemas.Put(ast.SchemaRootRef, l.schema)
		c = c.WithSchemas(schemas)
	}
	c.Compile(modules)
	return c
}

// compileFaults notes errors, but for those that follow from what was taken out,
// and for OPA's on a line where a built-in is refused.
func (l *loader) compileFaults(errs ast.Errors, refused Faults) {
	for _, e := range errs {
		f := faultOf(l.prefix, e)
		if !l.lost.explains(l.packageOf(f.File), e.Message) && !slices.ContainsFunc(refused, func(r *Fault) bool { return r.File == f.File && r.Line == f.Line }) {
			l.faults = append(l.faults, f)
		}
	}
}

func (l *loader) packageOf(file string) string {
	for _, m := range l.bundle.Modules {
		if m.parsed != nil && l.name(m.Path) == file {
			return m.parsed.Package.Path.String()
		}
	}
	return ""
}

// draft is modules of which faulty rules are taken out.
type draft struct {
	modules map[string]*ast.Module
	emptied map[*ast.Rule]bool
	lost    *lost
}

// newDraft has the calls in template strings as terms with a place: OPA's
// compiler loses it, and its errors would have none.
func newDraft(modules map[string]*ast.Module, lost *lost) *draft {
	for _, m := range modules {
		templateCalls(m, func(call *ast.Expr, at *ast.Location) {
			if terms, ok := call.Terms.([]*ast.Term); ok {
				call.Terms = ast.CallTerm(terms...).SetLocation(at)
			}
		})
	}
	return &draft{modules, make(map[*ast.Rule]bool), lost}
}

func (d *draft) copy() map[string]*ast.Module {
	modules := make(map[string]*ast.Module, len(d.modules))
	for file, m := range d.modules {
		modules[file] = m.Copy()
	}
	return modules
}

// takeOut empties the rules in which errors are; what is faulty even so, or
// outside a rule, goes. It reports whether anything changed.
func (d *draft) takeOut(errs ast.Errors) (changed bool) {
	type place struct {
		file string
		row  int // of the rule's start, 0 for outside
	}
	places := make(map[place]bool)
	for _, e := range errs {
		if e.Location == nil || d.modules[e.Location.File] == nil {
			continue
		}
		p := place{file: e.Location.File}
		for _, r := range d.modules[p.file].Rules {
			if r.Location.Row <= e.Location.Row {
				p.row = max(p.row, r.Location.Row)
			}
		}
		places[p] = true
	}
	for p := range places {
		m := d.modules[p.file]
		if m == nil {
			continue
		}
		if p.row == 0 {
			d.lost.add(m.Package.Path.String())
			delete(d.modules, p.file)
			continue
		}
		d.takeOutRules(m, p.row)
	}
	return len(places) > 0
}

func (d *draft) takeOutRules(m *ast.Module, row int) {
	kept := m.Rules[:0]
	for _, r := range m.Rules {
		switch {
		case r.Location.Row != row:
			kept = append(kept, r)
		case r.Default || d.emptied[r]:
			d.lost.add(m.Package.Path.String())
		default:
			empty := emptied(r)
			d.emptied[empty] = true
			kept = append(kept, empty)
		}
	}
	m.Rules = kept
}

// emptied returns a rule of the same name and arguments that always holds, with
// a value of which nothing is known.
func emptied(r *ast.Rule) *ast.Rule {
	anything := ast.NewTerm(ast.MustParseRef(`data["what was taken out"]`))
	empty := r.Copy()
	empty.Else, empty.Body = nil, ast.NewBody(ast.NewExpr(ast.BooleanTerm(true)))
	if h := empty.Head; h.Key != nil {
		h.Key = anything
	}
	if h := empty.Head; h.Value != nil {
		h.Value = anything
	}
	for i, t := range empty.Head.Reference {
		if i > 0 && !t.IsGround() {
			empty.Head.Reference[i] = anything
		}
	}
	return empty
}

// lost are packages, such as data.team, of which rules were taken out.
type lost []string

func (l *lost) add(pkg string) { *l = append(*l, pkg) }

// plainPackage is a package's path that is written as OPA writes it.
var plainPackage = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)

// module notes the package of a module that doesn't parse, or that it may be any.
func (l *lost) module(text []byte) {
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "package" {
			if plainPackage.MatchString(f[1]) {
				l.add("data." + f[1])
				return
			}
			break
		}
	}
	l.add("data")
}

// has reports whether rules of a package may be among them.
func (l lost) has(pkg string) bool { return slices.Contains(l, pkg) || slices.Contains(l, "data") }

// explains reports whether an error in a package may only be there because of
// what was taken out.
func (l lost) explains(pkg, message string) bool {
	about := message
	for _, kind := range [...]string{"undefined function ", "undefined ref: "} {
		about = strings.TrimPrefix(about, kind)
	}
	return slices.ContainsFunc(l, func(name string) bool {
		if strings.HasSuffix(message, " is unsafe") {
			return name == "data" || name == pkg
		}
		return strings.HasPrefix(about, name+".")
	})
}
