package wasmflow

import (
	"cmp"
	"maps"
	"slices"

	"kest.example/kest/internal/wasmbin"
)

// emitter writes a function by its dominator tree: each node is followed by the
// nodes that it dominates, and those to which there are several ways stand
// behind a block that the ways branch out of.
type emitter struct {
	w        *flow
	g        *graph
	loops    map[int]map[int]bool
	children [][]int // of each node in the dominator tree, that are branched to; the last in order first
	inline   []bool  // nodes that are written where the one way to them is
	labels   []label
	scratch  uint32 // a local for indirect calls
	out      []byte
}

// label is a block, a loop or an if that is open.
type label struct {
	node int // where a branch to it leads
	loop bool
}

// Labels that lead to no node.
const (
	nowhere = -1
	leaving = -2 // the function is left with 1
)

func emit(w *flow, g *graph) ([]byte, bool) {
	loops, ok := g.loops()
	if !ok {
		return nil, false
	}
	e := &emitter{w: w, g: g, loops: loops, children: make([][]int, len(g.next)), inline: make([]bool, len(g.next))}
	e.plan()
	e.locals()
	e.out = append(e.out, w.f.head...)
	if w.f.unwinds {
		e.open(wasmbin.OpBlock, label{node: leaving})
	}
	e.node(g.root)
	e.op(wasmbin.OpUnreachable)
	if w.f.unwinds {
		e.end()
		e.op(wasmbin.OpI32Const, 1)
	}
	e.op(wasmbin.OpEnd)
	return e.out, true
}

// locals writes the declarations, with one more where a table in a loop must
// not see what Go leaves in local 0.
func (e *emitter) locals() {
	declarations := e.w.f.locals
	if len(e.w.heads) == 0 || !e.w.f.calls(indirect) {
		e.out = append(e.out, declarations...)
		return
	}
	e.scratch = e.w.f.count
	r := wasmbin.NewReader(declarations)
	e.out = wasmbin.AppendUint(e.out, r.Uint()+1)
	e.out = append(append(e.out, r.Rest()...), 1, wasmbin.I32)
}

func (f *function) calls(kind kind) bool {
	return slices.ContainsFunc(f.blocks, func(b block) bool {
		return slices.ContainsFunc(b.pieces, func(p piece) bool { return p.kind == kind })
	})
}

// plan decides which nodes are written in place.
func (e *emitter) plan() {
	ways := make([]int, len(e.g.next))
	way := func(from, to int, inPlace bool) {
		if !e.g.back(from, to) {
			ways[to]++
			e.inline[to] = inPlace
		}
	}
	blocks := e.w.f.blocks
	for _, n := range e.g.order {
		if n >= len(blocks) {
			t := e.w.tables[n-len(blocks)]
			way(n, t.normal, true)
			for _, to := range t.to {
				if to != t.normal {
					way(n, to, false)
				}
			}
			continue
		}
		for _, p := range blocks[n].pieces {
			if p.kind == jump || p.kind == jumpIf {
				way(n, e.w.node(p.to), p.depth == 0)
			}
		}
		if blocks[n].falls {
			way(n, e.w.node(n+1), true)
		}
	}
	for _, n := range e.g.order[1:] {
		e.inline[n] = e.inline[n] && ways[n] == 1
		if !e.inline[n] {
			above := e.g.dominant[n]
			e.children[above] = append(e.children[above], n)
		}
	}
	for _, list := range e.children {
		slices.SortFunc(list, func(a, b int) int { return cmp.Compare(e.g.number[b], e.g.number[a]) })
	}
}

// node writes a node and all that it dominates.
func (e *emitter) node(n int) {
	loop := e.loops[n]
	var after, within []int
	for _, c := range e.children[n] {
		if loop != nil && !loop[c] {
			after = append(after, c)
		} else {
			within = append(within, c)
		}
	}
	e.blocks(after, func() {
		if loop == nil {
			e.blocks(within, func() { e.code(n) })
			return
		}
		e.open(wasmbin.OpLoop, label{n, true})
		e.blocks(within, func() { e.code(n) })
		e.end()
	})
}

// blocks writes content in blocks that end in front of the nodes.
func (e *emitter) blocks(nodes []int, content func()) {
	for _, n := range nodes {
		e.open(wasmbin.OpBlock, label{node: n})
	}
	content()
	for _, n := range slices.Backward(nodes) {
		e.end()
		e.node(n)
	}
}

func (e *emitter) code(n int) {
	if i := n - len(e.w.f.blocks); i >= 0 {
		e.table(n, e.w.tables[i])
		return
	}
	if e.w.clears[n] {
		e.clear()
	}
	for _, p := range e.w.f.blocks[n].pieces {
		e.piece(n, p)
	}
	if e.w.f.blocks[n].falls {
		e.leap(n, e.w.node(n+1), 0)
	}
}

func (e *emitter) piece(n int, p piece) {
	switch p.kind {
	case plain:
		e.out = append(e.out, p.code...)
	case jump:
		e.leap(n, e.w.node(p.to), p.depth)
	case jumpIf:
		e.leapIf(n, e.w.node(p.to), p.depth)
	case unwind:
		e.out = wasmbin.AppendUint(append(e.out, p.code...), e.label(label{node: leaving})+uint32(p.depth)) //nolint:gosec // not negative
	case indirect:
		e.indirect(p.code)
	}
}

// leap goes to a node from the end of another.
func (e *emitter) leap(from, to, depth int) {
	back := e.g.back(from, to)
	switch {
	case e.inline[to] && !back:
		e.node(to)
	case depth > 0 || back || e.labels[len(e.labels)-1] != label{node: to}:
		e.branch(wasmbin.OpBr, label{to, back}, depth)
	}
}

func (e *emitter) leapIf(from, to, depth int) {
	back := e.g.back(from, to)
	if !e.inline[to] || back {
		e.branch(wasmbin.OpBrIf, label{to, back}, depth)
		return
	}
	e.open(wasmbin.OpIf, label{node: nowhere})
	e.node(to)
	e.end()
}

func (e *emitter) branch(op byte, to label, depth int) {
	e.out = wasmbin.AppendUint(append(e.out, op), e.label(to)+uint32(depth)) //nolint:gosec // not negative
}

// label is how many open labels are inside the one that is meant.
func (e *emitter) label(want label) uint32 {
	for i, have := range slices.Backward(e.labels) {
		if have == want {
			return uint32(len(e.labels) - 1 - i) //nolint:gosec // not negative
		}
	}
	panic("wasmflow: a branch leads to no block that is open")
}

// table writes a table: nothing happens while local 0 is 0, or nothing that it
// knows.
func (e *emitter) table(n int, t *table) {
	var values []int
	for _, value := range slices.Sorted(maps.Keys(t.to)) {
		if t.to[value] != t.normal {
			values = append(values, value)
		}
	}
	switch len(values) {
	case 0:
	case 1:
		e.only(t, values[0])
	default:
		e.several(t, values)
	}
	e.leap(n, t.normal, 0)
}

// only branches for one value.
func (e *emitter) only(t *table, value int) {
	e.op(wasmbin.OpLocalGet, pcB)
	e.constant(value)
	e.op(wasmbin.OpI32Eq)
	if t.clears {
		e.clear()
	}
	e.branch(wasmbin.OpBrIf, label{node: t.to[value]}, 0)
}

func (e *emitter) several(t *table, values []int) {
	e.op(wasmbin.OpLocalGet, pcB)
	e.open(wasmbin.OpIf, label{node: nowhere})
	e.op(wasmbin.OpLocalGet, pcB)
	if t.clears {
		e.clear()
	}
	lowest, highest := values[0], values[len(values)-1]
	if lowest > 2 { // or it is longer to subtract
		e.constant(lowest)
		e.op(wasmbin.OpI32Sub)
	} else {
		lowest = 0
	}
	e.out = wasmbin.AppendUint(append(e.out, wasmbin.OpBrTable), uint32(highest-lowest+1)) //nolint:gosec // of 16 bits
	for value := lowest; value <= highest; value++ {
		if to, ok := t.to[value]; ok && to != t.normal {
			e.out = wasmbin.AppendUint(e.out, e.label(label{node: to}))
		} else {
			e.op(0) // the end of the if
		}
	}
	e.op(0)
	e.end()
}

func (e *emitter) constant(n int) {
	e.out = wasmbin.AppendInt(append(e.out, wasmbin.OpI32Const), int64(n))
}

func (e *emitter) clear() { e.op(wasmbin.OpI32Const, 0, wasmbin.OpLocalSet, pcB) }

// indirect keeps the function's number elsewhere than in local 0.
func (e *emitter) indirect(code []byte) {
	if e.scratch == 0 {
		e.out = append(e.out, code...)
		return
	}
	const before = 6 // bytes: local.set 0, i32.const 0, local.get 0
	e.out = wasmbin.AppendUint(append(e.out, wasmbin.OpLocalSet), e.scratch)
	e.op(wasmbin.OpI32Const, 0)
	e.out = wasmbin.AppendUint(append(e.out, wasmbin.OpLocalGet), e.scratch)
	e.out = append(e.out, code[before:]...)
}

func (e *emitter) op(bytes ...byte) { e.out = append(e.out, bytes...) }

func (e *emitter) open(op byte, l label) {
	e.op(op, wasmbin.NoResult)
	e.labels = append(e.labels, l)
}

func (e *emitter) end() {
	e.op(wasmbin.OpEnd)
	e.labels = e.labels[:len(e.labels)-1]
}
