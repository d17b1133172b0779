package kest

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Answer is what an engine said of one policy.
type Answer struct {
	Decision
	Err error
}

// Evaluation is a plan that is being decided, tier by tier. Who can wait calls
// Plan.Evaluate; who can't, as a filter in a proxy, asks for what Next names by
// its own means and brings the answers to Decide.
type Evaluation struct {
	plan    *Plan
	context *Context
	tier    int
	done    []NamedDecision
	denied  bool
	room    [3]NamedDecision // for done, which most plans don't outgrow
}

// Begin starts to decide a plan.
func (p *Plan) Begin(c *Context) *Evaluation {
	e := &Evaluation{plan: p, context: c}
	e.done = e.room[:0]
	return e
}

// Next returns the tier to be asked and the context that its policies see;
// more is false when all tiers have allowed, or one has denied.
func (e *Evaluation) Next() (t TierPolicies, c *Context, more bool) {
	if e.denied || e.tier == len(e.plan.Tiers) {
		return TierPolicies{}, nil, false
	}
	t = e.plan.Tiers[e.tier]
	return t, e.context.forTier(t), true
}

// Decide takes a tier's answers, in the order of its policies. Those after the
// first that doesn't allow may be missing. The error is the *DenialError of
// the first policy that doesn't allow; fewer answers than policies deny too.
func (e *Evaluation) Decide(answers []Answer) error {
	t := e.plan.Tiers[e.tier]
	e.tier++
	for i, name := range t.Policies {
		a := Answer{Err: errNotAsked}
		if i < len(answers) {
			a = answers[i]
		}
		a.Allow = a.Allow && a.Err == nil
		if a.Err != nil {
			a.Reason = a.Err.Error()
		}
		e.done = append(e.done, NamedDecision{Policy: name, Tier: t.Tier, Decision: a.Decision})
		if !a.Allow {
			e.denied = true
			return e.context.denial(name, t.Tier, a.Decision, a.Err)
		}
	}
	return nil
}

// Decisions returns the decisions so far: of the policies that were reached.
func (e *Evaluation) Decisions() []NamedDecision { return e.done }

var errNotAsked = errors.New("kest: the policy was not asked")

// ShadowContext is the context that shadow policies see.
func (p *Plan) ShadowContext(c *Context) *Context {
	return c.forTier(TierPolicies{TierFunction, p.Shadow})
}

// RemoteEngine is an engine that knows which of its policies are asked over a
// network: those of one tier are asked side by side.
type RemoteEngine interface {
	Remote(policy string) bool
}

// PatientEngine is an engine some of whose policies may take another time than
// EvaluationTimeout.
type PatientEngine interface {
	Timeout(policy string) time.Duration
}

// timeoutOf returns how long the policies may take, asked side by side.
func timeoutOf(engine Engine, policies []string) time.Duration {
	patient, ok := engine.(PatientEngine)
	if !ok {
		return EvaluationTimeout
	}
	longest := time.Duration(0)
	for _, name := range policies {
		longest = max(longest, patient.Timeout(name))
	}
	return longest
}

type traceparentKey struct{}

// ContextWithTraceparent has engines that are asked over a network carry a W3C
// traceparent. A Hook does it with its call's.
func ContextWithTraceparent(ctx context.Context, traceparent string) context.Context {
	return context.WithValue(ctx, traceparentKey{}, traceparent)
}

// TraceparentOf returns what ContextWithTraceparent put into ctx, or "".
func TraceparentOf(ctx context.Context) string {
	traceparent, _ := ctx.Value(traceparentKey{}).(string)
	return traceparent
}

// Evaluate asks the engine for every policy of the plan, tier by tier, and
// returns the decisions of the policies reached. A tier may take
// EvaluationTimeout, or what a PatientEngine says. All must allow; the first that doesn't ends it with a
// *DenialError. Shadow policies are asked after that and
// change nothing; what they say goes to the shadow function, if there is one.
func (p *Plan) Evaluate(ctx context.Context, engine Engine, c *Context, shadow func(policy string, d Decision, err error)) ([]NamedDecision, error) {
	e := p.Begin(c)
	denial := error(nil)
	for denial == nil {
		t, scope, more := e.Next()
		if !more {
			break
		}
		bounded, cancel := context.WithTimeout(ctx, timeoutOf(engine, t.Policies))
		denial = e.Decide(askTier(bounded, engine, t.Policies, scope))
		cancel()
	}
	if shadow != nil && len(p.Shadow) > 0 {
		scope := p.ShadowContext(c)
		ctx, cancel := context.WithTimeout(ctx, timeoutOf(engine, p.Shadow))
		defer cancel()
		for i, a := range askAll(ctx, engine, p.Shadow, scope) {
			shadow(p.Shadow[i], a.Decision, a.Err)
		}
	}
	return e.Decisions(), denial
}

// askTier asks local policies one after the other, as far as they allow, and
// all at once where some are remote.
func askTier(ctx context.Context, engine Engine, policies []string, c *Context) []Answer {
	if len(policies) > 1 && anyRemote(engine, policies) {
		return askAll(ctx, engine, policies, c)
	}
	answers := make([]Answer, 0, len(policies))
	for _, name := range policies {
		d, err := engine.Evaluate(ctx, name, c)
		if answers = append(answers, Answer{d, err}); err != nil || !d.Allow {
			break
		}
	}
	return answers
}

// askAll asks every policy: remote ones side by side, the others meanwhile.
func askAll(ctx context.Context, engine Engine, policies []string, c *Context) []Answer {
	answers := make([]Answer, len(policies))
	remote, _ := engine.(RemoteEngine)
	var asked sync.WaitGroup
	ask := func(i int) {
		d, err := engine.Evaluate(ctx, policies[i], c)
		answers[i] = Answer{d, err}
	}
	for i, name := range policies {
		if remote != nil && remote.Remote(name) {
			asked.Go(func() { ask(i) })
		}
	}
	for i, name := range policies {
		if remote == nil || !remote.Remote(name) {
			ask(i)
		}
	}
	asked.Wait()
	return answers
}

func anyRemote(engine Engine, policies []string) bool {
	remote, ok := engine.(RemoteEngine)
	if !ok {
		return false
	}
	for _, name := range policies {
		if remote.Remote(name) {
			return true
		}
	}
	return false
}
