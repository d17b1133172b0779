// Package regopolicy asks the Rego that kest policy build linked with this
// guest, or that the host runs beside it (DESIGN 3, "Rego inside the proxy").
package regopolicy

import (
	"context"
	"strconv"

	"kest.example/kest"
	"kest.example/kest/internal/hostcall"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/regoinfo"
	"kest.example/kest/internal/regoinput"
	"kest.example/kest/plugin"
)

// Engine decides by compiled Rego. It implements plugin.RegoEngine.
type Engine struct {
	info   *regoinfo.Info
	module module
	known  map[string]policy
	room   []byte // for an input
}

// keptInput says which input a module keeps: that of an engine's context, as the
// policies of a number use it.
type keptInput struct {
	of      *Engine
	context *kest.Context
	input   int
}

// policy is one with a number that those have in common which use the same of a
// context.
type policy struct {
	*regoinfo.Policy
	input int
}

// find knows a policy by its name, in which dots and slashes are the same.
func (e *Engine) find(name string) (p policy, ok bool) {
	if p, ok = e.known[name]; ok {
		return p, true
	}
	found, ok := e.info.Find(name)
	if !ok {
		return policy{}, false
	}
	return e.known[found.Name], true
}

// module evaluates an entry point: it returns OPA's result set, as JSON. The
// error is a *regoinfo.AbortError where the policy ended it.
type module interface {
	// evaluate takes nil for the input that is kept.
	evaluate(entry uint32, nowMS int64, input []byte) ([]byte, error)
	// kept is where it is noted which input that is, by all engines that ask this
	// module; nil where none is kept.
	kept() *keptInput
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
	e := &Engine{info: info, module: m, known: make(map[string]policy)}
	numbers := make(map[string]int)
	for i := range info.Policies {
		p, all := &info.Policies[i], ""
		if p.Uses != nil {
			all = string(jcs.Append(nil, p.Uses))
		}
		if _, known := numbers[all]; !known {
			numbers[all] = len(numbers)
		}
		e.known[p.Name] = policy{p, numbers[all]}
	}
	return e, nil
}

type noModuleError struct{}

func (noModuleError) Error() string {
	return "this module has no Rego in it: build one that has with kest policy build"
}

// Names returns the names of the policies.
func (e *Engine) Names() []string { return e.info.Names() }

// Digest implements kest.PolicyDigester.
func (e *Engine) Digest(policy string) (digest string, known bool) {
	p, ok := e.find(policy)
	if !ok {
		return "", false
	}
	return p.Digest, true
}

// Evaluate implements kest.Engine. What ends the evaluation, such as a built-in
// that fails, is an error.
func (e *Engine) Evaluate(_ context.Context, policy string, c *kest.Context) (kest.Decision, error) {
	p, ok := e.find(policy)
	if !ok {
		return kest.Decision{}, unknownPolicyError(policy)
	}
	kept := e.module.kept()
	result, err := e.module.evaluate(p.Entry, c.Environment.TimestampMS, e.write(c, p, kept))
	if err != nil {
		if kept != nil {
			*kept = keptInput{}
		}
		return kest.Decision{Revision: p.Digest}, err
	}
	allow, reason := regoinfo.Verdict(result)
	return kest.Decision{Allow: allow, Reason: reason, Revision: p.Digest}, nil
}

// write returns a policy's input, or nil where that is kept: policies of a tier
// see the same context, and reading it costs more than most decide.
func (e *Engine) write(c *kest.Context, p policy, kept *keptInput) []byte {
	if kept == nil {
		return regoinput.Append(make([]byte, 0, inputSize), c, p.Uses)
	}
	wanted := keptInput{e, c, p.input}
	if *kept == wanted {
		return nil
	}
	*kept = wanted
	e.room = regoinput.Append(e.room[:0], c, p.Uses)
	return e.room
}

// inputSize is about what a policy's input takes.
const inputSize = 512

type unknownPolicyError string

func (e unknownPolicyError) Error() string {
	return "rego: policy " + strconv.Quote(string(e)) + " is not in this module"
}

// kept: a host has many guests.
func (hosted) kept() *keptInput { return nil }

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
