package rego

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// withoutIndex keeps rules out of the index by which OPA's evaluator leaves out
// those that won't hold. With them it leaves out their errors, which have to
// deny, and version 1.22 also leaves out rules that do hold:
//
//	x = data.q.word; x in input.lineage.origins; x == "op"
//
// The index skips a rule that prints. So each prints nothing while it is built.
// The index of comprehensions isn't built: it evaluates them also for what
// nobody asks, and so has errors that aren't there.
func withoutIndex(c *ast.Compiler) *ast.Compiler {
	return c.WithSkipStages(ast.StageBuildComprehensionIndices).
		WithStageAfterID(ast.StageCheckDeprecatedBuiltins, stage("PrintInRules", func(r *ast.Rule) {
			r.Body.Append(ast.InternalPrint.Expr(ast.NewTerm(ast.NewArray())))
		})).
		WithStageAfterID(ast.StageBuildRuleIndices, stage("DontPrintInRules", func(r *ast.Rule) {
			r.Body = r.Body[:len(r.Body)-1]
		}))
}

func stage(name string, do func(*ast.Rule)) ast.CompilerStageDefinition {
	return ast.CompilerStageDefinition{Name: name, MetricName: name, Stage: func(c *ast.Compiler) *ast.Error {
		for _, m := range c.Modules {
			ast.WalkRules(m, func(r *ast.Rule) bool {
				do(r)
				return false
			})
		}
		return nil
	}}
}
