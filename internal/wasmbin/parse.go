package wasmbin

import "unicode/utf8"

// Parse reads a module. Its instructions are not looked at: Validate does that.
func Parse(module []byte) (*Module, error) {
	sections, err := Split(module)
	if err != nil {
		return nil, err
	}
	m := &Module{}
	last := byte(0)
	for _, s := range sections {
		if s.ID != SectionCustom {
			if position(s.ID) <= last {
				return nil, malformed("section %d stands at the wrong place, or is unknown", s.ID)
			}
			last = position(s.ID)
		}
		r := NewReader(s.Body)
		m.section(s.ID, r)
		if !r.Done() {
			r.Fail("section %d has bytes behind its end", s.ID)
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	if len(m.Code) != len(m.Functions) {
		return nil, malformed("there is not one body for each function")
	}
	return m, nil
}

// order of the sections in a module (core specification, section 5.5.2).
var order = [...]byte{
	SectionType, SectionImport, SectionFunction, SectionTable, SectionMemory, SectionTag, SectionGlobal,
	SectionExport, SectionStart, SectionElement, SectionDataCount, SectionCode, SectionData,
}

// position is where a section stands, from 1; 0 for an unknown one.
func position(id byte) byte {
	for i, o := range order {
		if o == id {
			return byte(i) + 1
		}
	}
	return 0
}

func (m *Module) section(id byte, r *Reader) {
	switch id {
	case SectionCustom:
		m.Customs = append(m.Customs, Custom{r.name(), r.Bytes(uint64(len(r.Rest())))})
	case SectionType:
		r.vector(func() { m.Types = append(m.Types, r.funcType()) })
	case SectionImport:
		r.vector(func() { m.Imports = append(m.Imports, r.imported()) })
	case SectionFunction:
		r.vector(func() { m.Functions = append(m.Functions, r.Uint()) })
	case SectionTable:
		r.vector(func() { m.Tables = append(m.Tables, r.table()) })
	case SectionMemory:
		r.vector(func() { m.Memories = append(m.Memories, r.limits()) })
	case SectionTag:
		r.vector(func() { m.Tags = append(m.Tags, r.tag()) })
	case SectionGlobal:
		r.vector(func() { m.Globals = append(m.Globals, Global{r.globalType(), r.expression()}) })
	case SectionExport:
		r.vector(func() { m.Exports = append(m.Exports, Export{r.name(), r.kind(), r.Uint()}) })
	case SectionStart:
		start := r.Uint()
		m.Start = &start
	case SectionElement:
		r.vector(func() { m.Elements = append(m.Elements, r.element()) })
	case SectionDataCount:
		m.DataCount = true
		r.Uint()
	case SectionCode:
		r.vector(func() { m.Code = append(m.Code, r.Block()) })
	case SectionData:
		r.vector(func() { m.Data = append(m.Data, r.data()) })
	}
}

func (r *Reader) name() string {
	b := r.Block()
	if !utf8.Valid(b) {
		r.Fail("a name is not UTF-8")
	}
	return string(b)
}

func (r *Reader) funcType() FuncType {
	if form := r.Byte(); form != typeFunction {
		r.Fail("a type of form 0x%02x is unknown", form)
	}
	return FuncType{r.valueTypes(), r.valueTypes()}
}

func (r *Reader) valueTypes() []byte {
	list := r.Block()
	for _, t := range list {
		if !valueType(t) {
			r.Fail("the value type 0x%02x is unknown", t)
		}
	}
	return list
}

func valueType(t byte) bool {
	return t >= F64 && t <= I32 || t == FuncRef || t == ExternRef || t == ExnRef
}

func (r *Reader) kind() Kind {
	k := Kind(r.Byte())
	if k > TagKind {
		r.Fail("an import or export of kind %d is unknown", k)
	}
	return k
}

func (r *Reader) imported() Import {
	i := Import{Module: r.name(), Name: r.name(), Kind: r.kind()}
	switch i.Kind {
	case FunctionKind:
		i.Type = r.Uint()
	case TableKind:
		i.Table = r.table()
	case MemoryKind:
		i.Memory = r.limits()
	case GlobalKind:
		i.Global = r.globalType()
	case TagKind:
		i.Type = r.tag()
	}
	return i
}

func (r *Reader) table() Table { return Table{r.Byte(), r.limits()} }

func (r *Reader) limits() (l Limits) {
	switch flags := r.Byte(); flags {
	case 0:
	case 1:
		l.HasMax = true
	default:
		r.Fail("limits of kind %d are unknown", flags)
	}
	l.Min = r.Uint()
	if l.HasMax {
		l.Max = r.Uint()
	}
	return l
}

func (r *Reader) tag() uint32 {
	if attribute := r.Byte(); attribute != 0 {
		r.Fail("a tag of kind %d is unknown", attribute)
	}
	return r.Uint()
}

func (r *Reader) globalType() GlobalType {
	t := GlobalType{Value: r.Byte()}
	mutable := r.Byte()
	if !valueType(t.Value) || mutable > 1 {
		r.Fail("a global's type is unknown")
	}
	t.Mutable = mutable == 1
	return t
}

// expression reads a constant expression with its end.
func (r *Reader) expression() []byte {
	start := r.at
	for r.err == nil {
		switch i := r.Instruction(); i.Op {
		case OpEnd:
			return r.b[start:r.at:r.at]
		case OpI32Const, OpI64Const, OpF32Const, OpF64Const, OpGlobalGet, OpRefNull, OpRefFunc:
		default:
			r.Fail("the instruction 0x%02x stands in a constant expression", i.Op)
		}
	}
	return nil
}

// Kinds of element segments: bit 0 is for those not written at the start, bit 1
// for an explicit table, or for declared ones.
func (r *Reader) element() (e Element) {
	kind := r.Uint()
	if kind > 3 {
		r.Fail("an element segment of kind %d is unknown", kind)
		return e
	}
	switch kind {
	case 0:
		e.Offset = r.expression()
	case 2:
		e.Table = r.Uint()
		e.Offset = r.expression()
	}
	e.Declared = kind == 3
	if kind != 0 && r.Byte() != 0 {
		r.Fail("an element segment holds no functions")
	}
	r.vector(func() { e.Indexes = append(e.Indexes, r.Uint()) })
	return e
}

func (r *Reader) data() (d Data) {
	switch kind := r.Uint(); kind {
	case 0:
		d.Offset = r.expression()
	case 1:
	case 2:
		d.Memory = r.Uint()
		d.Offset = r.expression()
	default:
		r.Fail("a data segment of kind %d is unknown", kind)
	}
	d.Bytes = r.Block()
	return d
}
