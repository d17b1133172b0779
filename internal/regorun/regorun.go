// Package regorun runs policy modules (package regolink) on wazero, in Go.
package regorun

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"kest.example/kest/internal/regoinfo"
	"kest.example/kest/internal/regolink"
)

// Builtin serves a built-in that the module leaves to its embedder. arguments
// is an array as OPA dumps values, and so is the result; the slices are not
// kept. An error ends the evaluation.
type Builtin func(name string, arguments []byte, now time.Time) ([]byte, error)

// Module is a policy module with its instances. It is safe for concurrent use.
type Module struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	info     *regoinfo.Info
	builtin  Builtin
	pages    uint32
	mu       sync.Mutex
	idle     []*instance
	closed   bool
}

// maxIdle bounds the instances that wait for the next evaluation.
const maxIdle = 64

// New compiles a policy module. Close frees it.
func New(ctx context.Context, module []byte, info *regoinfo.Info, builtin Builtin) (*Module, error) {
	return start(ctx, wazero.NewRuntimeConfig(), module, info, builtin)
}

// Try is New for a few evaluations: nothing is compiled, and they take longer.
func Try(ctx context.Context, module []byte, info *regoinfo.Info, builtin Builtin) (*Module, error) {
	return start(ctx, wazero.NewRuntimeConfigInterpreter(), module, info, builtin)
}

func start(ctx context.Context, config wazero.RuntimeConfig, module []byte, info *regoinfo.Info, builtin Builtin) (_ *Module, err error) {
	m := &Module{info: info, builtin: builtin}
	m.runtime = wazero.NewRuntimeWithConfig(ctx, config.WithDebugInfoEnabled(false))
	defer func() {
		if err != nil {
			_ = m.runtime.Close(ctx)
		}
	}()
	if err = exportShim(ctx, m.runtime); err != nil {
		return nil, err
	}
	if m.compiled, err = m.runtime.CompileModule(ctx, module); err != nil {
		return nil, fmt.Errorf("rego: the policy module: %w", err)
	}
	first, err := m.instantiate()
	if err != nil {
		return nil, err
	}
	if err = first.call(first.input); err != nil { // no input: it makes itself ready
		return nil, err
	}
	m.pages = first.memory.Size() >> 16
	m.release(first)
	return m, nil
}

// Pages is how large the memory of an instance is before its first evaluation,
// in pages of 64 KiB.
func (m *Module) Pages() uint32 { return m.pages }

// Info says which policies there are.
func (m *Module) Info() *regoinfo.Info { return m.info }

// Close frees the module. Evaluations that run are cut off.
func (m *Module) Close(ctx context.Context) error {
	m.mu.Lock()
	m.closed, m.idle = true, nil
	m.mu.Unlock()
	return m.runtime.Close(ctx)
}

// Evaluate evaluates an entry point on an input, JSON, and returns OPA's result
// set as JSON. now is what time.now_ns says. The error is a
// *regoinfo.AbortError where the policy itself ended it, as by a built-in that
// failed.
func (m *Module) Evaluate(entry uint32, input []byte, now time.Time) ([]byte, error) {
	i, err := m.acquire()
	if err != nil {
		return nil, err
	}
	result, err := i.evaluate(entry, input, now)
	if err != nil {
		_ = i.module.Close(i.ctx) // what trapped or aborted is never used again
		return nil, err
	}
	m.release(i)
	return result, nil
}

// EvaluateTwice evaluates an input, and then the same that the module has kept,
// as a guest's next policy does.
func (m *Module) EvaluateTwice(entry uint32, input []byte, now time.Time) (first, again []byte, err error) {
	i, err := m.instantiate()
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = i.module.Close(i.ctx) }()
	if first, err = i.evaluate(entry, input, now); err != nil {
		return nil, nil, err
	}
	again, err = i.evaluateKept(entry, 0)
	return first, again, err
}

var errClosed = errors.New("rego: the module is closed")

func (m *Module) acquire() (*instance, error) {
	m.mu.Lock()
	closed := m.closed
	if n := len(m.idle); n > 0 && !closed {
		i := m.idle[n-1]
		m.idle = m.idle[:n-1]
		m.mu.Unlock()
		return i, nil
	}
	m.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	return m.instantiate()
}

func (m *Module) release(i *instance) {
	m.mu.Lock()
	if keep := len(m.idle) < maxIdle && !m.closed; keep {
		m.idle = append(m.idle, i)
		i = nil
	}
	m.mu.Unlock()
	if i != nil {
		_ = i.module.Close(i.ctx)
	}
}

// instance is one instance of the module. It does one thing at a time.
type instance struct {
	of          *Module
	ctx         context.Context
	module      api.Module
	memory      api.Memory
	input, eval api.Function
	stack       [2]uint64
	now         time.Time
	result      []byte // of the last built-in
	failed      string // the built-in that failed
	abort       string
}

type instanceKey struct{}

func (m *Module) instantiate() (*instance, error) {
	i := &instance{of: m}
	i.ctx = context.WithValue(context.Background(), instanceKey{}, i)
	module, err := m.runtime.InstantiateModule(i.ctx, m.compiled, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		return nil, fmt.Errorf("rego: the policy module: %w", err)
	}
	i.module, i.memory = module, module.Memory()
	i.input, i.eval = module.ExportedFunction(regolink.ExportInput), module.ExportedFunction(regolink.ExportEval)
	if i.memory == nil || i.input == nil || i.eval == nil {
		_ = module.Close(i.ctx)
		return nil, errors.New("rego: it is no policy module")
	}
	return i, nil
}

func (i *instance) evaluate(entry uint32, input []byte, now time.Time) ([]byte, error) {
	if len(input) == 0 { // to the module that is the input before, which may be anybody's
		return nil, &regoinfo.AbortError{Text: "the input is no JSON"}
	}
	i.now, i.abort, i.failed = now, "", ""
	i.stack[0] = uint64(len(input))
	if err := i.call(i.input); err != nil {
		return nil, err
	}
	if !i.memory.Write(api.DecodeU32(i.stack[0]), input) {
		return nil, errMemory
	}
	return i.evaluateKept(entry, len(input))
}

// evaluateKept evaluates n bytes of input that are in place, or with n = 0 those before.
func (i *instance) evaluateKept(entry uint32, n int) ([]byte, error) {
	i.stack = [2]uint64{uint64(entry), uint64(n)} //nolint:gosec // not negative
	if err := i.call(i.eval); err != nil {
		return nil, err
	}
	view, ok := i.memory.Read(uint32(i.stack[0]), uint32(i.stack[0]>>32)) //nolint:gosec // two halves
	if !ok {
		return nil, errMemory
	}
	return append([]byte(nil), view...), nil
}

var errMemory = errors.New("rego: the module names memory that it doesn't have")

func (i *instance) call(f api.Function) error {
	err := f.CallWithStack(i.ctx, i.stack[:])
	switch {
	case err == nil:
		return nil
	case i.failed != "":
		return &regoinfo.AbortError{Text: "the built-in " + i.failed + " failed"}
	case i.abort != "":
		return &regoinfo.AbortError{Text: i.abort}
	}
	return fmt.Errorf("rego: the module trapped: %w", err)
}
