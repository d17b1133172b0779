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
	"slices"
	"strconv"
	"strings"

	cedargo "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"kest.example/kest"
)

// Engine holds named policies. It implements kest.Engine and
// kest.PolicyDigester and is safe for concurrent use.
type Engine struct {
	policies map[string]*policy
	entities types.EntityGetter
}

type policy struct {
	set    cedargo.PolicyMap
	action types.EntityUID
	digest string
	plan   plan
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

// New parses the policies, name to Cedar text. Entities may be nil.
func New(policies map[string]string, entities types.EntityGetter) (*Engine, error) {
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

// parse reads one policy's text, and makes it ready in the cheapest form that
// means the same.
func parse(name, text string) (*policy, error) {
	list, err := cedargo.NewPolicyListFromBytes(name+".cedar", []byte(text))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, emptyPolicyError{}
	}
	tokens := tokenize(text)
	uses := usageOfTokens(tokens)
	plan := planOf(uses)
	if flat, ok := flatten(text, tokens, uses); ok {
		if same, err := cedargo.NewPolicyListFromBytes(name+".cedar", []byte(flat)); err == nil && len(same) == len(list) {
			list, plan = same, flatPlan(uses)
		}
	}
	sum := sha256.Sum256([]byte(text))
	p := &policy{
		set: make(cedargo.PolicyMap, len(list)), action: types.NewEntityUID("Action", types.String(name)),
		plan: plan, digest: hex.EncodeToString(sum[:]),
	}
	for i, one := range list {
		p.set[types.PolicyID("policy"+strconv.Itoa(i))] = one
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
	slices.Sort(texts) // cedar-go goes over a map
	return "cedar: " + strings.Join(texts, "; ")
}

// Evaluate implements kest.Engine. A diagnostic error denies, even where
// another policy of the text allowed.
func (e *Engine) Evaluate(_ context.Context, name string, c *kest.Context) (kest.Decision, error) {
	d, diagnostic, err := e.authorize(name, c)
	if err == nil {
		d.Reason = reason(d.Allow, diagnostic.Reasons)
	}
	return d, err
}

// Explain is Evaluate, and the lines of the statements that decided.
func (e *Engine) Explain(name string, c *kest.Context) (d kest.Decision, lines []int, err error) {
	d, diagnostic, err := e.authorize(name, c)
	if err != nil {
		return d, nil, err
	}
	d.Reason = reason(d.Allow, diagnostic.Reasons)
	return d, linesOf(diagnostic.Reasons), nil
}

// Statements returns the line of each statement of a policy, in its order.
func (e *Engine) Statements(name string) (lines []int) {
	if p := e.policies[name]; p != nil {
		for _, one := range p.set {
			lines = append(lines, one.Position().Line)
		}
	}
	slices.Sort(lines)
	return lines
}

func (e *Engine) authorize(name string, c *kest.Context) (kest.Decision, types.Diagnostic, error) {
	p := e.policies[name]
	if p == nil {
		return kest.Decision{}, types.Diagnostic{}, unknownPolicyError(name)
	}
	record, err := p.plan.record(c)
	if err != nil {
		return kest.Decision{}, types.Diagnostic{}, err
	}
	resource := c.Object.ID
	if resource == "" {
		resource = "*"
	}
	allowed, diagnostic := cedargo.Authorize(p.set, e.entities, cedargo.Request{
		Principal: types.NewEntityUID("Workload", types.String(c.Subject.Workload)),
		Action:    p.action,
		Resource:  types.NewEntityUID("Resource", types.String(resource)),
		Context:   record,
	})
	d := kest.Decision{Revision: p.digest}
	if len(diagnostic.Errors) > 0 {
		return d, diagnostic, diagnosticError(diagnostic.Errors)
	}
	d.Allow = allowed == cedargo.Allow
	return d, diagnostic, nil
}

// reason names the statements that decided, by their line in the text.
func reason(allowed bool, reasons []types.DiagnosticReason) string {
	if len(reasons) == 0 {
		return "no permit applies"
	}
	text := "forbidden by"
	if allowed {
		text = "permitted by"
	}
	for _, line := range linesOf(reasons) {
		text += " line " + strconv.Itoa(line)
	}
	return text
}

func linesOf(reasons []types.DiagnosticReason) []int {
	lines := make([]int, len(reasons))
	for i, r := range reasons {
		lines[i] = r.Position.Line
	}
	slices.Sort(lines) // cedar-go goes over a map
	return lines
}
