package regowasm

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"kest.example/kest/internal/regolink"
	"kest.example/kest/internal/wasmbin"
)

// errForeign is for a module that is not laid out as this version of OPA does it.
var errForeign = errors.New("regowasm: OPA's compiler wrote something else than this package knows")

func foreign(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errForeign, fmt.Sprintf(format, args...))
}

// opaModule is what OPA's compiler made, with what is added to it.
type opaModule struct {
	*wasmbin.Module
	names    map[uint32]string // of functions
	numbers  map[string]uint32
	compiled map[uint32]bool // functions that were compiled from Rego; the others are OPA's runtime
	start    uint32          // makes the runtime ready
	heap     int32           // behind all data
	statics  region          // what changes while a policy is evaluated, besides the heap
}

type region struct{ start, end int32 }

// adapt makes a policy module (package regolink) of what OPA compiled. data is
// the root document as JSON; maxPages is how large its memory may become.
func adapt(compiled, data []byte, maxPages uint32) ([]byte, error) {
	m, err := openModule(compiled)
	if err != nil {
		return nil, err
	}
	dataAt := m.addData(data)
	if err := m.guardCalls(); err != nil {
		return nil, err
	}
	around, err := m.around(dataAt, len(data), maxPages)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(m.moveHeap(), m.askSize()); err != nil {
		return nil, err
	}
	linked, err := wasmbin.Link(
		wasmbin.Part{Name: "kest", Aliases: []string{"env"}, Module: around},
		wasmbin.Part{Name: "opa", Module: m.Module})
	if err != nil {
		return nil, err
	}
	linked.Exports = slices.DeleteFunc(linked.Exports, func(e wasmbin.Export) bool {
		return !slices.Contains([]string{regolink.ExportMemory, regolink.ExportInput, regolink.ExportEval, regolink.ExportLength}, e.Name)
	})
	if err := linked.Validate(); err != nil {
		return nil, err
	}
	return linked.Encode(), nil
}

// compiledName is how OPA's planner names functions.
var compiledName = regexp.MustCompile(`^g[0-9]+\.`)

func openModule(compiled []byte) (*opaModule, error) {
	parsed, err := wasmbin.Parse(compiled)
	if err != nil {
		return nil, err
	}
	m := &opaModule{Module: parsed, numbers: make(map[string]uint32), compiled: make(map[uint32]bool)}
	if m.names, err = m.FunctionNames(); err != nil {
		return nil, err
	}
	for index, name := range m.names {
		if _, twice := m.numbers[name]; !twice || index < m.numbers[name] {
			m.numbers[name] = index
		}
	}
	if m.Start == nil || len(m.Elements) < 2 || len(m.Data) < 5 {
		return nil, foreign("its parts are not those of a policy")
	}
	m.start, m.Start = *m.Start, nil
	return m, errors.Join(m.findCompiled(), m.findData())
}

// rules are the numbers of the functions that rules were compiled to: from first,
// as many as there are between the first and the last.
func (m *opaModule) rules() (first, n uint32) {
	list := m.Elements[len(m.Elements)-1].Indexes
	if len(list) == 0 {
		return 0, 0
	}
	first = slices.Min(list)
	return first, slices.Max(list) - first + 1
}

// findCompiled: the last segment of the table holds the compiled functions.
func (m *opaModule) findCompiled() error {
	eval, ok := m.Export("eval", wasmbin.FunctionKind)
	if !ok {
		return foreign("it has no function eval")
	}
	m.compiled[eval] = true
	for _, f := range m.Elements[len(m.Elements)-1].Indexes {
		if !compiledName.MatchString(m.names[f]) {
			return foreign("the function %q stands among compiled ones", m.names[f])
		}
		m.compiled[f] = true
	}
	for f, name := range m.names {
		if compiledName.MatchString(name) && !m.compiled[f] {
			return foreign("the compiled function %q is not in the table", name)
		}
	}
	return nil
}

// findData: constants, variables that start with a value, variables that start
// with 0, the policy's strings, the table's index.
func (m *opaModule) findData() error {
	for i, d := range m.Data {
		at, ok := constant(d.Offset)
		if !ok || d.Memory != 0 || i > 0 && at < m.heap {
			return foreign("data segment %d is at no fixed place", i)
		}
		m.heap = at + int32(len(d.Bytes)) //nolint:gosec // far below 2 GiB
		switch i {
		case 1:
			m.statics.start = at
		case 2:
			m.statics.end = m.heap
		}
	}
	return nil
}

// constant reads an expression that is one i32.const.
func constant(expression []byte) (int32, bool) {
	r := wasmbin.NewReader(expression)
	if r.Byte() != wasmbin.OpI32Const {
		return 0, false
	}
	v := r.Int()
	return int32(v), r.Byte() == wasmbin.OpEnd && r.Done() && r.Err() == nil && v == int64(int32(v)) //nolint:gosec // compared
}

// addData puts bytes behind all others and returns where.
func (m *opaModule) addData(b []byte) int32 {
	at := align(m.heap)
	m.Data = append(m.Data, wasmbin.Data{Offset: new(wasmbin.Code).I32(at).End(), Bytes: b})
	m.heap = at + int32(len(b)) //nolint:gosec // far below 2 GiB
	return at
}

// reserve keeps n bytes, 0 at the start, behind all others and returns where.
func (m *opaModule) reserve(n int32) int32 {
	at := align(m.heap)
	m.heap = at + n
	return at
}

// addText adds a text that ends with 0.
func (m *opaModule) addText(s string) int32 { return m.addData(append([]byte(s), 0)) }

func align(n int32) int32 { return (n + 7) &^ 7 }

// moveHeap has the runtime's start function begin the heap behind what was added.
func (m *opaModule) moveHeap() error {
	own := m.start - m.Imported(wasmbin.FunctionKind)
	if uint64(own) >= uint64(len(m.Code)) {
		return foreign("it has no start function of its own")
	}
	body := m.Code[own]
	locals, list, err := wasmbin.Body(body)
	if err != nil {
		return err
	}
	if len(list) < 2 || list[0].Op != wasmbin.OpI32Const || list[1].Op != wasmbin.OpCall ||
		m.names[uint32(list[1].Immediate)] != "opa_malloc_init" { //nolint:gosec // read as 32 bits
		return foreign("its start function does not begin with the heap")
	}
	moved := slices.Clone(body[:locals])
	moved = wasmbin.AppendInt(append(moved, wasmbin.OpI32Const), int64(align(m.heap)))
	m.Code[own] = append(moved, body[list[1].Start:]...)
	return nil
}

// askSize has the heap's beginning, which each evaluation is one of, ask for the
// memory's size as such: OPA's grows it by nothing, which takes V8 half a
// microsecond.
func (m *opaModule) askSize() error {
	own := m.runtime("opa_malloc_init") - m.Imported(wasmbin.FunctionKind)
	if uint64(own) >= uint64(len(m.Code)) {
		return foreign("it has no heap")
	}
	body := m.Code[own]
	_, list, err := wasmbin.Body(body)
	if err != nil {
		return err
	}
	for i := 1; i < len(list); i++ {
		if nothing := list[i-1]; list[i].Op == wasmbin.OpMemoryGrow && nothing.Op == wasmbin.OpI32Const && nothing.Immediate == 0 {
			m.Code[own] = slices.Concat(body[:nothing.Start], []byte{wasmbin.OpMemorySize, 0}, body[list[i].End:])
			return nil
		}
	}
	return foreign("its heap does not begin by the memory's size")
}

// neededByGuards are functions of the runtime that guards call, or stand for.
var neededByGuards = []string{
	"opa_abort", "opa_builtin1", "opa_array", "opa_array_append", "opa_free", "opa_json_lex_read_number", "opa_malloc", "opa_number_int", "opa_object_insert", "opa_string_terminated",
	"opa_malloc_init", "opa_memoize_get", "opa_memoize_init", "opa_memoize_insert",
	"opa_value_compare", "opa_value_get", "opa_value_iter", "opa_value_length", "opa_value_type",
}

func (m *opaModule) needRuntime() error {
	for _, name := range neededByGuards {
		if _, ok := m.numbers[name]; !ok {
			return foreign("it has no function %s", name)
		}
	}
	return nil
}

func (m *opaModule) runtime(name string) uint32 { return m.numbers[name] }

// stackPointer is where the stack of C starts: global 0.
func (m *opaModule) stackPointer() (int32, error) {
	if len(m.Globals) == 0 || m.Globals[0].Type != (wasmbin.GlobalType{Value: wasmbin.I32, Mutable: true}) {
		return 0, foreign("it has no stack pointer")
	}
	at, ok := constant(m.Globals[0].Init)
	if !ok {
		return 0, foreign("its stack pointer starts at no fixed place")
	}
	return at, nil
}
