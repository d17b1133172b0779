package wasmbin_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"kest.example/kest/internal/wasmbin"
	"kest.example/kest/wasm"
)

type code = wasmbin.Code

const (
	i32 = wasmbin.I32
	i64 = wasmbin.I64
)

// library has a memory, a table, globals and functions, and exports them.
func library() *wasmbin.Module {
	m := &wasmbin.Module{
		Tables:   []wasmbin.Table{{Element: wasmbin.FuncRef, Limits: wasmbin.Limits{Min: 2, Max: 2, HasMax: true}}},
		Memories: []wasmbin.Limits{{Min: 1}},
		Data: []wasmbin.Data{
			{Offset: new(code).I32(8).End(), Bytes: []byte("library")},
			{Bytes: []byte("passive")},
		},
		DataCount: true,
	}
	unary := m.AddType([]byte{i32}, []byte{i32})
	counter := m.AddGlobal(40)
	twice := m.AddFunction(unary, new(code).Get(0).I32(1).Op(wasmbin.OpI32Shl).Body())
	// Counts up, by the table: f(x) = table[0](x) + counter++.
	count := m.AddFunction(unary, new(code).
		Get(0).I32(0).With(wasmbin.OpCallIndirect, unary).Op(0).
		With(wasmbin.OpGlobalGet, counter).Op(wasmbin.OpI32Add).
		With(wasmbin.OpGlobalGet, counter).I32(1).Op(wasmbin.OpI32Add).With(wasmbin.OpGlobalSet, counter).Body())
	read := m.AddFunction(unary, new(code).I32(0).I32(0).I32(7).Init(1, 0).Get(0).Load8().Body())
	m.Elements = []wasmbin.Element{{Offset: new(code).I32(0).End(), Indexes: []uint32{twice, count}}}
	m.Exports = []wasmbin.Export{
		{Name: "twice", Kind: wasmbin.FunctionKind, Index: twice},
		{Name: "count", Kind: wasmbin.FunctionKind, Index: count},
		{Name: "read", Kind: wasmbin.FunctionKind, Index: read},
		{Name: "counter", Kind: wasmbin.GlobalKind, Index: counter},
	}
	return m
}

// program uses the library, and has parts of its own of all kinds.
func program() *wasmbin.Module {
	m := &wasmbin.Module{Customs: []wasmbin.Custom{{Name: "note", Bytes: []byte("kept")}}}
	m.AddType([]byte{i64}, nil)
	unary := m.AddType([]byte{i32}, []byte{i32})
	imported := func(module, name string) uint32 {
		m.Imports = append(m.Imports, wasmbin.Import{Module: module, Name: name, Kind: wasmbin.FunctionKind, Type: unary})
		return m.Imported(wasmbin.FunctionKind) - 1
	}
	host, count := imported("host", "plus"), imported("library", "count")
	m.Imports = append(m.Imports, wasmbin.Import{
		Module: "library", Name: "counter", Kind: wasmbin.GlobalKind, Global: wasmbin.GlobalType{Value: i32, Mutable: true},
	})
	own := m.AddGlobal(1000)
	run := m.AddFunction(unary, new(code).
		Op(wasmbin.OpBlock, i32).Get(0).Call(count).Call(host).Op(wasmbin.OpEnd).
		With(wasmbin.OpGlobalGet, own).Op(wasmbin.OpI32Add).
		With(wasmbin.OpGlobalGet, 0).I32(5).Op(wasmbin.OpI32Add).With(wasmbin.OpGlobalSet, 0).Body())
	replaced := m.AddFunction(unary, new(code).I32(-1).Body())
	calls := m.AddFunction(unary, new(code).Get(0).Call(replaced).Body())
	m.Exports = []wasmbin.Export{
		{Name: "run", Kind: wasmbin.FunctionKind, Index: run},
		{Name: "calls", Kind: wasmbin.FunctionKind, Index: calls},
		{Name: "replaced", Kind: wasmbin.FunctionKind, Index: replaced},
	}
	return m
}

func instance(t *testing.T, module []byte) func(name string, x uint64) uint64 {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	t.Cleanup(func() { _ = r.Close(ctx) })
	if _, err := r.NewHostModuleBuilder("host").NewFunctionBuilder().
		WithFunc(func(x uint32) uint32 { return x + 100000 }).Export("plus").Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	m, err := r.Instantiate(ctx, module)
	if err != nil {
		t.Fatal(err)
	}
	return func(name string, x uint64) uint64 {
		result, err := m.ExportedFunction(name).Call(ctx, x)
		if err != nil {
			t.Fatal(err)
		}
		return result[0]
	}
}

func TestLink(t *testing.T) {
	main, lib := program(), library()
	replaced, _ := main.Export("replaced", wasmbin.FunctionKind)
	m, err := wasmbin.Link(
		wasmbin.Part{Name: "program", Module: main, Replace: map[uint32]wasmbin.Symbol{replaced: {Module: "other", Name: "read"}}},
		wasmbin.Part{Name: "library", Aliases: []string{"other"}, Module: lib},
	)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	call := instance(t, m.Encode())
	for i, want := range []uint64{14 + 40 + 100000 + 1000, 14 + 46 + 100000 + 1000} {
		if have := call("run", 7); have != want {
			t.Errorf("run %d: %d, want %d", i, have, want)
		}
	}
	if have := call("calls", 0); have != 'p' {
		t.Errorf("what is replaced gives %d", have)
	}
	if have := call("replaced", 1); have != 'a' {
		t.Errorf("what is replaced gives %d to the outside", have)
	}
	if text, ok := m.Custom("note"); !ok || string(text) != "kept" || len(m.Exports) != 3 {
		t.Errorf("the first part's outside is not kept: %q, %d exports", text, len(m.Exports))
	}
}

func TestLinkRefuses(t *testing.T) {
	start := uint32(0)
	for name, change := range map[string]func(main, lib *wasmbin.Module){
		"a start function": func(_, lib *wasmbin.Module) { lib.Start = &start },
		"another type":     func(main, _ *wasmbin.Module) { main.Imports[1].Type = 0 },
		"another kind": func(main, _ *wasmbin.Module) {
			main.Imports[1].Kind, main.Imports[1].Name = wasmbin.FunctionKind, "counter"
		},
		"an export of nothing":  func(_, lib *wasmbin.Module) { lib.Exports[1].Index = 99 },
		"a type that isn't":     func(main, _ *wasmbin.Module) { main.Functions[0] = 99 },
		"a function that isn't": func(main, _ *wasmbin.Module) { main.Code[0] = new(code).Call(99).Body() },
		"a circle": func(_, lib *wasmbin.Module) {
			lib.Imports = []wasmbin.Import{{Module: "library", Name: "count", Kind: wasmbin.FunctionKind, Type: 0}}
			lib.Exports[1].Index = 0
		},
	} {
		main, lib := program(), library()
		change(main, lib)
		_, err := wasmbin.Link(wasmbin.Part{Name: "program", Module: main}, wasmbin.Part{Name: "library", Module: lib})
		if !errors.Is(err, wasmbin.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is taken apart and put together again is what it was, and what every
// part's indexes are stays so when modules with other numbers come along.
func TestRoundTrip(t *testing.T) {
	for name, module := range modules(t) {
		m, err := wasmbin.Parse(module)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := m.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(m.Encode(), module) {
			t.Errorf("%s comes out as other bytes", name)
		}
		alone, err := wasmbin.Link(wasmbin.Part{Name: "it", Module: m})
		if err != nil || !bytes.Equal(alone.Encode(), module) {
			t.Errorf("%s linked with nothing is other bytes: %v", name, err)
		}
	}
}

func modules(t testing.TB) map[string][]byte {
	t.Helper()
	list := map[string][]byte{"program": program().Encode(), "library": library().Encode(), "everything": everything().Encode()}
	for name, read := range map[string]func() ([]byte, error){"policy.wasm": wasm.Policy, "lineage.wasm": wasm.Lineage} {
		module, err := read()
		if err != nil {
			t.Fatal(err)
		}
		list[name] = module
	}
	return list
}

// everything has what no module of ours has, but a linked one may.
func everything() *wasmbin.Module {
	start := uint32(0)
	m := &wasmbin.Module{
		Memories: []wasmbin.Limits{{Min: 1}, {Min: 1, Max: 2, HasMax: true}}, Start: &start, DataCount: true,
		Tables: []wasmbin.Table{{Element: wasmbin.FuncRef}, {Element: wasmbin.FuncRef, Limits: wasmbin.Limits{Min: 1}}},
		Data:   []wasmbin.Data{{Memory: 1, Offset: new(code).I32(0).End(), Bytes: []byte("x")}, {Bytes: []byte("y")}},
	}
	nothing := m.AddType(nil, nil)
	m.Tags = []uint32{nothing}
	m.AddGlobal(3)
	m.AddFunction(nothing, bytes.Join([][]byte{
		{1, 2, i64}, // locals
		{wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpTryTable, wasmbin.NoResult, 4, 0, 0, 0, 2, 0, 1, 0, 0, 3, 0},
		{wasmbin.OpThrow, 0, wasmbin.OpEnd, wasmbin.OpEnd},
		{wasmbin.OpI32Const, 0, wasmbin.OpI32Load, 0x42, 1, 0x10, wasmbin.OpDrop, wasmbin.OpMemorySize, 1, wasmbin.OpDrop},
		{wasmbin.OpMisc, 8, 1, 1, wasmbin.OpMisc, 9, 1, wasmbin.OpMisc, 10, 1, 0, wasmbin.OpMisc, 11, 1},
		{wasmbin.OpMisc, 12, 1, 1, wasmbin.OpMisc, 13, 1, wasmbin.OpMisc, 14, 1, 0, wasmbin.OpMisc, 16, 1},
		{wasmbin.OpI32Const, 0, wasmbin.OpBrTable, 1, 0, 0, wasmbin.OpRefNull, wasmbin.FuncRef, wasmbin.OpRefFunc, 0},
		{wasmbin.OpSelectTyped, 1, i32, wasmbin.OpF64Const, 1, 2, 3, 4, 5, 6, 7, 8, wasmbin.OpF32Const, 1, 2, 3, 4, wasmbin.OpReturnCall, 0},
		{wasmbin.OpTableGet, 1, wasmbin.OpCallIndirect, 0, 1, wasmbin.OpEnd},
	}, nil))
	m.Elements = []wasmbin.Element{
		{Table: 1, Offset: new(code).I32(0).End(), Indexes: []uint32{0}}, {Indexes: []uint32{0}}, {Declared: true, Indexes: []uint32{0}},
	}
	return m
}

// A module of which a part is linked behind others has all of its indexes moved.
func TestIndexesMove(t *testing.T) {
	second := everything()
	second.Start = nil
	m, err := wasmbin.Link(wasmbin.Part{Name: "a", Module: everything()}, wasmbin.Part{Name: "b", Module: second})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	want := bytes.NewBuffer(nil)
	for _, part := range [][]byte{
		{1, 2, i64},
		{wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpTryTable, wasmbin.NoResult, 4, 0, 1, 0, 2, 0, 1, 1, 0, 3, 0},
		{wasmbin.OpThrow, 1, wasmbin.OpEnd, wasmbin.OpEnd},
		{wasmbin.OpI32Const, 0, wasmbin.OpI32Load, 0x42, 3, 0x10, wasmbin.OpDrop, wasmbin.OpMemorySize, 3, wasmbin.OpDrop},
		{wasmbin.OpMisc, 8, 3, 3, wasmbin.OpMisc, 9, 3, wasmbin.OpMisc, 10, 3, 2, wasmbin.OpMisc, 11, 3},
		{wasmbin.OpMisc, 12, 4, 3, wasmbin.OpMisc, 13, 4, wasmbin.OpMisc, 14, 3, 2, wasmbin.OpMisc, 16, 3},
		{wasmbin.OpI32Const, 0, wasmbin.OpBrTable, 1, 0, 0, wasmbin.OpRefNull, wasmbin.FuncRef, wasmbin.OpRefFunc, 1},
		{wasmbin.OpSelectTyped, 1, i32, wasmbin.OpF64Const, 1, 2, 3, 4, 5, 6, 7, 8, wasmbin.OpF32Const, 1, 2, 3, 4, wasmbin.OpReturnCall, 1},
		{wasmbin.OpTableGet, 3, wasmbin.OpCallIndirect, 0, 3, wasmbin.OpEnd},
	} {
		want.Write(part)
	}
	if !bytes.Equal(m.Code[1], want.Bytes()) {
		t.Errorf("the code is\n%x, want\n%x", m.Code[1], want.Bytes())
	}
	if e := m.Elements[3]; e.Table != 3 || e.Indexes[0] != 1 {
		t.Errorf("the element segment is %+v", e)
	}
	if d := m.Data[2]; d.Memory != 3 {
		t.Errorf("the data segment is %+v", d)
	}
}

func TestMalformed(t *testing.T) {
	const header = wasmbin.Header
	for name, text := range map[string]string{
		"nothing": "", "no module": "hello, world", "version 2": "\x00asm\x02\x00\x00\x00",
		"a section without a size":  header + "\x01",
		"a section that is cut":     header + "\x01\xff\xff\xff\xff\x0f",
		"a size of six bytes":       header + "\x01\x80\x80\x80\x80\x80\x00",
		"an unknown section":        header + "\x0e\x00",
		"a section twice":           header + "\x01\x01\x00\x01\x01\x00",
		"sections out of order":     header + "\x03\x01\x00\x01\x01\x00",
		"bytes behind a section":    header + "\x01\x02\x00\x00",
		"an unknown form of types":  header + "\x01\x04\x01\x5f\x00\x00",
		"an unknown value type":     header + "\x01\x05\x01\x60\x01\x00\x00",
		"a name that is not UTF-8":  header + "\x00\x02\x01\xff",
		"limits of another kind":    header + "\x05\x03\x01\x04\x00",
		"a tag of another kind":     header + "\x0d\x03\x01\x01\x00",
		"a constant that calls":     header + "\x06\x06\x01\x7f\x00\x10\x00\x0b",
		"a constant without an end": header + "\x06\x05\x01\x7f\x00\x41\x00",
		"an element of expressions": header + "\x09\x07\x01\x04\x41\x00\x0b\x01\xd0",
		"a segment of another kind": header + "\x0b\x02\x01\x03",
		"functions without bodies":  header + "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00",
	} {
		if m, err := wasmbin.Parse([]byte(text)); !errors.Is(err, wasmbin.ErrMalformed) || m != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInvalid(t *testing.T) {
	for name, change := range map[string]func(m *wasmbin.Module){
		"an export twice":          func(m *wasmbin.Module) { m.Exports = append(m.Exports, m.Exports[0]) },
		"an export of nothing":     func(m *wasmbin.Module) { m.Exports[0].Index = 99 },
		"a type that isn't":        func(m *wasmbin.Module) { m.Functions[0] = 99 },
		"a tag's type that isn't":  func(m *wasmbin.Module) { m.Tags = []uint32{99} },
		"a start that isn't":       func(m *wasmbin.Module) { f := uint32(99); m.Start = &f },
		"a body too few":           func(m *wasmbin.Module) { m.Code = m.Code[1:] },
		"a global that isn't":      func(m *wasmbin.Module) { m.Code[0] = new(code).With(wasmbin.OpGlobalGet, 99).Body() },
		"a label that isn't":       func(m *wasmbin.Module) { m.Code[0] = new(code).With(wasmbin.OpBr, 1).Body() },
		"a block without an end":   func(m *wasmbin.Module) { m.Code[0] = new(code).Op(wasmbin.OpBlock, wasmbin.NoResult).Body() },
		"code behind the end":      func(m *wasmbin.Module) { m.Code[0] = append(new(code).Body(), wasmbin.OpEnd) },
		"an unknown instruction":   func(m *wasmbin.Module) { m.Code[0] = new(code).Op(0xfd).Body() },
		"segments without a count": func(m *wasmbin.Module) { m.DataCount = false },
		"an element that isn't":    func(m *wasmbin.Module) { m.Elements[0].Indexes[0] = 99 },
		"a table that isn't":       func(m *wasmbin.Module) { m.Elements[0].Table = 1 },
		"a memory that isn't":      func(m *wasmbin.Module) { m.Data[0].Memory = 1 },
		"a constant that isn't":    func(m *wasmbin.Module) { m.Data[0].Offset = new(code).With(wasmbin.OpGlobalGet, 9).End() },
	} {
		m := library()
		change(m)
		if err := m.Validate(); !errors.Is(err, wasmbin.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFindCustom(t *testing.T) {
	module := program().Encode()
	if text, err := wasmbin.FindCustom(module, "note"); err != nil || string(text) != "kept" {
		t.Errorf("%q, %v", text, err)
	}
	if text, err := wasmbin.FindCustom(module, "absent"); err != nil || text != nil {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := wasmbin.FindCustom(wasmbin.AppendCustom(module, "note", nil), "note"); !errors.Is(err, wasmbin.ErrMalformed) {
		t.Errorf("a section twice: %v", err)
	}
	if _, err := wasmbin.FindCustom([]byte(strings.Repeat("x", 20)), "note"); !errors.Is(err, wasmbin.ErrMalformed) {
		t.Errorf("no module: %v", err)
	}
}

// Nothing panics; what is valid comes out as it is read, and links with itself
// to something valid.
func FuzzModule(f *testing.F) {
	for name, module := range modules(f) {
		if !strings.HasSuffix(name, ".wasm") {
			f.Add(module)
		}
	}
	f.Fuzz(func(t *testing.T, module []byte) {
		m, err := wasmbin.Parse(module)
		if err != nil || m.Validate() != nil {
			return
		}
		again, err := wasmbin.Parse(m.Encode())
		if err != nil || !bytes.Equal(again.Encode(), m.Encode()) {
			t.Fatalf("what was written is read otherwise: %v", err)
		}
		second := *again
		second.Start = nil
		linked, err := wasmbin.Link(wasmbin.Part{Name: "a", Module: m}, wasmbin.Part{Name: "b", Module: &second})
		if err != nil {
			return // it may import from itself what it doesn't export so
		}
		if err := linked.Validate(); err != nil {
			t.Errorf("linked with itself it is invalid: %v", err)
		}
	})
}
