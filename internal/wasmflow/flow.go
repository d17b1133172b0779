package wasmflow

import (
	"cmp"
	"maps"
	"slices"
)

// flow is a function's graph, with tables for the places in its middle at which
// Go enters it. The nodes are the blocks by their numbers, and behind them the
// tables.
type flow struct {
	f      *function
	tables []*table
	heads  map[int]int  // by a block that a loop begins with, the table in front of it
	clears map[int]bool // blocks that begin by setting local 0 to 0
}

// table is a node that goes on by local 0.
type table struct {
	normal int         // while it is 0, or nothing that is known here
	to     map[int]int // by its value
	clears bool        // it sets local 0 to 0
}

// newFlow adds tables for the values of local 0 with which the function is
// entered. It is not ok where a loop has more than one way in.
func newFlow(f *function, entries []int) (w *flow, g *graph, ok bool) {
	w = &flow{f: f, heads: map[int]int{}, clears: map[int]bool{}}
	inside := map[int]int{} // the values that don't mean the start
	for _, value := range entries {
		if value < len(f.table) && f.table[value] != 0 {
			inside[value] = f.table[value]
		}
	}
	root := 0
	if len(inside) > 0 {
		if root, ok = w.addTables(inside); !ok {
			return nil, nil, false
		}
	}
	return w, newGraph(root, w.edges()), true
}

// addTables puts a table in front of the function and one in front of each loop
// in which the function is entered, so that a loop has one way in.
func (w *flow) addTables(inside map[int]int) (root int, ok bool) {
	root = len(w.f.blocks)
	first := &table{to: map[int]int{}}
	plain := newGraph(root, append(w.edges(), w.apart(inside)))
	loops, ok := plain.loops()
	if !ok {
		return 0, false
	}
	w.tables = append(w.tables, first)
	for _, value := range slices.Sorted(maps.Keys(inside)) {
		at, goal := first, inside[value]
		for _, head := range around(loops, goal) {
			at.to[value] = head
			at = w.front(head)
		}
		at.to[value] = goal
	}
	w.settle(inside)
	return root, true
}

// apart returns block 0, and the blocks that are only reached by entering.
func (w *flow) apart(inside map[int]int) (starts []int) {
	edges := w.edges()
	reached := make([]bool, len(edges))
	for _, start := range append([]int{0}, inOrder(inside)...) {
		if reached[start] {
			continue
		}
		starts = append(starts, start)
		for list := []int{start}; len(list) > 0; {
			n := list[len(list)-1]
			list = list[:len(list)-1]
			if !reached[n] {
				reached[n] = true
				list = append(list, edges[n]...)
			}
		}
	}
	slices.Reverse(starts)
	return starts
}

// inOrder lists what a table's values mean.
func inOrder(to map[int]int) (list []int) {
	for _, value := range slices.Sorted(maps.Keys(to)) {
		list = append(list, to[value])
	}
	return list
}

// around lists the loops that a block is in, by their first blocks, from
// outside to inside, without the one that it begins itself.
func around(loops map[int]map[int]bool, block int) (heads []int) {
	for head, loop := range loops {
		if loop[block] && head != block {
			heads = append(heads, head)
		}
	}
	slices.SortFunc(heads, func(a, b int) int { return cmp.Compare(len(loops[b]), len(loops[a])) })
	return heads
}

// front returns the table in front of a loop.
func (w *flow) front(head int) *table {
	at, ok := w.heads[head]
	if !ok {
		at = len(w.tables)
		w.heads[head] = at
		w.tables = append(w.tables, &table{normal: head, to: map[int]int{}})
	}
	return w.tables[at]
}

// settle lets all ways to a loop go to its table, and decides where local 0 is
// set to 0: no table may see it once the goal is reached.
func (w *flow) settle(inside map[int]int) {
	for value, goal := range inside {
		if at, ok := w.heads[goal]; ok {
			w.tables[at].to[value] = goal
		}
	}
	for i, t := range w.tables {
		if i == 0 {
			t.normal = w.node(t.normal)
		}
		t.clears = len(w.heads) > 0
		for value, to := range t.to {
			if to != t.normal {
				t.to[value] = w.node(to)
			}
			t.clears = t.clears && t.to[value] < len(w.f.blocks)
		}
	}
	for _, t := range w.tables {
		for _, to := range t.to {
			if !t.clears && len(w.heads) > 0 && to < len(w.f.blocks) {
				w.clears[to] = true
			}
		}
	}
}

// node is the table in front of a block, or the block.
func (w *flow) node(block int) int {
	if at, ok := w.heads[block]; ok {
		return len(w.f.blocks) + at
	}
	return block
}

// edges lists where each node goes to, what is later in the function first.
func (w *flow) edges() [][]int {
	next := make([][]int, len(w.f.blocks)+len(w.tables))
	for n, b := range w.f.blocks {
		for _, p := range b.pieces {
			if p.kind == jump || p.kind == jumpIf {
				next[n] = append(next[n], w.node(p.to))
			}
		}
		if b.falls {
			next[n] = append(next[n], w.node(n+1))
		}
	}
	for i, t := range w.tables {
		next[len(w.f.blocks)+i] = append(slices.Collect(maps.Values(t.to)), t.normal)
	}
	for n := range next {
		slices.SortFunc(next[n], func(a, b int) int { return cmp.Compare(w.rank(b), w.rank(a)) })
		next[n] = slices.Compact(next[n])
	}
	return next
}

// rank is a node's place in the function; a table comes before its loop.
func (w *flow) rank(n int) int {
	if i := n - len(w.f.blocks); i >= 0 {
		return 2*w.tables[i].normal - 1
	}
	return 2 * n
}
