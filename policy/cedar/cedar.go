// Package cedar evaluates Cedar policies in process (CONTRACT 6).
//
// The principal is Workload::"id", the action Action::"policy name", the
// resource Resource::"id" or Resource::"*". Only the text of the policy that
// is asked takes part, so policies can't collide.
package cedar

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	cedargo "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"kest.example/kest"
)

// Engine holds named policies. It implements kest.Engine and
// kest.PolicyDigester and is safe for concurrent use. It remembers a fixed number
// of values that it made Cedar's for earlier requests, and never a decision.
type Engine struct {
	policies map[string]*policy
	entities types.EntityGetter
}

type policy struct {
	set    *statements
	plan   plan
	lazy   *lazy // nil where the text uses the context as a whole
	action types.EntityUID
	digest string
}

// PolicyError says which policy's text is not Cedar, and where.
type PolicyError struct {
	Policy string
	Err    error
}

func (e *PolicyError) Error() string {
	return "cedar: policy " + strconv.Quote(e.Policy) + ": " + e.Err.Error()
}

func (e *PolicyError) Unwrap() error { return e.Err }

type emptyPolicyError struct{}

func (emptyPolicyError) Error() string { return "it holds no policy and could never allow" }

// New parses the policies, name to Cedar text. Entities may be nil; those of the
// type KestContext are this package's own.
func New(policies map[string]string, entities types.EntityGetter) (*Engine, error) {
	if entities == nil {
		entities = types.EntityMap{}
	}
	e := &Engine{policies: make(map[string]*policy, len(policies)), entities: entities}
	for name, text := range policies {
		p, err := parse(name, text)
		if err != nil {
			return nil, &PolicyError{name, err}
		}
		e.policies[name] = p
	}
	return e, nil
}

// parse reads one policy's text.
func parse(name, text string) (*policy, error) {
	list, err := cedargo.NewPolicyListFromBytes(name+".cedar", []byte(text))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, emptyPolicyError{}
	}
	sum := sha256.Sum256([]byte(text))
	tokens := tokenize(text)
	p := &policy{
		set: statementsOf(list), plan: planOf(usageOfTokens(tokens)),
		action: types.NewEntityUID("Action", types.String(name)), digest: hex.EncodeToString(sum[:]),
	}
	if other, uses, ok := rewrite(text, tokens); ok {
		if same, err := cedargo.NewPolicyListFromBytes(name+".cedar", []byte(other)); err == nil && len(same) == len(list) {
			p.lazy = lazyOf(statementsOf(same), uses)
		}
	}
	return p, nil
}

// Digest implements kest.PolicyDigester: the hex SHA-256 of the policy's text.
func (e *Engine) Digest(name string) (digest string, known bool) {
	if p := e.policies[name]; p != nil {
		return p.digest, true
	}
	return "", false
}

// Names returns the policies' names in no particular order.
func (e *Engine) Names() []string {
	names := make([]string, 0, len(e.policies))
	for name := range e.policies {
		names = append(names, name)
	}
	return names
}

type unknownPolicyError string

func (e unknownPolicyError) Error() string {
	return "cedar: policy " + strconv.Quote(string(e)) + " is not defined"
}

type diagnosticError []types.DiagnosticError

func (e diagnosticError) Error() string {
	texts := make([]string, len(e))
	for i, d := range e {
		texts[i] = string(d.PolicyID) + ": " + d.Message
	}
	return "cedar: " + strings.Join(texts, "; ")
}

// Evaluate implements kest.Engine. A diagnostic error denies, even where
// another policy of the text allowed.
func (e *Engine) Evaluate(_ context.Context, name string, c *kest.Context) (kest.Decision, error) {
	d, _, err := e.authorize(name, c)
	return d, err
}

// Explain is Evaluate, and the lines of the statements that decided.
func (e *Engine) Explain(name string, c *kest.Context) (d kest.Decision, lines []int, err error) {
	d, reasons, err := e.authorize(name, c)
	if err != nil {
		return d, nil, err
	}
	return d, linesOf(reasons), nil
}

// Statements returns the line of each statement of a policy, in its order.
func (e *Engine) Statements(name string) (lines []int) {
	if p := e.policies[name]; p != nil {
		for _, one := range p.set.list {
			lines = append(lines, one.Position().Line)
		}
	}
	return lines
}

func (e *Engine) authorize(name string, c *kest.Context) (kest.Decision, []types.DiagnosticReason, error) {
	p := e.policies[name]
	if p == nil {
		return kest.Decision{}, nil, unknownPolicyError(name)
	}
	resource := c.Object.ID
	if resource == "" {
		resource = "*"
	}
	allowed, diagnostic, err := p.ask(c, e.entities, cedargo.Request{
		Principal: types.NewEntityUID("Workload", types.String(c.Subject.Workload)),
		Action:    p.action,
		Resource:  types.NewEntityUID("Resource", types.String(resource)),
	})
	if err != nil {
		return kest.Decision{}, nil, err
	}
	d := kest.Decision{Revision: p.digest}
	if len(diagnostic.Errors) > 0 {
		return d, nil, diagnosticError(diagnostic.Errors)
	}
	d.Allow = allowed == cedargo.Allow
	d.Reason = p.set.reason(d.Allow, diagnostic.Reasons)
	return d, diagnostic.Reasons, nil
}

// ask evaluates the lazy form, and the text itself where that can't answer.

func (p *policy) ask(c *kest.Context, entities types.EntityGetter, request cedargo.Request) (cedargo.Decision, types.Diagnostic, error) {
	if p.lazy != nil {
		if allowed, diagnostic, ok := p.lazy.ask(c, entities, request); ok {
			return allowed, diagnostic, nil
		}
	}
	record, err := p.plan.record(c)
	if err != nil {
		return cedargo.Deny, types.Diagnostic{}, err
	}
	request.Context = record
	allowed, diagnostic := cedargo.Authorize(p.set, entities, request)
	return allowed, diagnostic, nil
}
