package library_test

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"testing"

	cedargo "github.com/cedar-policy/cedar-go"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"kest.example/kest"
	"kest.example/kest/policy/library"
	"kest.example/kest/policy/rego"
	"kest.example/kest/policy/table"
)

// verdict is what a row shows: a refusal and a failure are told apart.
type verdict struct{ allow, failed bool }

func verdictOf(e kest.Engine, policy string, row *table.Case) verdict {
	d, err := e.Evaluate(context.Background(), policy, row.Context)
	return verdict{err == nil && d.Allow, err != nil}
}

// seen reports whether some row tells the engine from the one that is right.
func seen(right, changed kest.Engine, policy string, tab *table.Table) bool {
	return slices.ContainsFunc(tab.Cases, func(row table.Case) bool {
		return verdictOf(right, policy, &row) != verdictOf(changed, policy, &row)
	})
}

// Whichever part of a Cedar policy is taken away or weakened, a row shows it.
func TestCedarRulesAreCovered(t *testing.T) {
	each(t, func(t *testing.T, m *library.Model) {
		list, err := cedargo.NewPolicyListFromBytes(m.Name, []byte(m.Cedar))
		if err != nil || len(list) != 1 {
			t.Fatalf("%d statements, %v", len(list), err)
		}
		text, err := list[0].MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var tree any
		if err := json.Unmarshal(text, &tree); err != nil {
			t.Fatal(err)
		}
		tab, right := tableOf(t, m), cedarEngine(t, m, m.Cedar)
		n := 0
		for changed, what := range weaker(tree) {
			n++
			if !seen(right, cedarEngine(t, m, cedarText(t, changed)), m.Policy(), tab) {
				t.Errorf("no row shows that\n%v", what)
			}
		}
		if n < 10 {
			t.Errorf("only %d changes were tried", n)
		}
		t.Logf("%d changes were seen", n)
	})
}

func cedarText(t *testing.T, tree any) string {
	t.Helper()
	text, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	var p cedargo.Policy
	if err := p.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	return string(p.MarshalCedar())
}

// weaker yields a policy in Cedar's JSON with one change each, and what was
// changed: an operand in place of its operator, a branch in place of its choice,
// a bound that is off by one, any in place of all, a set that lacks one.
func weaker(tree any) iter.Seq2[any, change] {
	return func(yield func(any, change) bool) { weaken(tree, yield) }
}

type change struct{ from, to any }

func (c change) String() string {
	from, _ := json.Marshal(c.from)
	to, _ := json.Marshal(c.to)
	return string(from) + "\nbecame\n" + string(to)
}

// weaken calls yield with each changed form of a part, put where the part stands.
func weaken(v any, yield func(any, change) bool) bool {
	switch v := v.(type) {
	case []any:
		for i := range v {
			if !weaken(v[i], func(part any, c change) bool {
				list := slices.Clone(v)
				list[i] = part
				return yield(list, c)
			}) {
				return false
			}
		}
	case map[string]any:
		for _, part := range replacements(v) {
			if !yield(part, change{v, part}) {
				return false
			}
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if !weaken(v[name], func(part any, c change) bool {
				members := maps.Clone(v)
				members[name] = part
				return yield(members, c)
			}) {
				return false
			}
		}
	}
	return true
}

var instead = map[string]string{"<=": "<", ">=": ">", "containsAll": "containsAny"}

func replacements(node map[string]any) (list []any) {
	for operator, operands := range node {
		args, _ := operands.(map[string]any)
		switch operator {
		case "&&", "||":
			list = append(list, args["left"], args["right"])
		case "!":
			list = append(list, args["arg"])
		case "if-then-else":
			list = append(list, args["then"], args["else"])
		case "Set":
			elements, _ := operands.([]any)
			for i := range elements {
				list = append(list, map[string]any{"Set": slices.Delete(slices.Clone(elements), i, i+1)})
			}
		}
		if other := instead[operator]; other != "" {
			list = append(list, map[string]any{other: operands})
		}
	}
	return list
}

// Whichever expression or rule of a Rego policy is taken away, a row shows it, and
// some row meets every rule.
func TestRegoRulesAreCovered(t *testing.T) {
	each(t, func(t *testing.T, m *library.Model) {
		tab, right := tableOf(t, m), regoEngine(t, m.Rego)
		everyRuleHolds(t, m, tab, right)
		n := 0
		for _, without := range []func(t *testing.T, module string, i int) (text, what string){withoutExpression, withoutRule} {
			for i := 0; ; i++ {
				text, what := without(t, m.Rego, i)
				if what == "" {
					break
				}
				n++
				if !regoChangeIsSeen(t, right, text, m.Policy(), tab) {
					t.Errorf("no row shows that this is left out: %s", what)
				}
			}
		}
		if n < 8 {
			t.Errorf("only %d changes were tried", n)
		}
		t.Logf("%d changes were seen", n)
	})
}

// regoChangeIsSeen reports whether some row tells the module from the one that is
// right. One that doesn't compile can't go unseen.
func regoChangeIsSeen(t *testing.T, right kest.Engine, text, policy string, tab *table.Table) bool {
	t.Helper()
	b, err := bundleOf(text)
	if err != nil {
		return true
	}
	changed, err := rego.New(b)
	if err != nil {
		t.Fatal(err)
	}
	return seen(right, changed, policy, tab)
}

func everyRuleHolds(t *testing.T, m *library.Model, tab *table.Table, e *rego.Engine) {
	t.Helper()
	b, err := bundleOf(m.Rego)
	if err != nil {
		t.Fatal(err)
	}
	coverage := rego.NewCoverage()
	for _, row := range tab.Cases {
		if _, err := coverage.Evaluate(context.Background(), e, m.Policy(), row.Context); err != nil {
			t.Errorf("%s: %v", row.Name, err)
		}
	}
	for _, rule := range b.Rules(m.Policy()) {
		if !coverage.Held(rule) {
			t.Errorf("the rule in line %d holds in no row", rule.Line)
		}
	}
}

// withoutExpression returns the module with true in place of its ith expression,
// and that expression; "" where there are not so many.
func withoutExpression(t *testing.T, module string, i int) (text, expression string) {
	t.Helper()
	parsed := ast.MustParseModuleWithOpts(module, ast.ParserOptions{RegoVersion: ast.RegoV1})
	ast.WalkExprs(parsed, func(e *ast.Expr) bool {
		if e.String() == "true" { // of a rule without a body
			return false
		}
		if i == 0 && expression == "" {
			expression = e.String()
			*e = ast.Expr{Terms: ast.BooleanTerm(true), Location: e.Location}
			return true
		}
		i--
		return false
	})
	return moduleText(t, parsed), expression
}

// withoutRule returns the module without its ith rule, and that rule. The default
// stays: an allow that is undefined denies, too.
func withoutRule(t *testing.T, module string, i int) (text, rule string) {
	t.Helper()
	parsed := ast.MustParseModuleWithOpts(module, ast.ParserOptions{RegoVersion: ast.RegoV1})
	parsed.Rules = slices.DeleteFunc(parsed.Rules, func(r *ast.Rule) bool {
		if r.Default {
			return false
		}
		i--
		if i == -1 {
			rule = r.String()
		}
		return i == -1
	})
	return moduleText(t, parsed), rule
}

func moduleText(t *testing.T, m *ast.Module) string {
	t.Helper()
	text, err := format.AstWithOpts(m, format.Opts{RegoVersion: ast.RegoV1, IgnoreLocations: true})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
