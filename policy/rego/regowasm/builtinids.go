package regowasm

import (
	"bytes"
	"slices"

	"kest.example/kest/internal/regocall"
	"kest.example/kest/internal/wasmbin"
	"kest.example/kest/policy/rego"
)

// builtinIDs reads what the module's function builtins lists: the built-ins
// that it leaves to its embedder, by id.
func builtinIDs(compiled []byte) (map[uint32]string, error) {
	m, err := wasmbin.Parse(compiled)
	if err != nil {
		return nil, err
	}
	index, ok := m.Export("builtins", wasmbin.FunctionKind)
	own := index - m.Imported(wasmbin.FunctionKind)
	if !ok || uint64(own) >= uint64(len(m.Code)) {
		return nil, foreign("it has no function builtins")
	}
	_, list, err := wasmbin.Body(m.Code[own])
	if err != nil {
		return nil, err
	}
	ids := make(map[uint32]string)
	for i, name := range regocall.Replaced {
		ids[firstReplaced+uint32(i)] = name
	}
	name := ""
	for _, i := range list {
		switch i.Op {
		case wasmbin.OpI32Const:
			if name, ok = textAt(m, i.Immediate); !ok {
				return nil, foreign("the name of a built-in is at no fixed place")
			}
		case wasmbin.OpI64Const:
			if !slices.Contains(rego.Served, name) {
				return nil, foreign("it calls the built-in %q, which nobody serves", name)
			}
			ids[uint32(i.Immediate)] = name //nolint:gosec // an index
		}
	}
	return ids, nil
}

// textAt reads a text that ends with 0 from the module's data.
func textAt(m *wasmbin.Module, address uint64) (string, bool) {
	for _, d := range m.Data {
		at, ok := constant(d.Offset)
		if !ok || address < uint64(at) || address-uint64(at) >= uint64(len(d.Bytes)) { //nolint:gosec // addresses are positive
			continue
		}
		text, _, ended := bytes.Cut(d.Bytes[address-uint64(at):], []byte{0}) //nolint:gosec // compared above
		return string(text), ended
	}
	return "", false
}
