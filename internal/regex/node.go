package regex

// kind says what a node or an instruction is.
type kind uint8

const (
	match     kind = iota // instruction: the end
	fork                  // instruction: goes on at next, or else at other
	save                  // instruction: group's edge
	condition             // both
	literal               // both: one rune
	class                 // both: a rune of a set
	group                 // node: its one sub in parentheses that capture
	sequence              // node
	choice                // node
	repeat                // node: its one sub, min to max times
)

// node is a part of a pattern.
type node struct {
	kind     kind
	fold     bool // literal: in any case
	lazy     bool // repeat: as few as possible
	nullable bool // may match the empty string
	value    int  // of a literal its rune, of a condition its bit, of a group its number
	set      *set // of a class
	min, max int  // of a repeat; max is -1 when there is none
	subs     []*node
}

// The compiler would put a copy of small functions at each of their calls. Those
// marked noinline are called so often that guests would have kilobytes more.

// push adds a sub. One that may be empty is enough for all but a sequence.
//
//go:noinline
func (n *node) push(sub *node) {
	n.subs = append(n.subs, sub)
	n.nullable = n.nullable || sub.nullable
}

// copies reports whether repeats in repeats come to at most limit copies.
func (n *node) copies(limit int) bool {
	if n.kind == repeat {
		times := n.max
		if times == 0 {
			return true
		}
		if times < 0 {
			times = n.min
		}
		if times > limit {
			return false
		}
		if times > 0 {
			limit /= times
		}
	}
	for _, sub := range n.subs {
		if !sub.copies(limit) {
			return false
		}
	}
	return true
}

// Conditions on a place in the text.
const (
	beginText = 1 << iota
	endText
	beginLine
	endLine
	wordEdge
	noWordEdge
)

// instruction is one of a program. At 0 is the match.
type instruction struct {
	kind  kind
	fold  bool
	next  int
	value int // as of a node; of a fork the other way; of a save the slot
	set   *set
}

// compiler makes a program from its end to its start, so that where to go on is
// always known.
type compiler struct {
	program []instruction
}

//
//go:noinline
func (c *compiler) add(k kind, next, value int) int {
	c.program = append(c.program, instruction{kind: k, next: next, value: value})
	return len(c.program) - 1
}

// fork goes to first or else to second, the other way round where it is lazy.
func (c *compiler) fork(lazy bool, first, second int) int {
	if lazy {
		first, second = second, first
	}
	return c.add(fork, first, second)
}

// emit adds n, behind which is next, and returns where it starts.
func (c *compiler) emit(n *node, next int) int {
	if len(c.program) > MaxProgram {
		return next
	}
	last := len(n.subs) - 1
	switch n.kind {
	case group:
		next = c.add(save, next, 2*n.value+1)
		return c.add(save, c.emit(n.subs[0], next), 2*n.value)
	case sequence:
		for ; last >= 0; last-- {
			next = c.emit(n.subs[last], next)
		}
		return next
	case choice:
		start := c.emit(n.subs[last], next)
		for last--; last >= 0; last-- {
			start = c.add(fork, c.emit(n.subs[last], next), start)
		}
		return start
	case repeat:
		return c.repeat(n, next)
	}
	next = c.add(n.kind, next, n.value)
	c.program[next].set, c.program[next].fold = n.set, n.fold
	return next
}

// repeat: x{2,4} is xx(x(x)?)?, x{2,} is xx+.
func (c *compiler) repeat(n *node, next int) int {
	sub, start, required := n.subs[0], next, n.min
	for range n.max - n.min {
		start = c.fork(n.lazy, c.emit(sub, start), next)
	}
	if n.max < 0 {
		// Where the loop starts is known when it has been made.
		loop := c.fork(n.lazy, 0, next)
		start = c.emit(sub, loop)
		if n.lazy {
			c.program[loop].value = start
		} else {
			c.program[loop].next = start
		}
		switch {
		case required > 0:
			required--
		case sub.nullable:
			// The loop must not be entered at its end: x* is (x+)? where x may be empty.
			start = c.fork(n.lazy, start, next)
		default:
			start = loop
		}
	}
	for range required {
		start = c.emit(sub, start)
	}
	return start
}
