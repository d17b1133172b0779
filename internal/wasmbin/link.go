package wasmbin

import (
	"bytes"
	"slices"
)

// Part is a module that is linked with others.
type Part struct {
	Name    string // the module name by which the others import what it exports
	Aliases []string
	Module  *Module
	// Replace names, for functions of this module, exports of other parts that
	// are called in their place.
	Replace map[uint32]Symbol
}

// Symbol is what a part exports.
type Symbol struct{ Module, Name string }

func (p *Part) named(module string) bool {
	return p.Name == module || slices.Contains(p.Aliases, module)
}

// Link makes one module of several. Imports that another part exports are
// resolved; the others stay imports. Only the first part's exports and custom
// sections are kept, and only it may have a start function. Its memories and
// tables keep their numbers. An import that a part exports as another kind or
// type, or a chain of imports that ends nowhere, is an error.
func Link(parts ...Part) (*Module, error) {
	l := &linker{parts: parts, out: &Module{}, maps: make([]remapping, len(parts))}
	if err := l.number(); err != nil {
		return nil, err
	}
	for i := range parts {
		if err := l.copyPart(i); err != nil {
			return nil, err
		}
	}
	return l.out, nil
}

type linker struct {
	parts []Part
	out   *Module
	maps  []remapping
}

// number decides which number each thing has in the new module.
func (l *linker) number() error {
	for i := range l.parts {
		if i > 0 && l.parts[i].Module.Start != nil {
			return malformed("%s has a start function", l.parts[i].Name)
		}
		l.types(i)
		for space := range spaces {
			if space != Types {
				l.maps[i][space] = make([]uint32, l.parts[i].Module.count(space))
			}
		}
	}
	l.keepImports()
	l.define()
	for i := range l.parts {
		if err := l.resolveAll(i); err != nil {
			return err
		}
	}
	return nil
}

func (l *linker) types(i int) {
	list := l.parts[i].Module.Types
	l.maps[i][Types] = make([]uint32, len(list))
	for t, typ := range list {
		if i == 0 { // as they are, or the numbers of a large module would change for nothing
			l.out.Types = append(l.out.Types, typ)
			l.maps[i][Types][t] = uint32(t)
			continue
		}
		l.maps[i][Types][t] = l.out.AddType(typ.Params, typ.Results)
	}
}

// count is how many things there are in an index space, imports included.
func (m *Module) count(space Space) uint32 {
	n := [spaces]int{
		len(m.Types), len(m.Functions), len(m.Tables), len(m.Memories), len(m.Globals), len(m.Tags), len(m.Elements), len(m.Data),
	}[space]
	for kind, s := range kindSpaces {
		if s == space {
			n += int(m.Imported(Kind(kind)))
		}
	}
	return uint32(n) //nolint:gosec // counted by 32 bits
}

// eachImport goes over imports with their numbers in their spaces.
func (m *Module) eachImport(visit func(imported *Import, index uint32)) {
	var next [TagKind + 1]uint32
	for i := range m.Imports {
		kind := m.Imports[i].Kind
		visit(&m.Imports[i], next[kind])
		next[kind]++
	}
}

// keepImports numbers what no part exports.
func (l *linker) keepImports() {
	var next [TagKind + 1]uint32
	for i := range l.parts {
		l.parts[i].Module.eachImport(func(imported *Import, index uint32) {
			if _, _, found := l.find(Symbol{imported.Module, imported.Name}); found {
				return
			}
			kept := *imported
			if kept.Kind == FunctionKind || kept.Kind == TagKind {
				if t, ok := l.maps[i].at(Types, kept.Type); ok {
					kept.Type = t
				}
			}
			l.out.Imports = append(l.out.Imports, kept)
			l.maps[i][kindSpaces[kept.Kind]][index] = next[kept.Kind]
			next[kept.Kind]++
		})
	}
}

// define numbers what the parts themselves define.
func (l *linker) define() {
	var next [spaces]uint32
	for kind, space := range kindSpaces {
		next[space] = l.out.Imported(Kind(kind))
	}
	for i := range l.parts {
		for space := Functions; space < spaces; space++ {
			numbers := l.maps[i][space]
			for index := l.parts[i].Module.firstDefined(space); index < uint32(len(numbers)); index++ { //nolint:gosec // counted by 32 bits
				numbers[index] = next[space]
				next[space]++
			}
		}
	}
}

func (m *Module) firstDefined(space Space) uint32 {
	for kind, s := range kindSpaces {
		if s == space {
			return m.Imported(Kind(kind))
		}
	}
	return 0
}

// find returns the part that exports a symbol.
func (l *linker) find(s Symbol) (part int, export Export, found bool) {
	for i := range l.parts {
		if !l.parts[i].named(s.Module) {
			continue
		}
		for _, e := range l.parts[i].Module.Exports {
			if e.Name == s.Name {
				return i, e, true
			}
		}
	}
	return 0, Export{}, false
}

func (l *linker) resolveAll(i int) (err error) {
	m := l.parts[i].Module
	m.eachImport(func(imported *Import, index uint32) {
		s := Symbol{imported.Module, imported.Name}
		if _, _, found := l.find(s); !found || err != nil {
			return
		}
		l.maps[i][kindSpaces[imported.Kind]][index], err = l.resolve(s, imported.Kind, imported.Type, m)
	})
	for function, s := range l.parts[i].Replace {
		if err != nil || function >= m.count(Functions) {
			return malformed("%s %s can't replace function %d", s.Module, s.Name, function)
		}
		typ, _ := m.TypeOf(function)
		l.maps[i][Functions][function], err = l.resolve(s, FunctionKind, m.AddType(typ.Params, typ.Results), m)
	}
	return err
}

// resolve follows a symbol to its number in the new module, over parts that
// only hand on what they import.
func (l *linker) resolve(s Symbol, kind Kind, typ uint32, user *Module) (uint32, error) {
	for range len(l.parts) + 1 {
		part, export, found := l.find(s)
		if !found || export.Kind != kind {
			return 0, malformed("nothing of the kind of %s %s is exported", s.Module, s.Name)
		}
		m := l.parts[part].Module
		if kind == FunctionKind && !sameType(user, typ, m, export.Index) {
			return 0, malformed("%s %s has another type than where it is imported", s.Module, s.Name)
		}
		space := kindSpaces[kind]
		if export.Index >= m.count(space) {
			return 0, malformed("%s exports %s %d, which isn't there", s.Module, space, export.Index)
		}
		if export.Index >= m.firstDefined(space) {
			return l.maps[part][space][export.Index], nil
		}
		next, ok := m.importAt(kind, export.Index)
		if !ok {
			break
		}
		if _, _, found := l.find(next); !found {
			return l.maps[part][space][export.Index], nil
		}
		s = next
	}
	return 0, malformed("%s %s is imported in a circle", s.Module, s.Name)
}

func sameType(user *Module, typ uint32, owner *Module, function uint32) bool {
	a, okA := user.typeAt(typ)
	b, okB := owner.TypeOf(function)
	return okA && okB && bytes.Equal(a.Params, b.Params) && bytes.Equal(a.Results, b.Results)
}

func (m *Module) importAt(kind Kind, index uint32) (s Symbol, ok bool) {
	m.eachImport(func(imported *Import, i uint32) {
		if imported.Kind == kind && i == index {
			s, ok = Symbol{imported.Module, imported.Name}, true
		}
	})
	return s, ok
}

// copyPart adds a part's definitions to the new module.
func (l *linker) copyPart(i int) error {
	m, numbers, out := l.parts[i].Module, &l.maps[i], l.out
	c := copier{numbers: numbers}
	for _, t := range m.Functions {
		out.Functions = append(out.Functions, c.index(Types, t))
	}
	out.Tables = append(out.Tables, m.Tables...)
	out.Memories = append(out.Memories, m.Memories...)
	for _, t := range m.Tags {
		out.Tags = append(out.Tags, c.index(Types, t))
	}
	for _, g := range m.Globals {
		out.Globals = append(out.Globals, Global{g.Type, c.expression(g.Init)})
	}
	for _, e := range m.Elements {
		out.Elements = append(out.Elements, c.element(e))
	}
	for _, body := range m.Code {
		out.Code = append(out.Code, c.body(body))
	}
	for _, d := range m.Data {
		if d.Offset != nil {
			d.Memory, d.Offset = c.index(Memories, d.Memory), c.expression(d.Offset)
		}
		out.Data = append(out.Data, d)
	}
	out.DataCount = out.DataCount || m.DataCount
	if i == 0 {
		c.outside(m, out)
	}
	return c.err
}

// copier rewrites a part's indexes and keeps the first error.
type copier struct {
	numbers *remapping
	err     error
}

func (c *copier) index(space Space, index uint32) uint32 {
	n, ok := c.numbers.at(space, index)
	if !ok && c.err == nil {
		c.err = malformed("there is no %s %d", space, index)
	}
	return n
}

func (c *copier) expression(e []byte) []byte { return c.keep(c.numbers.expression(e)) }

func (c *copier) body(b []byte) []byte { return c.keep(c.numbers.body(b)) }

func (c *copier) keep(b []byte, err error) []byte {
	if c.err == nil {
		c.err = err
	}
	return b
}

func (c *copier) element(e Element) Element {
	if e.Offset != nil {
		e.Table, e.Offset = c.index(Tables, e.Table), c.expression(e.Offset)
	}
	indexes := make([]uint32, len(e.Indexes))
	for i, f := range e.Indexes {
		indexes[i] = c.index(Functions, f)
	}
	e.Indexes = indexes
	return e
}

// outside copies what the first part shows to the outside.
func (c *copier) outside(m, out *Module) {
	for _, e := range m.Exports {
		e.Index = c.index(kindSpaces[e.Kind], e.Index)
		out.Exports = append(out.Exports, e)
	}
	if m.Start != nil {
		start := c.index(Functions, *m.Start)
		out.Start = &start
	}
	out.Customs = append(out.Customs, m.Customs...)
}
