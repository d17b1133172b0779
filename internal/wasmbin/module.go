package wasmbin

import "bytes"

// Header is what a module of version 1 begins with.
const Header = "\x00asm\x01\x00\x00\x00"

// Numbers of sections.
const (
	SectionCustom    byte = 0
	SectionType      byte = 1
	SectionImport    byte = 2
	SectionFunction  byte = 3
	SectionTable     byte = 4
	SectionMemory    byte = 5
	SectionGlobal    byte = 6
	SectionExport    byte = 7
	SectionStart     byte = 8
	SectionElement   byte = 9
	SectionCode      byte = 10
	SectionData      byte = 11
	SectionDataCount byte = 12
	SectionTag       byte = 13
)

// Section is one section, still in bytes.
type Section struct {
	ID   byte
	Body []byte
}

// Split takes a module apart into its sections. Their bytes are not copied.
func Split(module []byte) ([]Section, error) {
	rest, ok := bytes.CutPrefix(module, []byte(Header))
	if !ok {
		return nil, malformed("it does not begin as a module of version 1")
	}
	r := NewReader(rest)
	var list []Section
	for !r.Done() {
		s := Section{ID: r.Byte()}
		s.Body = r.Block()
		list = append(list, s)
	}
	return list, r.err
}

// FuncType is a function's type.
type FuncType struct{ Params, Results []byte }

// Kind says what an import or an export is.
type Kind byte

// The kinds of imports and exports.
const (
	FunctionKind Kind = iota
	TableKind
	MemoryKind
	GlobalKind
	TagKind
)

var kindSpaces = [...]Space{Functions, Tables, Memories, Globals, Tags}

// Limits of a memory (in pages of 64 KiB) or a table.
type Limits struct {
	Min, Max uint32
	HasMax   bool
}

// Import is one import. Which of the other members count depends on its kind.
type Import struct {
	Module, Name string
	Kind         Kind
	Type         uint32 // of a function or a tag
	Table        Table
	Memory       Limits
	Global       GlobalType
}

// Table is a table's type.
type Table struct {
	Element byte
	Limits  Limits
}

// GlobalType is a global's type.
type GlobalType struct {
	Value   byte
	Mutable bool
}

// Global is a global with the expression that it starts with.
type Global struct {
	Type GlobalType
	Init []byte // with its end
}

// Export is one export.
type Export struct {
	Name  string
	Kind  Kind
	Index uint32
}

// Element is a segment of a table: function indexes. Offset is nil in those
// that are not written at the start.
type Element struct {
	Declared bool // only says which functions are referred to
	Table    uint32
	Offset   []byte // with its end
	Indexes  []uint32
}

// Data is a segment of a memory. Offset is nil in those that are not written at
// the start.
type Data struct {
	Memory uint32
	Offset []byte // with its end
	Bytes  []byte
}

// Custom is a custom section.
type Custom struct {
	Name  string
	Bytes []byte
}

// Module is a module in parts. Its byte slices may be those that it was parsed of.
type Module struct {
	Types     []FuncType
	Imports   []Import
	Functions []uint32 // types
	Tables    []Table
	Memories  []Limits
	Tags      []uint32 // types
	Globals   []Global
	Exports   []Export
	Start     *uint32
	Elements  []Element
	Code      [][]byte // locals and instructions of each function
	Data      []Data
	DataCount bool
	Customs   []Custom
}

// Imported is how many imports of a kind there are: definitions are numbered
// behind them.
func (m *Module) Imported(kind Kind) (n uint32) {
	for i := range m.Imports {
		if m.Imports[i].Kind == kind {
			n++
		}
	}
	return n
}

// Export returns the index of what is exported under a name.
func (m *Module) Export(name string, kind Kind) (index uint32, ok bool) {
	for _, e := range m.Exports {
		if e.Name == name && e.Kind == kind {
			return e.Index, true
		}
	}
	return 0, false
}

// Custom returns a custom section; ok is false where there is none, or more than one.
func (m *Module) Custom(name string) (content []byte, ok bool) {
	for _, c := range m.Customs {
		if c.Name == name {
			if ok {
				return nil, false
			}
			content, ok = c.Bytes, true
		}
	}
	return content, ok
}

// TypeOf returns the type of a function, imported or defined.
func (m *Module) TypeOf(function uint32) (FuncType, bool) {
	var n uint32
	for i := range m.Imports {
		if m.Imports[i].Kind != FunctionKind {
			continue
		}
		if n == function {
			return m.typeAt(m.Imports[i].Type)
		}
		n++
	}
	if i := function - n; i < uint32(len(m.Functions)) { //nolint:gosec // counted by 32 bits
		return m.typeAt(m.Functions[i])
	}
	return FuncType{}, false
}

func (m *Module) typeAt(i uint32) (FuncType, bool) {
	if uint64(i) >= uint64(len(m.Types)) {
		return FuncType{}, false
	}
	return m.Types[i], true
}

// AddType returns the index of a function type, which is added where it is new.
func (m *Module) AddType(params, results []byte) uint32 {
	for i, t := range m.Types {
		if bytes.Equal(t.Params, params) && bytes.Equal(t.Results, results) {
			return uint32(i)
		}
	}
	m.Types = append(m.Types, FuncType{params, results})
	return uint32(len(m.Types) - 1) //nolint:gosec // counted by 32 bits
}

// AddFunction adds a function and returns its index.
func (m *Module) AddFunction(typ uint32, body []byte) uint32 {
	m.Functions = append(m.Functions, typ)
	m.Code = append(m.Code, body)
	return m.Imported(FunctionKind) + uint32(len(m.Functions)) - 1 //nolint:gosec // counted by 32 bits
}

// AddGlobal adds a mutable global of type i32 and returns its index.
func (m *Module) AddGlobal(value int32) uint32 {
	m.Globals = append(m.Globals, Global{GlobalType{I32, true}, new(Code).I32(value).End()})
	return m.Imported(GlobalKind) + uint32(len(m.Globals)) - 1 //nolint:gosec // counted by 32 bits
}

// AddGlobal64 adds a mutable global of type i64 and returns its index.
func (m *Module) AddGlobal64(value int64) uint32 {
	m.Globals = append(m.Globals, Global{GlobalType{I64, true}, new(Code).I64(value).End()})
	return m.Imported(GlobalKind) + uint32(len(m.Globals)) - 1 //nolint:gosec // counted by 32 bits
}

// CodeSize returns how many bytes a module's code section has, 0 where there is none.
func CodeSize(module []byte) (int, error) {
	sections, err := Split(module)
	if err != nil {
		return 0, err
	}
	for _, s := range sections {
		if s.ID == SectionCode {
			return len(s.Body), nil
		}
	}
	return 0, nil
}

// FindCustom returns a custom section of a module that is not taken apart
// otherwise; nil where there is none. Two of the name are an error.
func FindCustom(module []byte, name string) ([]byte, error) {
	sections, err := Split(module)
	if err != nil {
		return nil, err
	}
	var found []byte
	for _, s := range sections {
		if s.ID != SectionCustom {
			continue
		}
		r := NewReader(s.Body)
		if r.name() != name || r.err != nil {
			continue
		}
		if found != nil {
			return nil, malformed("there are two sections %q", name)
		}
		found = r.Rest()
	}
	return found, nil
}
