package wasmflow

import "slices"

// graph is a flow graph. Its nodes are numbers.
type graph struct {
	root     int
	next     [][]int // where each node may go to
	before   [][]int // and what may go to it, of what is reached
	order    []int   // the nodes that are reached, in reverse postorder
	number   []int   // each node's place in it; -1 where it isn't reached
	dominant []int   // each node's immediate dominator; -1 where it isn't reached
}

// newGraph orders the nodes and finds their dominators. Of the nodes that may
// come after one, the last that next names comes first, where it can.
func newGraph(root int, next [][]int) *graph {
	g := &graph{root: root, next: next, before: make([][]int, len(next)), number: make([]int, len(next)), dominant: make([]int, len(next))}
	g.sort()
	for _, n := range g.order {
		for _, to := range next[n] {
			g.before[to] = append(g.before[to], n)
		}
	}
	g.dominate()
	return g
}

// sort puts the nodes in reverse postorder.
func (g *graph) sort() {
	type visit struct{ node, done int }
	for n := range g.number {
		g.number[n] = -1
	}
	stack := []visit{{node: g.root}}
	g.number[g.root] = 0
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.done == len(g.next[top.node]) {
			g.order = append(g.order, top.node)
			stack = stack[:len(stack)-1]
			continue
		}
		to := g.next[top.node][top.done]
		top.done++
		if g.number[to] < 0 {
			g.number[to] = 0
			stack = append(stack, visit{node: to})
		}
	}
	slices.Reverse(g.order)
	for i, n := range g.order {
		g.number[n] = i
	}
}

// dominate finds the immediate dominators (Cooper, Harvey and Kennedy, "A
// Simple, Fast Dominance Algorithm").
func (g *graph) dominate() {
	for n := range g.dominant {
		g.dominant[n] = -1
	}
	g.dominant[g.root] = g.root
	for changed := true; changed; {
		changed = false
		for _, n := range g.order[1:] {
			above := -1
			for _, p := range g.before[n] {
				switch {
				case g.dominant[p] < 0:
				case above < 0:
					above = p
				default:
					above = g.common(above, p)
				}
			}
			if g.dominant[n] != above {
				g.dominant[n], changed = above, true
			}
		}
	}
}

// common is the nearest node that dominates both.
func (g *graph) common(a, b int) int {
	for a != b {
		if g.number[a] > g.number[b] {
			a = g.dominant[a]
		} else {
			b = g.dominant[b]
		}
	}
	return a
}

func (g *graph) dominates(a, b int) bool { return g.common(a, b) == a }

// back reports whether an edge goes to a node that doesn't come later.
func (g *graph) back(from, to int) bool { return g.number[to] <= g.number[from] }

// loops returns the nodes of each loop by its head. It is not ok where one has
// two ways in: such a graph is not reducible.
func (g *graph) loops() (loops map[int]map[int]bool, ok bool) {
	loops = map[int]map[int]bool{}
	for _, from := range g.order {
		for _, to := range g.next[from] {
			if !g.back(from, to) {
				continue
			}
			if !g.dominates(to, from) {
				return nil, false
			}
			if loops[to] == nil {
				loops[to] = map[int]bool{to: true}
			}
			g.collect(loops[to], from)
		}
	}
	return loops, true
}

// collect adds a node and what leads to it to a loop.
func (g *graph) collect(loop map[int]bool, n int) {
	for list := []int{n}; len(list) > 0; {
		n, list = list[len(list)-1], list[:len(list)-1]
		if !loop[n] {
			loop[n] = true
			list = append(list, g.before[n]...)
		}
	}
}
