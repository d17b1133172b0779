package kest

import (
	"context"
	"errors"
	"time"
)

// Decision is an engine's answer. The zero value denies.
type Decision struct {
	Allow    bool
	Reason   string
	Revision string // of the policy: its digest, or what a remote engine says
}

// Engine evaluates one named policy on a context (F-PE-01). Only an answer
// with Allow and without an error allows. It must be safe for concurrent use
// and must not change the context.
type Engine interface {
	Evaluate(ctx context.Context, policy string, c *Context) (Decision, error)
}

// PolicyDigester is an engine that knows its policies: whether it has one, and
// the hex SHA-256 of it.
type PolicyDigester interface {
	Digest(policy string) (digest string, known bool)
}

// EngineFunc makes an engine of a function, such as a fixed answer in a test.
type EngineFunc func(ctx context.Context, policy string, c *Context) (Decision, error)

// Evaluate implements Engine.
func (f EngineFunc) Evaluate(ctx context.Context, policy string, c *Context) (Decision, error) {
	return f(ctx, policy, c)
}

// AllowAll is an engine that allows everything. It is insecure: for
// development and benchmarks.
func AllowAll() Engine {
	return EngineFunc(func(context.Context, string, *Context) (Decision, error) {
		return Decision{Allow: true, Reason: "everything is allowed"}, nil
	})
}

// EvaluationTimeout is how long a policy may take by default.
const EvaluationTimeout = time.Second

// Evaluate asks the engine for every policy of the plan, tier by tier, and
// returns the decisions of the policies asked. All must allow; the first that
// doesn't ends it with a *DenialError. Shadow policies are asked after that and
// change nothing; what they say goes to the shadow function, if there is one.
func (p *Plan) Evaluate(ctx context.Context, engine Engine, c *Context, shadow func(policy string, d Decision, err error)) ([]NamedDecision, error) {
	done := make([]NamedDecision, 0, 4)
	denial := error(nil)
	for _, t := range p.Tiers {
		scope := c.forTier(t)
		for _, name := range t.Policies {
			d, err := engine.Evaluate(ctx, name, scope)
			d.Allow = d.Allow && err == nil
			done = append(done, NamedDecision{Policy: name, Tier: t.Tier, Decision: d})
			if !d.Allow {
				denial = c.denial(name, t.Tier, d, err)
				break
			}
		}
		if denial != nil {
			break
		}
	}
	if shadow != nil {
		for _, name := range p.Shadow {
			d, err := engine.Evaluate(ctx, name, c.forTier(TierPolicies{TierFunction, p.Shadow}))
			shadow(name, d, err)
		}
	}
	return done, denial
}

// NamedDecision is one policy's decision in one tier.
type NamedDecision struct {
	Policy string
	Tier   Tier
	Decision
}

func (c *Context) denial(policy string, tier Tier, d Decision, err error) *DenialError {
	reason := d.Reason
	if err != nil {
		reason = err.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = unavailable("the policy engine was late", err)
	}
	return &DenialError{
		DecisionID: c.entryID, Operation: c.Environment.Operation, Workload: c.Subject.Workload,
		Policy: policy, Tier: tier, Reason: reason, Err: err,
	}
}
