package kesttest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"sync"

	"kest.example/kest"
)

// ErrUnknownPolicy is what an Engine answers for a policy without a script.
var ErrUnknownPolicy = errors.New("kesttest: no answer is scripted for this policy")

// Engine is a kest.Engine that answers as a test says and remembers what it
// was asked. Without a script for a policy it denies with ErrUnknownPolicy.
type Engine struct {
	mu      sync.Mutex
	scripts map[string][]answer
	asked   []Question
	remote  bool
}

type answer struct {
	decision kest.Decision
	err      error
}

// Question is one call of Evaluate.
type Question struct {
	Policy  string
	Context string // its JSON at that moment
}

var (
	_ kest.Engine         = (*Engine)(nil)
	_ kest.PolicyDigester = (*Engine)(nil)
	_ kest.RemoteEngine   = (*Engine)(nil)
)

// NewEngine makes an engine that knows no policy.
func NewEngine() *Engine { return &Engine{scripts: make(map[string][]answer)} }

// Allow adds "yes" to the answers of each policy. The last answer of a policy
// stands for all calls after it.
func (e *Engine) Allow(policies ...string) *Engine {
	for _, p := range policies {
		e.add(p, answer{decision: kest.Decision{Allow: true, Reason: "as scripted", Revision: revision(p)}})
	}
	return e
}

// Deny adds "no" to the answers of a policy.
func (e *Engine) Deny(policy, reason string) *Engine {
	return e.add(policy, answer{decision: kest.Decision{Reason: reason, Revision: revision(policy)}})
}

// Fail adds an error to the answers of a policy.
func (e *Engine) Fail(policy string, err error) *Engine { return e.add(policy, answer{err: err}) }

// Unavailable adds the failure of an engine whose server is away to the answers
// of each policy.
func (e *Engine) Unavailable(policies ...string) *Engine {
	for _, p := range policies {
		e.Fail(p, &awayError{p})
	}
	return e
}

type awayError struct{ policy string }

func (e *awayError) Error() string {
	return "kesttest: nobody answers for the policy " + strconv.Quote(e.policy)
}

func (e *awayError) Unwrap() error { return kest.ErrUnavailable }

// AsRemote has the engine pass for one that asks over a network, so that a hook
// asks for a tier's policies side by side. Call it before the engine is used.
func (e *Engine) AsRemote() *Engine {
	e.remote = true
	return e
}

// Remote implements kest.RemoteEngine.
func (e *Engine) Remote(string) bool { return e.remote }

func (e *Engine) add(policy string, a answer) *Engine {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.scripts[policy] = append(e.scripts[policy], a)
	return e
}

// Evaluate implements kest.Engine. A context that is done is an error.
func (e *Engine) Evaluate(ctx context.Context, policy string, c *kest.Context) (kest.Decision, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = append(e.asked, Question{policy, string(c.JSON())})
	if err := ctx.Err(); err != nil {
		return kest.Decision{}, err
	}
	script := e.scripts[policy]
	if len(script) == 0 {
		return kest.Decision{}, &scriptError{policy}
	}
	if len(script) > 1 {
		e.scripts[policy] = script[1:]
	}
	return script[0].decision, script[0].err
}

type scriptError struct{ policy string }

func (e *scriptError) Error() string {
	return ErrUnknownPolicy.Error() + ": " + strconv.Quote(e.policy)
}

func (e *scriptError) Unwrap() error { return ErrUnknownPolicy }

// Digest implements kest.PolicyDigester: the hash of the policy's name.
func (e *Engine) Digest(policy string) (digest string, known bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.scripts[policy]) == 0 {
		return "", false
	}
	return revision(policy), true
}

func revision(policy string) string {
	sum := sha256.Sum256([]byte(policy))
	return hex.EncodeToString(sum[:])
}

// Asked returns the calls so far, in order.
func (e *Engine) Asked() []Question {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.asked)
}

// AskedPolicies returns the names of the policies that were asked, in order.
func (e *Engine) AskedPolicies() []string {
	var names []string
	for _, q := range e.Asked() {
		names = append(names, q.Policy)
	}
	return names
}
