package wasmbounds

import (
	"maps"

	"kest.example/kest/internal/wasmbin"
)

// access is the first one by what a local holds.
type access struct {
	local       uint32
	first, most uint64 // where it ends, and where the last of those behind it does, from what the local holds
}

// furthest finds the accesses that no other by the same value surely comes
// before, by their instructions.
//
// It follows what wazero remembers: until a local is written, behind a block
// what was known before it, and nothing at the head of a loop or behind a block
// that it is in.
func furthest(steps []wasmbin.Instruction) map[int]*access {
	w := walk{found: make(map[int]*access), known: make(map[uint32]*access), versions: make(map[uint32]int)}
	w.enter(0)
	for i, s := range steps {
		w.step(i, s)
	}
	return w.found
}

// operand is a value on the stack: what a local held, or another.
type operand struct {
	local   uint32
	version int
	known   bool
}

// frame is a block that the walk is in.
type frame struct {
	op      byte
	outside map[uint32]*access // what was known where it began
	written map[uint32]bool    // in it so far
}

type walk struct {
	found    map[int]*access
	known    map[uint32]*access
	versions map[uint32]int // how often a local was written
	stack    []operand      // its top: further down, nothing is known
	frames   []frame
}

func (w *walk) step(i int, s wasmbin.Instruction) {
	local := uint32(s.Immediate) //nolint:gosec // the index of a local, where it is used
	switch op := s.Op; {
	case op == wasmbin.OpLocalGet:
		w.stack = append(w.stack, operand{local, w.versions[local], true})
	case op == wasmbin.OpLocalSet:
		w.pop()
		w.write(local)
	case op == wasmbin.OpLocalTee:
		w.pop()
		w.write(local)
		w.stack = append(w.stack, operand{local, w.versions[local], true})
	case wasmbin.Load(op):
		w.access(i, w.pop(), s.Immediate+wasmbin.AccessSize(op))
		w.stack = append(w.stack, operand{})
	case wasmbin.Store(op):
		w.pop()
		w.access(i, w.pop(), s.Immediate+wasmbin.AccessSize(op))
	case op == wasmbin.OpBrIf:
		w.pop()
	case op == wasmbin.OpBlock, op == wasmbin.OpIf, op == wasmbin.OpTryTable:
		w.enter(op)
	case op == wasmbin.OpLoop:
		w.forget()
		w.enter(op)
	case op == wasmbin.OpElse:
		w.stack = w.stack[:0]
		w.known = maps.Clone(w.top().outside)
		w.rewritten(w.top())
	case op == wasmbin.OpEnd:
		w.leave()
	default:
		w.other(op)
	}
}

func (w *walk) pop() operand {
	if len(w.stack) == 0 {
		return operand{}
	}
	o := w.stack[len(w.stack)-1]
	w.stack = w.stack[:len(w.stack)-1]
	return o
}

// other instructions give values of their own.
func (w *walk) other(op byte) {
	takes, gives, ok := wasmbin.Arity(op)
	if !ok {
		w.stack = w.stack[:0]
	}
	for range takes {
		w.pop()
	}
	for range gives {
		w.stack = append(w.stack, operand{})
	}
}

func (w *walk) write(local uint32) {
	w.versions[local]++
	delete(w.known, local)
	w.top().written[local] = true
}

// access sees one by base, that ends before end.
func (w *walk) access(i int, base operand, end uint64) {
	if !base.known || base.version != w.versions[base.local] {
		return
	}
	a := w.known[base.local]
	switch {
	case a == nil:
		a = &access{base.local, end, end}
		w.known[base.local], w.found[i] = a, a
	case end <= a.first+Page && end < 1<<32:
		a.most = max(a.most, end)
	}
}

func (w *walk) top() *frame { return &w.frames[len(w.frames)-1] }

func (w *walk) enter(op byte) {
	w.stack = w.stack[:0]
	w.frames = append(w.frames, frame{op, maps.Clone(w.known), make(map[uint32]bool)})
}

// forget all, here and behind the blocks around: in a loop and behind it, each
// local has a value of its own.
func (w *walk) forget() {
	clear(w.known)
	for _, f := range w.frames {
		clear(f.outside)
	}
}

func (w *walk) leave() {
	w.stack = w.stack[:0]
	inner := *w.top()
	if w.frames = w.frames[:len(w.frames)-1]; len(w.frames) == 0 {
		return
	}
	w.rewritten(&inner)
	for local := range inner.written {
		w.top().written[local] = true
		delete(inner.outside, local)
	}
	if inner.op != wasmbin.OpLoop {
		w.known = inner.outside
	}
}

// rewritten locals may hold what they held, or something else.
func (w *walk) rewritten(f *frame) {
	for local := range f.written {
		w.versions[local]++
	}
}
