package rego

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"kest.example/kest"
)

// Coverage notes which rules held in evaluations. It is not safe for concurrent use.
type Coverage struct{ held map[Rule]bool }

// NewCoverage makes a coverage of nothing.
func NewCoverage() *Coverage { return &Coverage{make(map[Rule]bool)} }

// Held reports whether a rule held in one of the evaluations.
func (c *Coverage) Held(r Rule) bool { return c.held[r] }

// Evaluate is the engine's, and notes the rules that held.
func (c *Coverage) Evaluate(ctx context.Context, e *Engine, policy string, about *kest.Context) (kest.Decision, error) {
	p := e.policies[canonicalName(policy)]
	if p == nil {
		return kest.Decision{}, unknownPolicyError(policy)
	}
	return p.evaluate(ctx, about, c)
}

// Enabled implements topdown.QueryTracer.
func (*Coverage) Enabled() bool { return true }

// Config implements topdown.QueryTracer.
func (*Coverage) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent implements topdown.QueryTracer.
func (c *Coverage) TraceEvent(e topdown.Event) {
	if rule, ok := e.Node.(*ast.Rule); ok && e.Op == topdown.ExitOp && rule.Location != nil {
		c.held[Rule{rule.Location.File, rule.Location.Row}] = true
	}
}
