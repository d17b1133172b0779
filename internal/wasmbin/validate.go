package wasmbin

// Validate checks a module's structure: that every index is there, that blocks
// and their labels are balanced, that constants and segments fit. It doesn't
// check the types of what is on the stack: a runtime does.
func (m *Module) Validate() error {
	v := validator{m: m}
	for space := range spaces {
		v.counts[space] = m.count(space)
	}
	v.parts()
	for i, body := range m.Code {
		if v.err == nil {
			v.body(i, body)
		}
	}
	return v.err
}

type validator struct {
	m      *Module
	counts [spaces]uint32
	err    error
}

func (v *validator) fail(format string, args ...any) {
	if v.err == nil {
		v.err = malformed(format, args...)
	}
}

func (v *validator) index(space Space, index uint32) {
	if index >= v.counts[space] {
		v.fail("there is no %s %d", space, index)
	}
}

func (v *validator) parts() {
	m := v.m
	for i := range m.Imports {
		if m.Imports[i].Kind == FunctionKind || m.Imports[i].Kind == TagKind {
			v.index(Types, m.Imports[i].Type)
		}
	}
	for _, t := range m.Functions {
		v.index(Types, t)
	}
	for _, t := range m.Tags {
		v.index(Types, t)
	}
	for _, g := range m.Globals {
		v.expression(g.Init)
	}
	v.exports()
	v.segments()
	if len(m.Code) != len(m.Functions) {
		v.fail("there is not one body for each function")
	}
}

func (v *validator) exports() {
	names := make(map[string]bool)
	for _, e := range v.m.Exports {
		if names[e.Name] {
			v.fail("%q is exported twice", e.Name)
		}
		names[e.Name] = true
		v.index(kindSpaces[e.Kind], e.Index)
	}
	if v.m.Start != nil {
		v.index(Functions, *v.m.Start)
	}
}

func (v *validator) segments() {
	for _, e := range v.m.Elements {
		if e.Offset != nil {
			v.index(Tables, e.Table)
			v.expression(e.Offset)
		}
		for _, f := range e.Indexes {
			v.index(Functions, f)
		}
	}
	for _, d := range v.m.Data {
		if d.Offset != nil {
			v.index(Memories, d.Memory)
			v.expression(d.Offset)
		}
	}
}

func (v *validator) expression(e []byte) {
	r := NewReader(e)
	for !r.Done() {
		r.instruction(func(ref reference) { v.index(ref.space, ref.index) })
	}
	v.read(r)
}

func (v *validator) read(r *Reader) {
	if v.err == nil {
		v.err = r.err
	}
}

// body walks over one function.
func (v *validator) body(i int, body []byte) {
	r := NewReader(body)
	r.locals()
	depth := 1
	for !r.Done() {
		if depth == 0 {
			v.fail("function %d goes on behind its end", i)
			return
		}
		in := r.instruction(func(ref reference) { v.reference(ref) })
		switch in.Op {
		case OpBlock, OpLoop, OpIf, OpTryTable:
			depth++
		case OpEnd:
			depth--
		case OpBr, OpBrIf:
			if in.Immediate >= uint64(depth) {
				v.fail("function %d branches to a label that isn't there", i)
			}
		}
		if v.err != nil {
			return
		}
	}
	v.read(r)
	if depth != 0 {
		v.fail("function %d has no end", i)
	}
}

func (v *validator) reference(ref reference) {
	v.index(ref.space, ref.index)
	if ref.space == Datas && !v.m.DataCount {
		v.fail("code names a data segment, and there is no count of them")
	}
}
