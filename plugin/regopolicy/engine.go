// Package regopolicy asks the Rego that kest policy build linked with this
// guest, or that the host runs beside it (DESIGN 3, "Rego inside the proxy").
package regopolicy

import (
	"context"
	"strconv"

	"kest.example/kest"
	"kest.example/kest/internal/hostcall"
	"kest.example/kest/internal/regoinfo"
	"kest.example/kest/internal/regoinput"
	"kest.example/kest/plugin"
)

// Engine decides by compiled Rego. It implements plugin.RegoEngine.
type Engine struct {
	info   *regoinfo.Info
	module module
}

// module evaluates an entry point: it returns OPA's result set, as JSON. The
// error is a *regoinfo.AbortError where the policy ended it.
type module interface {
	evaluate(entry uint32, nowMS int64, input []byte) ([]byte, error)
}

// New returns the Rego that is linked in; where there is none, the host's.
func New(foreign plugin.ForeignFunc) (plugin.RegoEngine, error) {
	m, text := linked()
	if m == nil {
		var ok bool
		if text, ok = foreign(hostcall.PolicyInfo, nil); !ok {
			return nil, noModuleError{}
		}
		m = hosted{foreign}
	}
	info, err := regoinfo.Parse(text)
	if err != nil {
		return nil, err
	}
	serve(info)
	return &Engine{info, m}, nil
}

type noModuleError struct{}

func (noModuleError) Error() string {
	return "this module has no Rego in it: build one that has with kest policy build"
}

// Names returns the names of the policies.
func (e *Engine) Names() []string { return e.info.Names() }

// Digest implements kest.PolicyDigester.
func (e *Engine) Digest(policy string) (digest string, known bool) {
	p, ok := e.info.Find(policy)
	if !ok {
		return "", false
	}
	return p.Digest, true
}

// Evaluate implements kest.Engine. What ends the evaluation, such as a built-in
// that fails, is an error.
func (e *Engine) Evaluate(_ context.Context, policy string, c *kest.Context) (kest.Decision, error) {
	p, ok := e.info.Find(policy)
	if !ok {
		return kest.Decision{}, unknownPolicyError(policy)
	}
	result, err := e.module.evaluate(p.Entry, c.Environment.TimestampMS, regoinput.Append(make([]byte, 0, inputSize), c, p.Uses))
	if err != nil {
		return kest.Decision{Revision: p.Digest}, err
	}
	allow, reason := regoinfo.Verdict(result)
	return kest.Decision{Allow: allow, Reason: reason, Revision: p.Digest}, nil
}

// inputSize is about what a policy's input takes.
const inputSize = 512

type unknownPolicyError string

func (e unknownPolicyError) Error() string {
	return "rego: policy " + strconv.Quote(string(e)) + " is not in this module"
}

// hosted is a module that the host runs.
type hosted struct{ foreign plugin.ForeignFunc }

func (h hosted) evaluate(entry uint32, nowMS int64, input []byte) ([]byte, error) {
	answer, ok := h.foreign(hostcall.PolicyEval, hostcall.AppendEval(make([]byte, 0, len(input)+16), entry, nowMS, input))
	if !ok {
		return nil, hostError{}
	}
	text, aborted, err := hostcall.ParseResult(answer)
	if aborted {
		err = &regoinfo.AbortError{Text: string(text)}
	}
	return text, err
}

type hostError struct{}

func (hostError) Error() string { return "rego: the host did not evaluate the policy" }
