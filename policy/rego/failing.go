package rego

import "github.com/open-policy-agent/opa/v1/ast"

// failing finds what can fail in the modules of a compiler. OPA's evaluator goes
// on no further than to the first value of a rule that has but one, so that an
// error behind it isn't seen, or is, as the order has it; the compiled form goes
// to the end. So do we where something can fail.
type failing struct {
	c     *ast.Compiler
	known map[*ast.Rule]bool
}

// cannotFail are the built-ins that have an answer for whatever they get.
var cannotFail = map[string]bool{
	"eq": true, "assign": true, "equal": true, "neq": true, "lt": true, "lte": true, "gt": true, "gte": true,
	"internal.member_2": true, "internal.member_3": true, "internal.print": true, "time.now_ns": true, "type_name": true, "walk": true,
	"is_array": true, "is_boolean": true, "is_null": true, "is_number": true, "is_object": true, "is_set": true, "is_string": true,
}

func newFailing(c *ast.Compiler) *failing { return &failing{c, make(map[*ast.Rule]bool)} }

// rule reports whether evaluating a rule, without its else, can fail.
func (f *failing) rule(r *ast.Rule) bool {
	can, known := f.known[r]
	if !known {
		f.known[r] = true // for what seems to lead back to it
		can = f.node(r.Body) || f.node(r.Head)
		f.known[r] = can
	}
	return can
}

func (f *failing) node(x any) (can bool) {
	ast.WalkRefs(x, func(ref ast.Ref) bool {
		can = can || f.ref(ref)
		return can
	})
	return can
}

// ref reports whether what a reference leads to can fail: a built-in, or rules,
// also by values that contradict each other.
func (f *failing) ref(ref ast.Ref) bool {
	if name := ref.String(); ast.BuiltinMap[name] != nil {
		return !cannotFail[name]
	}
	var value *ast.Term
	for _, r := range f.c.GetRulesDynamicWithOpts(ref, ast.RulesOptions{IncludeHiddenModules: true}) {
		for e := r; e != nil; e = e.Else {
			if f.rule(e) {
				return true
			}
		}
		if r.Default || r.Head.RuleKind() != ast.SingleValue {
			continue
		}
		if value != nil && (!value.IsGround() || !value.Equal(r.Head.Value)) {
			return true
		}
		value = r.Head.Value
	}
	return false
}
