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

// PolicyCodec is a remote engine as bytes: what is asked of it, and what its
// answer means. An http.Client and a proxy's callout serve it alike.
type PolicyCodec interface {
	// Question is the HTTP request that asks one policy on a context.
	Question(policy string, c *Context) (Question, error)
	// Answer reads the response to a Question. A well-formed answer that isn't an
	// allow is a Decision that denies, without an error; whatever else comes
	// is an error that wraps ErrUnavailable.
	Answer(policy string, status int, body []byte) (Decision, error)
}

// Question is an HTTP request without its address. The body is JSON.
type Question struct {
	Method string // POST
	Path   string // absolute, percent-encoded
	Body   []byte
}

// MaxAnswer is how many bytes a remote engine's answer may have: 1 MiB.
const MaxAnswer = 1 << 20

// EvaluationTimeout is how long a policy may take by default.
const EvaluationTimeout = time.Second

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
