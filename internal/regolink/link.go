package regolink

import (
	"errors"
	"fmt"
	"slices"

	"kest.example/kest/internal/wasmbin"
)

// ErrBase is wrapped by the error for a guest that no policy can be linked with.
var ErrBase = errors.New("not the guest that policies are linked with")

// Stub links a guest with the shim of no policy, and leaves one that imports
// nothing of kest_policy as it is.
func Stub(guest []byte) ([]byte, error) {
	m, err := wasmbin.Parse(guest)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(m.Imports, func(i wasmbin.Import) bool { return i.Module == ModulePolicy }) {
		return guest, nil
	}
	nothing := stub()
	linked, err := wasmbin.Link(wasmbin.Part{Name: moduleGuest, Module: m}, wasmbin.Part{Name: ModulePolicy, Module: nothing})
	if err != nil {
		return nil, err
	}
	first := linked.Imported(wasmbin.FunctionKind) + uint32(len(linked.Functions)-len(nothing.Functions)) //nolint:gosec // counted by 32 bits
	linked.Exports = append(linked.Exports,
		wasmbin.Export{Name: stubEval, Kind: wasmbin.FunctionKind, Index: first},
		wasmbin.Export{Name: stubInfo, Kind: wasmbin.FunctionKind, Index: first + 1})
	if err := linked.Validate(); err != nil {
		return nil, err
	}
	return linked.Encode(), nil
}

// Link puts a policy module into a guest that Stub made. info is what the guest
// is told of it. The error wraps ErrBase where it is the guest's fault.
func Link(guest, policy, info []byte) (*wasmbin.Module, error) {
	base, err := wasmbin.Parse(guest)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBase, err)
	}
	eval, okEval := base.Export(stubEval, wasmbin.FunctionKind)
	information, okInfo := base.Export(stubInfo, wasmbin.FunctionKind)
	if !okEval || !okInfo {
		return nil, fmt.Errorf("%w: it has no place for one, or has one already", ErrBase)
	}
	rego, err := wasmbin.Parse(policy)
	if err != nil {
		return nil, err
	}
	base.Exports = slices.DeleteFunc(base.Exports, func(e wasmbin.Export) bool { return e.Name == stubEval || e.Name == stubInfo })
	linked, err := wasmbin.Link(
		wasmbin.Part{Name: moduleGuest, Module: base, Replace: map[uint32]wasmbin.Symbol{
			eval: {Module: ModulePolicy, Name: FnEval}, information: {Module: ModulePolicy, Name: FnInfo},
		}},
		wasmbin.Part{Name: moduleRego, Module: rego},
		wasmbin.Part{Name: ModulePolicy, Aliases: []string{ModuleShim}, Module: shim(info)},
	)
	if err != nil {
		return nil, err
	}
	return linked, check(linked, base)
}

// check is what a proxy asks of the module, besides that it is one: one memory
// to be seen (with two, Go's start-up traps), and no import that it lacks.
func check(m, base *wasmbin.Module) error {
	if err := m.Validate(); err != nil {
		return err
	}
	memories := 0
	for _, e := range m.Exports {
		if e.Kind == wasmbin.MemoryKind {
			memories++
		}
	}
	if memories != 1 || len(m.Memories) != 2 {
		return fmt.Errorf("%w: it does not have one memory and show it", ErrBase)
	}
	if len(m.Imports) != len(base.Imports) {
		last := m.Imports[len(m.Imports)-1]
		return fmt.Errorf("%w: it imports %s %s", wasmbin.ErrMalformed, last.Module, last.Name)
	}
	for i := range m.Imports {
		if name := m.Imports[i].Module; name != "env" && name != "wasi_snapshot_preview1" {
			return fmt.Errorf("%w: it imports %s %s", ErrBase, name, m.Imports[i].Name)
		}
	}
	return nil
}
