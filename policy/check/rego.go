package check

import (
	"errors"
	"io/fs"
	"math"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"kest.example/kest/internal/fault"
	"kest.example/kest/policy/rego"
)

// Rego checks a folder of modules, named below prefix in faults; WithoutPolicies
// is for files that were named by themselves. An error is a folder that can't
// be read.
func Rego(fsys fs.FS, prefix string, options ...rego.Option) (Faults, error) {
	b, err := rego.LoadFS(fsys, prefix, append(options, rego.WithInputSchema(inputSchema()), rego.WithFaulty())...)
	var faults Faults
	if list, ok := errors.AsType[rego.Faults](err); ok {
		for _, f := range list {
			faults = append(faults, fault.New(f.File, f.Line, said(f.Text)))
		}
	} else if err != nil {
		return nil, err
	}
	reached := make(map[string]bool)
	for _, r := range b.AllowRules() {
		if text, may := b.AllowType(r.Policy); !may && !reached[r.Policy] {
			faults = append(faults, fault.New(r.File, r.Line, "allow is "+text+": only the boolean true allows"))
		}
		reached[r.Policy] = true
		if never(r.Node) {
			faults = append(faults, fault.New(r.File, r.Line, "this allow can never hold: its conditions contradict each other"))
		}
	}
	for _, p := range b.Policies {
		if !reached[p.Name] && b.Whole(p.Name) {
			faults = append(faults, fault.New(prefix, 1, "policy "+p.Name+" has no rule allow beside a default: it never changes its mind"))
		}
	}
	return faults.Sorted(), nil
}

// said puts OPA's words about an input that isn't there into ours.
func said(text string) string {
	if ref, ok := strings.CutPrefix(text, "undefined ref: "); ok {
		return "our context has no attribute " + strings.TrimPrefix(ref, "input.")
	}
	if text == "match error" {
		return "this can never hold: its two sides are of different types"
	}
	return text
}

// inputSchema is a JSON schema of the context.
func inputSchema() any { return schemaOf(nestedShape) }

func schemaOf(members []shape) map[string]any {
	properties := make(map[string]any, len(members))
	for _, m := range members {
		properties[m.name] = schemaOfMember(m)
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}

func schemaOfMember(m shape) any {
	word := func(kind string) map[string]any { return map[string]any{"type": kind} }
	list := func(of any) map[string]any { return map[string]any{"type": "array", "items": of} }
	nullable := map[string]any{"anyOf": []any{word("string"), word("null")}}
	switch m.kind {
	case integer:
		return word("integer")
	case boolean:
		return word("boolean")
	case texts:
		return list(word("string"))
	case labels:
		return map[string]any{"type": "object", "additionalProperties": list(word("string"))}
	case origin:
		return map[string]any{"type": "object", "additionalProperties": word("string")}
	case open:
		return map[string]any{}
	case acts:
		return list(map[string]any{
			"type": "object", "properties": map[string]any{"operation": word("string"), "user": nullable}, "additionalProperties": false,
		})
	case record:
		return schemaOf(m.members)
	}
	if m.optional {
		return nullable
	}
	return word("string")
}

// never reports whether conditions of a rule contradict each other, as far as
// comparisons with constants show.
func never(rule *ast.Rule) bool {
	f := facts{unit: 2, ranges: make(map[string]bounds)}
	for _, e := range rule.Body {
		if !f.expression(e) {
			return true
		}
	}
	return false
}

// expression takes over that an expression holds; false when it can't.
func (f *facts) expression(e *ast.Expr) bool {
	if e.Negated || len(e.With) > 0 {
		return true
	}
	if t, ok := e.Terms.(*ast.Term); ok {
		b, constant := t.Value.(ast.Boolean)
		return !constant || bool(b)
	}
	if !e.IsCall() || len(e.Operands()) != 2 {
		return true
	}
	left, right := e.Operand(0), e.Operand(1)
	switch e.Operator().String() {
	case "lt":
		return f.order(left, right, 1)
	case "lte":
		return f.order(left, right, 0)
	case "gt":
		return f.order(right, left, 1)
	case "gte":
		return f.order(right, left, 0)
	case "equal", "eq":
		return f.order(left, right, 0) && f.order(right, left, 0)
	}
	return true
}

// order takes low + gap <= high, where one is a member of input and the other an
// integer. Between integers lies nothing, unless the member is an attribute: so
// bounds are counted in halves.
func (f *facts) order(low, high *ast.Term, gap int64) bool {
	gapOf := func(path []string) int64 {
		if isOpen(path) {
			return gap
		}
		return 2 * gap
	}
	if path := inputPath(low); path != nil {
		if n, ok := integerOf(high); ok {
			return f.within(path, math.MinInt64, 2*n-gapOf(path))
		}
	}
	if path := inputPath(high); path != nil {
		if n, ok := integerOf(low); ok {
			return f.within(path, 2*n+gapOf(path), math.MaxInt64)
		}
	}
	return true
}

func inputPath(t *ast.Term) (path []string) {
	ref, ok := t.Value.(ast.Ref)
	if !ok || ref[0].Value.Compare(ast.InputRootDocument.Value) != 0 {
		return nil
	}
	for _, part := range ref[1:] {
		name, ok := part.Value.(ast.String)
		if !ok {
			return nil
		}
		path = append(path, string(name))
	}
	return path
}

// integerOf knows those that can be doubled.
func integerOf(t *ast.Term) (int64, bool) {
	v, ok := t.Value.(ast.Number)
	if !ok {
		return 0, false
	}
	n, ok := v.Int64()
	return n, ok && n > math.MinInt64/4 && n < math.MaxInt64/4
}
