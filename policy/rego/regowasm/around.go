package regowasm

import (
	"strconv"

	"kest.example/kest/internal/regolink"
	"kest.example/kest/internal/wasmbin"
)

// Under these names the module that stands around OPA's finds its parts.
const (
	exportDepth = "kest_depth"
	exportStack = "kest_stack"
	exportStart = "kest_start"
	exportAgain = "kest_again" // not 0: the input is the one before
	exportKept  = "kest_kept"  // the input before, read; 0 where there is none
	exportTop   = "kest_top"   // behind it
)

// runtimeFunctions of OPA's are called from around it: with how many parameters.
var runtimeFunctions = []struct {
	name    string
	params  int
	nothing bool // no result
}{
	{"opa_malloc_init", 1, true},
	{"opa_heap_ptr_get", 0, false},
	{"opa_malloc", 1, false},
	{"opa_json_parse", 2, false},
	{"opa_value_parse", 2, false},
	{"opa_value_dump", 1, false},
	{"opa_array", 0, false},
	{"opa_array_append", 2, true},
	{"opa_eval", 7, false},
}

// around makes the module that stands around OPA's: it owns the memory, serves
// what OPA's imports, and begins each evaluation with the memory of the first.
type around struct {
	wasmbin.Module
	functions map[string]uint32
	globals   map[string]uint32
}

func (m *opaModule) around(dataAt int32, dataSize int, maxPages uint32) (*wasmbin.Module, error) {
	stack, err := m.stackPointer()
	if err != nil {
		return nil, err
	}
	m.Exports = append(m.Exports,
		wasmbin.Export{Name: exportStack, Kind: wasmbin.GlobalKind, Index: 0},
		wasmbin.Export{Name: exportStart, Kind: wasmbin.FunctionKind, Index: m.start})
	failed := m.addText("a built-in failed")
	a := &around{functions: make(map[string]uint32), globals: make(map[string]uint32)}
	a.Exports = []wasmbin.Export{{Name: regolink.ExportMemory, Kind: wasmbin.MemoryKind}}
	if err := a.imports(m); err != nil {
		return nil, err
	}
	for _, name := range []string{"ready", "data", "saved", "base"} {
		a.globals[name] = a.AddGlobal(0)
	}
	tooLarge, noInput := m.addText("the input is too large"), m.addText("there is no input before")
	a.define(regolink.ExportLength, 1, ints(1), lengthBody(), false)
	a.define("ready", 0, nil, a.readyBody(m.statics, dataAt, dataSize), true)
	a.define("opa_abort", 1, nil, new(wasmbin.Code).Get(0).Call(a.functions[regolink.FnAbort]).Body(), false)
	a.define("opa_println", 1, nil, new(wasmbin.Code).Body(), false)
	a.define(regolink.ExportInput, 1, ints(1), a.inputBody(tooLarge), false)
	a.define(regolink.ExportEval, 2, []byte{wasmbin.I64}, a.evalBody(m.statics, stack, noInput), false)
	for n := range 5 {
		a.define("opa_builtin"+strconv.Itoa(n), n+2, ints(1), a.builtinBody(uint32(n), failed), false)
	}
	a.Memories = []wasmbin.Limits{{Min: uint32(m.heap)>>16 + 2, Max: maxPages, HasMax: true}} //nolint:gosec // far below 2 GiB
	return &a.Module, nil
}

func ints(n int) []byte {
	list := make([]byte, n)
	for i := range list {
		list[i] = wasmbin.I32
	}
	return list
}

func (a *around) imported(module, name string, params int, results []byte) {
	a.Imports = append(a.Imports, wasmbin.Import{
		Module: module, Name: name, Kind: wasmbin.FunctionKind, Type: a.AddType(ints(params), results),
	})
	a.functions[name] = a.Imported(wasmbin.FunctionKind) - 1
}

func (a *around) imports(m *opaModule) error {
	a.imported(regolink.ModuleShim, regolink.FnAbort, 1, nil)
	a.imported(regolink.ModuleShim, regolink.FnBuiltin, 3, ints(1))
	a.imported(regolink.ModuleShim, regolink.FnResult, 1, nil)
	for _, f := range runtimeFunctions {
		index, ok := m.numbers[f.name]
		if !ok {
			return foreign("it has no function %s", f.name)
		}
		if _, exported := m.Export(f.name, wasmbin.FunctionKind); !exported {
			m.Exports = append(m.Exports, wasmbin.Export{Name: f.name, Kind: wasmbin.FunctionKind, Index: index})
		}
		results := ints(1)
		if f.nothing {
			results = nil
		}
		a.imported("opa", f.name, f.params, results)
	}
	a.imported("opa", exportStart, 0, nil)
	for i, name := range []string{exportStack, exportDepth, exportAgain, exportKept, exportTop} {
		a.Imports = append(a.Imports, wasmbin.Import{
			Module: "opa", Name: name, Kind: wasmbin.GlobalKind, Global: wasmbin.GlobalType{Value: wasmbin.I32, Mutable: true},
		})
		a.globals[name] = uint32(i)
	}
	return nil
}

// define adds a function, and exports it unless it is inner.
func (a *around) define(name string, params int, results, body []byte, inner bool) {
	a.functions[name] = a.AddFunction(a.AddType(ints(params), results), body)
	if !inner {
		a.Exports = append(a.Exports, wasmbin.Export{Name: name, Kind: wasmbin.FunctionKind, Index: a.functions[name]})
	}
}

// writer writes a body with this module's functions and globals by name.
type writer struct {
	*wasmbin.Code
	a *around
}

func (a *around) write() writer { return writer{&wasmbin.Code{}, a} }

func (w writer) call(name string) writer {
	w.Call(w.a.functions[name])
	return w
}

func (w writer) get(name string) writer {
	w.With(wasmbin.OpGlobalGet, w.a.globals[name])
	return w
}

func (w writer) set(name string) writer {
	w.With(wasmbin.OpGlobalSet, w.a.globals[name])
	return w
}

func (w writer) const32(v int32) writer {
	w.I32(v)
	return w
}

func (w writer) local(i uint32) writer {
	w.Get(i)
	return w
}

func (w writer) op(ops ...byte) writer {
	w.Op(ops...)
	return w
}

// aligned rounds what is on the stack up to 8.
func (w writer) aligned() writer {
	return w.const32(7).op(wasmbin.OpI32Add).const32(-8).op(wasmbin.OpI32And)
}

// lengthBody: of a text that ends with 0.
func lengthBody() []byte {
	const at = 1
	return new(wasmbin.Code).
		Get(0).Set(at).
		Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult).
		Get(at).Load8().Op(wasmbin.OpI32Eqz).With(wasmbin.OpBrIf, 1).
		Get(at).I32(1).Op(wasmbin.OpI32Add).Set(at).With(wasmbin.OpBr, 0).
		Op(wasmbin.OpEnd, wasmbin.OpEnd).
		Get(at).Get(0).Op(wasmbin.OpI32Sub).Body(wasmbin.I32)
}

// readyBody starts OPA's runtime, reads the root document, and saves what
// evaluations will change: behind that is where inputs go.
func (a *around) readyBody(statics region, dataAt int32, dataSize int) []byte {
	w := a.write().call(exportStart).
		const32(dataAt).const32(int32(dataSize)).call("opa_json_parse").set("data"). //nolint:gosec // far below 2 GiB
		// Room for the copy, which the heap then begins behind.
		const32(statics.end - statics.start + 8).call("opa_malloc").aligned().set("saved").
		call("opa_heap_ptr_get").aligned().set("base").
		get("saved").const32(statics.start).const32(statics.end - statics.start)
	w.Copy(0, 0)
	return w.const32(1).set("ready").Body()
}

// inputBody: 0 n → address. There is room for n bytes and for 0 behind them.
func (a *around) inputBody(tooLarge int32) []byte {
	const pages = 1
	w := a.write().get("ready").op(wasmbin.OpI32Eqz, wasmbin.OpIf, wasmbin.NoResult).call("ready").op(wasmbin.OpEnd).
		local(0).const32(maxInput).op(wasmbin.OpI32GtU, wasmbin.OpIf, wasmbin.NoResult).
		const32(tooLarge).call(regolink.FnAbort).op(wasmbin.OpUnreachable, wasmbin.OpEnd)
	// Pages that are missing for base + n, and one for what is behind.
	w.get("base").local(0).op(wasmbin.OpI32Add).const32(16).op(wasmbin.OpI32ShrU).const32(2).op(wasmbin.OpI32Add).
		op(wasmbin.OpMemorySize, 0).op(wasmbin.OpI32Sub)
	w.Tee(pages).I32(0).Op(opI32GtS, wasmbin.OpIf, wasmbin.NoResult)
	w.Get(pages).Op(wasmbin.OpMemoryGrow, 0).I32(-1).Op(wasmbin.OpI32Eq, wasmbin.OpIf, wasmbin.NoResult)
	w.const32(tooLarge).call(regolink.FnAbort).op(wasmbin.OpUnreachable, wasmbin.OpEnd, wasmbin.OpEnd)
	return w.get("base").Body(wasmbin.I32)
}

const opI32GtS byte = 0x4a

// maxInput bounds a policy's input, in bytes: more than contexts can have (CONTRACT 3, 9).
const maxInput = 4 << 20

// evalBody: 0 entry, 1 n → length<<32 | address. Whatever an evaluation before
// this one left behind, as after an abort, is put back. With no input, n = 0,
// it is the one before, which was read once: an evaluation changes as little of
// it as of the root document.
func (a *around) evalBody(statics region, stack, noInput int32) []byte {
	const heap, result = 2, 3
	w := a.write().const32(stack).set(exportStack).const32(0).set(exportDepth).
		const32(statics.start).get("saved").const32(statics.end - statics.start)
	w.Copy(0, 0)
	w.local(1).op(wasmbin.OpI32Eqz).set(exportAgain).
		get(exportAgain).op(wasmbin.OpIf, wasmbin.NoResult).
		get(exportKept).op(wasmbin.OpI32Eqz, wasmbin.OpIf, wasmbin.NoResult).
		const32(noInput).call(regolink.FnAbort).op(wasmbin.OpUnreachable, wasmbin.OpEnd).
		get(exportTop)
	w.Set(heap)
	w.op(wasmbin.OpElse).const32(0).set(exportKept).
		get("base").local(1).op(wasmbin.OpI32Add).aligned()
	w.Set(heap)
	w.op(wasmbin.OpEnd).local(heap).call("opa_malloc_init").
		const32(0).local(0).get("data").get("base").local(1).local(heap).const32(0).call("opa_eval")
	w.Tee(result)
	w.call(regolink.ExportLength).op(wasmbin.OpI64ExtendI32)
	w.I64(32).Op(wasmbin.OpI64Shl)
	return w.local(result).op(wasmbin.OpI64ExtendI32, wasmbin.OpI64Or).Body(wasmbin.I32, wasmbin.I32)
}

// builtinBody: 0 id, 1 unused, then n arguments → value. They go out as one
// array; what comes back is read.
func (a *around) builtinBody(n uint32, failed int32) []byte {
	array, text, result := n+2, n+3, n+4
	w := a.write().call("opa_array")
	w.Set(array)
	for i := range n {
		w.local(array).local(i + 2).call("opa_array_append")
	}
	w.local(0).local(array).call("opa_value_dump")
	w.Tee(text).Get(text)
	w.call(regolink.ExportLength).call(regolink.FnBuiltin)
	w.Tee(result).I32(0).Op(wasmbin.OpI32LtS, wasmbin.OpIf, wasmbin.NoResult)
	w.const32(failed).call(regolink.FnAbort).op(wasmbin.OpUnreachable, wasmbin.OpEnd)
	w.local(result).call("opa_malloc")
	w.Tee(text)
	w.call(regolink.FnResult).local(text).local(result).call("opa_value_parse")
	w.Tee(array).Op(wasmbin.OpI32Eqz, wasmbin.OpIf, wasmbin.NoResult)
	w.const32(failed).call(regolink.FnAbort).op(wasmbin.OpUnreachable, wasmbin.OpEnd)
	return w.local(array).Body(wasmbin.I32, wasmbin.I32, wasmbin.I32)
}
