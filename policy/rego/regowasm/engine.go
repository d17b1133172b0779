package regowasm

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/regocall"
	"kest.example/kest/internal/regoinfo"
	"kest.example/kest/internal/regoinput"
	"kest.example/kest/internal/regorun"
	"kest.example/kest/internal/wasmbin"
)

// Engine decides by a compiled module, on wazero: what a proxy would. It
// implements kest.Engine and kest.PolicyDigester and is safe for concurrent use.
type Engine struct{ run *regorun.Module }

// New makes an engine of a module.
func New(ctx context.Context, m *Module) (*Engine, error) {
	run, err := regorun.New(ctx, m.wasm, m.info, regocall.Call)
	if err != nil {
		return nil, err
	}
	return &Engine{run}, nil
}

// ErrNoPolicies is returned for a file without policies.
var ErrNoPolicies = errors.New("regowasm: the file has no policies: kest policy build makes one that has")

// Open makes an engine of a file that Build made. One without policies is
// ErrNoPolicies.
func Open(ctx context.Context, file []byte) (*Engine, error) {
	policy, err := wasmbin.FindCustom(file, regoinfo.SectionRego)
	if err != nil {
		return nil, err
	}
	text, err := wasmbin.FindCustom(file, regoinfo.SectionPolicies)
	if err != nil {
		return nil, err
	}
	if policy == nil || text == nil {
		return nil, ErrNoPolicies
	}
	info, err := regoinfo.Parse(text)
	if err != nil {
		return nil, err
	}
	return New(ctx, &Module{policy, info})
}

// Close frees what the engine holds.
func (e *Engine) Close(ctx context.Context) error { return e.run.Close(ctx) }

// Names returns the policies' names in order.
func (e *Engine) Names() []string {
	names := e.run.Info().Names()
	slices.Sort(names)
	return names
}

// Digest implements kest.PolicyDigester.
func (e *Engine) Digest(policy string) (digest string, known bool) {
	p, ok := e.run.Info().Find(policy)
	if !ok {
		return "", false
	}
	return p.Digest, true
}

type unknownPolicyError string

func (e unknownPolicyError) Error() string {
	return "rego: policy " + strconv.Quote(string(e)) + " is not defined"
}

// Evaluate implements kest.Engine. It can't be interrupted: a context that has
// ended is seen before, and a policy is bounded by its input and its memory.
func (e *Engine) Evaluate(ctx context.Context, policy string, c *kest.Context) (kest.Decision, error) {
	p, ok := e.run.Info().Find(policy)
	if !ok {
		return kest.Decision{}, unknownPolicyError(policy)
	}
	d := kest.Decision{Revision: p.Digest}
	if err := ctx.Err(); err != nil {
		return d, err
	}
	result, err := e.run.Evaluate(p.Entry, regoinput.Append(nil, c, p.Uses), time.UnixMilli(c.Environment.TimestampMS))
	if err != nil {
		return d, err
	}
	d.Allow, d.Reason = regoinfo.Verdict(result)
	return d, nil
}
