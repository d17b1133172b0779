package wasmflow_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"

	"kest.example/kest/internal/wasmbin"
	"kest.example/kest/internal/wasmflow"
)

type code = wasmbin.Code

// The globals of a test module; Go's stack pointer is the first.
const (
	stack = iota
	trace // a hash of what was executed
	seed  // of the random numbers by which functions branch
	fuel  // how many blocks may run
	ended // a panic
)

// The functions of a test module.
const (
	callee = iota
	panics
	subject
)

var names = map[uint32]string{callee: "main.callee", panics: "runtime.goPanicIndex", subject: "main.subject"}

// step is how a block ends, or what it does before.
type step byte

const (
	falls step = iota
	jumps
	branches      // or falls
	branchesTwice // one way or the other
	returns
	calls
	callsIndirectly
	callsPanic
	jumpsInIfs
	steps
)

// program makes a module whose function subject is in the form that Go gives
// it, with a block for every two bytes. The first block has as many values of
// local 0 as first says.
func program(data []byte, first int) *wasmbin.Module {
	m := &wasmbin.Module{
		Memories: []wasmbin.Limits{{Min: 1}},
		Tables:   []wasmbin.Table{{Element: wasmbin.FuncRef, Limits: wasmbin.Limits{Min: 0x1001}}},
		Elements: []wasmbin.Element{{Offset: new(code).I32(0x1000).End(), Indexes: []uint32{callee}}},
	}
	for range ended + 1 {
		m.AddGlobal(0)
	}
	typ := m.AddType([]byte{wasmbin.I32}, []byte{wasmbin.I32})
	pop := new(code).With(wasmbin.OpGlobalGet, stack).I32(8).Op(wasmbin.OpI32Add).With(wasmbin.OpGlobalSet, stack)
	// One call in four is left for another goroutine to run.
	returned := mark(pop, 91)
	m.AddFunction(typ, chance(chance(returned)).Op(wasmbin.OpI32And).Body())
	m.AddFunction(typ, mark(new(code), 92).I32(1).With(wasmbin.OpGlobalSet, ended).I32(1).Body())
	w := writer{data: data, typ: typ, first: first}
	m.AddFunction(typ, w.subject())
	driver := m.AddFunction(m.AddType([]byte{wasmbin.I32, wasmbin.I32}, []byte{wasmbin.I32}), drive())
	m.Exports = []wasmbin.Export{
		{Name: "drive", Kind: wasmbin.FunctionKind, Index: driver},
		{Name: "trace", Kind: wasmbin.GlobalKind, Index: trace},
	}
	return m
}

// mark adds a number to the trace.
func mark(c *code, n int32) *code {
	return c.With(wasmbin.OpGlobalGet, trace).I32(31).Op(opI32Mul).I32(n).Op(wasmbin.OpI32Add).With(wasmbin.OpGlobalSet, trace)
}

// chance puts 0 or 1 on the stack.
func chance(c *code) *code {
	return c.With(wasmbin.OpGlobalGet, seed).I32(1103515245).Op(opI32Mul).I32(12345).Op(wasmbin.OpI32Add).With(wasmbin.OpGlobalSet, seed).
		With(wasmbin.OpGlobalGet, seed).I32(17).Op(wasmbin.OpI32ShrU).I32(1).Op(wasmbin.OpI32And)
}

const opI32Mul = 0x6c

// drive calls the subject until it returns 0, as Go's runtime does: where it
// returns 1, once more with what the last return address says.
func drive() []byte {
	c := new(code).Get(0).With(wasmbin.OpGlobalSet, seed).Get(1).With(wasmbin.OpGlobalSet, fuel).
		I32(60000).With(wasmbin.OpGlobalSet, stack)
	c.Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult)
	c.Get(2).Call(subject).Op(wasmbin.OpI32Eqz).With(wasmbin.OpBrIf, 1)
	c.With(wasmbin.OpGlobalGet, ended).With(wasmbin.OpBrIf, 1)
	mark(c, 93).With(wasmbin.OpGlobalGet, stack).I32(8).Op(wasmbin.OpI32Sub).Op(opLoad16, 1, 0).Set(2)
	c.With(wasmbin.OpBr, 0).Op(wasmbin.OpEnd, wasmbin.OpEnd)
	return c.With(wasmbin.OpGlobalGet, trace).Body(wasmbin.I32)
}

const opLoad16 = 0x2f

// writer writes a function in Go's form.
type writer struct {
	data   []byte
	typ    uint32
	first  int
	values []int // of local 0, by block
	at     int   // the block that is written
	c      *code
}

func (w *writer) blocks() int { return len(w.data)/2 + 1 }

func (w *writer) step(block int) step {
	if block == w.blocks()-1 {
		return returns
	}
	return step(w.data[2*block] % byte(steps))
}

// target is a block that a step of a block goes to.
func (w *writer) target(block, shift int) int {
	return (int(w.data[2*block+1])>>shift | int(w.data[2*block])>>7) % w.blocks()
}

func (w *writer) has(kinds ...step) bool {
	for b := range w.blocks() {
		if bytes.ContainsAny([]byte{byte(w.step(b))}, string(toBytes(kinds))) {
			return true
		}
	}
	return false
}

func toBytes(kinds []step) (b []byte) {
	for _, k := range kinds {
		b = append(b, byte(k))
	}
	return b
}

func (w *writer) looped() bool  { return w.has(jumps, branches, branchesTwice, jumpsInIfs) }
func (w *writer) unwinds() bool { return w.has(calls, callsIndirectly, callsPanic) }

// subject writes the function. Block b has the values of local 0 from
// values[b] on: now and then there is one that nobody uses, as in Go.
func (w *writer) subject() []byte {
	table, next := []byte(nil), 0
	for b := range w.blocks() {
		w.values = append(w.values, next)
		size := 1 + b%3/2
		if b == 0 {
			size = w.first
		}
		table = append(table, bytes.Repeat([]byte{byte(b)}, size)...)
		next += size
	}
	w.c = new(code).With(wasmbin.OpGlobalGet, stack).Set(1)
	if w.unwinds() {
		w.c.Op(wasmbin.OpBlock, wasmbin.NoResult)
	}
	if w.looped() {
		w.c.Op(wasmbin.OpLoop, wasmbin.NoResult)
	}
	for range w.blocks() {
		w.c.Op(wasmbin.OpBlock, wasmbin.NoResult)
	}
	w.c.Get(0).Op(wasmbin.OpBrTable).Op(wasmbin.AppendUint(nil, uint32(len(table)))...).Op(table...).Op(byte(w.blocks()-1), wasmbin.OpEnd)
	for w.at = range w.blocks() {
		w.block()
	}
	if w.looped() {
		w.c.Op(wasmbin.OpEnd)
	}
	w.c.Op(wasmbin.OpUnreachable)
	if w.unwinds() {
		w.c.Op(wasmbin.OpEnd).I32(1)
	}
	return w.c.Body(wasmbin.I32, wasmbin.I64)
}

// block writes one: it marks the trace with its number and with a local that
// the blocks before have changed, and ends without fuel.
func (w *writer) block() {
	if w.at > 0 {
		w.c.Op(wasmbin.OpEnd)
		if s := w.step(w.at - 1); s == calls || s == callsIndirectly || s == callsPanic {
			w.c.I64(int64(w.at)).Set(2) // nothing is in a local behind a call
		}
	}
	w.c.Get(2).I64(int64(w.at) + 1).Op(wasmbin.OpI64Add).Set(2)
	// A number that is stored and could be an address of code.
	w.c.I32(64).I64(address(subject, 40000)).Op(wasmbin.OpI64Store, 3, 0)
	mark(w.c, int32(w.at)).With(wasmbin.OpGlobalGet, trace).Get(2).Op(wasmbin.OpI32WrapI64, wasmbin.OpI32Add).With(wasmbin.OpGlobalSet, trace)
	w.c.With(wasmbin.OpGlobalGet, fuel).I32(1).Op(wasmbin.OpI32Sub).With(wasmbin.OpGlobalSet, fuel).
		With(wasmbin.OpGlobalGet, fuel).Op(wasmbin.OpI32Eqz, wasmbin.OpIf, wasmbin.NoResult).I32(0).Op(wasmbin.OpReturn, wasmbin.OpEnd)
	switch w.step(w.at) {
	case jumps:
		w.jump(w.target(w.at, 0), 0)
	case branches:
		w.jumpIf(w.target(w.at, 0), 0)
	case branchesTwice:
		w.jumpIf(w.target(w.at, 0), 0)
		w.jump(w.target(w.at, 3), 0)
	case returns:
		w.c.I32(0).Op(wasmbin.OpReturn)
	case calls, callsIndirectly, callsPanic:
		w.call(w.step(w.at))
	case jumpsInIfs:
		chance(w.c).Op(wasmbin.OpIf, wasmbin.NoResult)
		w.jumpIf(w.target(w.at, 0), 1)
		w.jump(w.target(w.at, 2), 1)
		w.c.Op(wasmbin.OpEnd)
	}
}

func (w *writer) jump(to, depth int) {
	w.c.I32(int32(w.values[to])).Set(0).With(wasmbin.OpBr, uint32(w.blocks()-1-w.at+depth))
}

func (w *writer) jumpIf(to, depth int) {
	chance(w.c).Op(wasmbin.OpIf, wasmbin.NoResult)
	w.jump(to, depth+1)
	w.c.Op(wasmbin.OpEnd)
}

func address(function, value int) int64 { return int64(0x1000+function)<<16 | int64(value) }

func (w *writer) call(kind step) {
	if kind == callsIndirectly {
		w.c.I64(address(callee, 0))
	}
	w.c.Get(1).I32(8).Op(wasmbin.OpI32Sub).Tee(1).With(wasmbin.OpGlobalSet, stack).
		Get(1).I64(address(subject, w.values[w.at+1])).Op(wasmbin.OpI64Store, 3, 0)
	switch kind {
	case calls:
		w.c.I32(0).Call(callee)
	case callsPanic:
		w.c.I32(0).Call(panics)
	default:
		w.c.I64(16).Op(wasmbin.OpI64ShrU, wasmbin.OpI32WrapI64).Set(0).I32(0).Get(0).With(wasmbin.OpCallIndirect, w.typ).Op(0)
	}
	w.c.With(wasmbin.OpGlobalGet, stack).Set(1)
	out := w.blocks() - 1 - w.at
	if w.looped() {
		out++
	}
	w.c.With(wasmbin.OpBrIf, uint32(out))
}

// outcomes runs a module with some seeds, and returns what it leaves.
func outcomes(t *testing.T, m *wasmbin.Module) (list []uint64) {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer func() { _ = r.Close(ctx) }()
	compiled, err := r.CompileModule(ctx, m.Encode())
	if err != nil {
		t.Fatal(err)
	}
	for s := range uint64(12) {
		module, err := r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName(""))
		if err != nil {
			t.Fatal(err)
		}
		result, err := module.ExportedFunction("drive").Call(ctx, s*977, 60)
		if err != nil {
			result = []uint64{1 << 40} // it trapped
		}
		list = append(list, result[0], module.ExportedGlobal("trace").Get())
	}
	return list
}

// same checks that a program does the same in both forms, and returns whether
// it has the new one.
func same(t *testing.T, data []byte, first int) bool {
	t.Helper()
	m := program(data, first)
	before := bytes.Clone(m.Code[subject])
	want := outcomes(t, m)
	done, left, err := wasmflow.Structure(m, names)
	if err != nil {
		t.Fatal(err)
	}
	if done+len(left) != 1 || done == 0 && !bytes.Equal(before, m.Code[subject]) {
		t.Errorf("%x: %d were rewritten, %v were left", data, done, left)
	}
	for i, have := range outcomes(t, m) {
		if have != want[i] {
			t.Errorf("%x: seed %d leaves %d instead of %d", data, i/2, have, want[i])
		}
	}
	return done == 1
}

// Programs of all kinds of steps do the same in the new form: also when they
// are entered in the middle, in loops and in loops of loops.
func TestStructuredProgramsDoTheSame(t *testing.T) {
	done := 0
	const programs = 1500
	for n := range programs {
		if same(t, random(uint64(n)), 1) {
			done++
		}
	}
	if done < programs/4 || done == programs {
		t.Errorf("%d of %d programs were rewritten", done, programs)
	}
}

func random(n uint64) []byte {
	r := rand.New(rand.NewPCG(1, n))
	data := make([]byte, 2*(1+r.IntN(14)))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

// For an indirect call Go puts the number of the function into local 0, and
// leaves it there: it may be one that a table in a loop knows.
func TestIndirectCallsInLoops(t *testing.T) {
	for n := range uint64(500) {
		same(t, random(n), 0x1000-1)
	}
}

// Nothing comes back to behind a call that never returns: it is no way into a
// loop that happens to be next.
func TestPanicInFrontOfALoop(t *testing.T) {
	// The loop begins with its last block and goes on with the one before; the
	// panic is right in front of that, or another block is between.
	for _, data := range [][]byte{
		{byte(branches), 3, byte(callsPanic), 0, byte(falls), 0, byte(branches), 2},
		{byte(branches), 4, byte(callsPanic), 0, byte(falls), 0, byte(falls), 0, byte(branches), 3},
	} {
		if !same(t, data, 1) {
			t.Errorf("%x: the way from the panic into the loop was believed", data)
		}
	}
}

func FuzzStructure(f *testing.F) {
	f.Add([]byte{5, 0, 2, 0})
	f.Add([]byte{2, 9, 5, 0, 6, 0, 2, 1, 5, 0, 2, 0})
	f.Add([]byte{8, 1, 3, 0, 7, 7})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 80 {
			same(t, data, 1)
		}
	})
}
