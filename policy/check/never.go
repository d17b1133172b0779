package check

import (
	"math"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// neverMatches reports whether the conditions of a statement contradict each
// other, as far as single comparisons with constants show: what it says is
// true, but it doesn't find every contradiction.
func neverMatches(p *ast.Policy) bool {
	f := facts{unit: 1, ranges: make(map[string]bounds), texts: make(map[string]types.Value), flags: make(map[string]bool)}
	for _, cond := range p.Conditions {
		if !f.holds(cond.Body, bool(cond.Condition)) {
			return true
		}
	}
	return false
}

// facts are what must be true of the context for all conditions to hold.
type facts struct {
	unit   int64 // what bounds count: 1, or 2 for halves
	ranges map[string]bounds
	texts  map[string]types.Value
	flags  map[string]bool
}

type bounds struct{ low, high int64 }

// boundsOf knows that scores are from 0 to 100 and that depths aren't negative.
func boundsOf(path []string) bounds {
	if isOpen(path) {
		return bounds{math.MinInt64, math.MaxInt64}
	}
	switch path[len(path)-1] {
	case "trust_score", "subject.trust_score", "min_trust":
		return bounds{0, 100}
	case "depth":
		return bounds{0, math.MaxInt64}
	}
	return bounds{math.MinInt64, math.MaxInt64}
}

// holds takes over that an expression is as wanted, true or false. It returns
// false when that can't be.
func (f *facts) holds(n ast.IsNode, want bool) bool {
	switch n := n.(type) {
	case ast.NodeValue:
		return n.Value == types.Boolean(want)
	case ast.NodeTypeNot:
		return f.holds(n.Arg, !want)
	case ast.NodeTypeAnd:
		return !want || f.holds(n.Left, true) && f.holds(n.Right, true)
	case ast.NodeTypeOr:
		if want { // both sides impossible on their own is all that is seen
			left, right := f.copy(), f.copy()
			return left.holds(n.Left, true) || right.holds(n.Right, true)
		}
		return f.holds(n.Left, false) && f.holds(n.Right, false)
	case ast.NodeTypeEquals:
		return f.equals(n.BinaryNode, want)
	case ast.NodeTypeNotEquals:
		return f.equals(n.BinaryNode, !want)
	case ast.NodeTypeLessThan:
		return f.less(n.Left, n.Right, want, false)
	case ast.NodeTypeLessThanOrEqual:
		return f.less(n.Left, n.Right, want, true)
	case ast.NodeTypeGreaterThan:
		return f.less(n.Right, n.Left, want, false)
	case ast.NodeTypeGreaterThanOrEqual:
		return f.less(n.Right, n.Left, want, true)
	case ast.NodeTypeAccess:
		path, ok := pathOf(n)
		if !ok {
			return true
		}
		have, known := f.flags[joinPath(path)]
		f.flags[joinPath(path)] = want
		return !known || have == want
	}
	return true
}

func (f *facts) copy() *facts {
	c := facts{unit: 1, ranges: make(map[string]bounds), texts: make(map[string]types.Value), flags: make(map[string]bool)}
	for k, v := range f.ranges {
		c.ranges[k] = v
	}
	for k, v := range f.texts {
		c.texts[k] = v
	}
	for k, v := range f.flags {
		c.flags[k] = v
	}
	return &c
}

// equals takes a comparison of a path with a constant, either way round.
func (f *facts) equals(n ast.BinaryNode, want bool) bool {
	path, value := operands(n.Left, n.Right)
	if path == nil {
		return true
	}
	name := joinPath(path)
	switch value := value.(type) {
	case types.Long:
		return !want || f.within(path, int64(value), int64(value))
	case types.String:
		have, known := f.texts[name]
		if want && !known {
			f.texts[name] = value
		}
		return !known || (have == value) == want
	case types.Boolean:
		have, known := f.flags[name]
		f.flags[name] = bool(value) == want
		return !known || have == (bool(value) == want)
	}
	return true
}

func operands(a, b ast.IsNode) (path []string, value types.Value) {
	if _, constant := a.(ast.NodeValue); constant {
		a, b = b, a
	}
	path, ok := pathOf(a)
	v, constant := b.(ast.NodeValue)
	if !ok || !constant || len(path) == 0 {
		return nil, nil
	}
	return path, v.Value
}

// less takes left < right, or left <= right where equal is set, or its opposite.
func (f *facts) less(left, right ast.IsNode, want, equal bool) bool {
	if !want { // !(a < b) is b <= a
		return f.less(right, left, true, !equal)
	}
	if path, ok := pathOf(left); ok && len(path) > 0 {
		if v, ok := longOf(right); ok {
			if !equal {
				if v == math.MinInt64 {
					return false
				}
				v--
			}
			return f.within(path, math.MinInt64, v)
		}
	}
	if path, ok := pathOf(right); ok && len(path) > 0 {
		if v, ok := longOf(left); ok {
			if !equal {
				if v == math.MaxInt64 {
					return false
				}
				v++
			}
			return f.within(path, v, math.MaxInt64)
		}
	}
	return true
}

func longOf(n ast.IsNode) (int64, bool) {
	v, ok := n.(ast.NodeValue)
	if !ok {
		return 0, false
	}
	l, ok := v.Value.(types.Long)
	return int64(l), ok
}

// isOpen reports whether a path leads to an attribute, which may be any number.
func isOpen(path []string) bool {
	return slices.ContainsFunc(path, func(name string) bool { return name == "attributes" || strings.HasSuffix(name, ".attributes") })
}

// within narrows a number; false when nothing is left.
func (f *facts) within(path []string, low, high int64) bool {
	name := joinPath(path)
	b, known := f.ranges[name]
	if !known {
		b = boundsOf(path)
		if b.low > math.MinInt64 {
			b.low *= f.unit
		}
		if b.high < math.MaxInt64 {
			b.high *= f.unit
		}
	}
	b = bounds{max(b.low, low), min(b.high, high)}
	f.ranges[name] = b
	return b.low <= b.high
}
