package host

// mostCalls is how many calls a guest may make without a check. Between two
// looks there are meterInterval checks.
const mostCalls = 1 << 6

// deepest is how far a chain of calls is followed.
const deepest = 1 << 12

// entries decides which functions have the check in front: each that calls by a
// table; of those that call each other in a circle, as many that none is without
// one; and each whose calls, and theirs, could be too many. So a guest that runs
// for long comes to a check, and most functions have none. The functions are
// numbered from first on.
func entries(list []walker, first uint64) []bool {
	e := entering{list: list, first: first, functions: make([]entered, len(list))}
	for i := range list {
		e.visit(i, 0)
	}
	at := make([]bool, len(list))
	for i, f := range e.functions {
		at[i] = f.checked && !list[i].loopFirst // it has the loop's
	}
	return at
}

type entering struct {
	list      []walker
	first     uint64
	functions []entered
}

type entered struct {
	state   visit
	checked bool
	calls   int // that it makes before a check
}

type visit uint8

const (
	before visit = iota
	during
	after
)

// visit goes over the calls from a function. One to a function that the way
// leads through already closes a circle.
func (e *entering) visit(i, depth int) {
	f := &e.functions[i]
	switch {
	case f.state == during, depth > deepest:
		f.checked = true
		return
	case f.state == after:
		return
	}
	f.state = during
	f.checked = f.checked || e.list[i].indirect || e.list[i].loopFirst
	for _, callee := range e.list[i].callees {
		f.calls++
		if callee < e.first || callee-e.first >= uint64(len(e.list)) {
			continue
		}
		to := int(callee - e.first) //nolint:gosec // below len
		if e.visit(to, depth+1); !e.functions[to].checked {
			f.calls = min(f.calls+e.functions[to].calls, mostCalls+1)
		}
	}
	f.checked = f.checked || f.calls > mostCalls
	f.state = after
}
