package regolink_test

import (
	"bytes"
	"errors"
	"testing"

	"kest.example/kest/internal/regolink"
	"kest.example/kest/internal/wasmbin"
	"kest.example/kest/wasm"
)

const i32, i64 = wasmbin.I32, wasmbin.I64

// asking is a guest that asks a policy.
func asking() *wasmbin.Module {
	m := &wasmbin.Module{Memories: []wasmbin.Limits{{Min: 1}}}
	imported := func(name string, params int) {
		m.Imports = append(m.Imports, wasmbin.Import{
			Module: regolink.ModulePolicy, Name: name, Kind: wasmbin.FunctionKind,
			Type: m.AddType(bytes.Repeat([]byte{i32}, params), []byte{i32}),
		})
	}
	imported(regolink.FnEval, 5)
	imported(regolink.FnInfo, 2)
	exported := func(name string, params, results, body []byte) {
		m.Exports = append(m.Exports, wasmbin.Export{Name: name, Kind: wasmbin.FunctionKind, Index: m.AddFunction(m.AddType(params, results), body)})
	}
	exported(regolink.ExportBuiltinRoom, []byte{i32}, []byte{i32}, new(wasmbin.Code).I32(8).Body())
	exported(regolink.ExportBuiltin, []byte{i32, i32}, []byte{i64}, new(wasmbin.Code).I64(0).Body())
	exported("ask", []byte{i32}, []byte{i32}, new(wasmbin.Code).Get(0).I32(0).I32(0).I32(0).I32(0).Call(0).Body())
	exported("tell", nil, []byte{i32}, new(wasmbin.Code).I32(0).I32(0).Call(1).Body())
	m.Exports = append(m.Exports, wasmbin.Export{Name: regolink.ExportMemory, Kind: wasmbin.MemoryKind})
	return m
}

// policy has what a policy module has to.
func policy() *wasmbin.Module {
	m := &wasmbin.Module{Memories: []wasmbin.Limits{{Min: 1}}}
	imported := func(name string, params int, results []byte) {
		m.Imports = append(m.Imports, wasmbin.Import{
			Module: regolink.ModuleShim, Name: name, Kind: wasmbin.FunctionKind, Type: m.AddType(bytes.Repeat([]byte{i32}, params), results),
		})
	}
	imported(regolink.FnAbort, 1, nil)
	imported(regolink.FnBuiltin, 3, []byte{i32})
	imported(regolink.FnResult, 1, nil)
	exported := func(name string, params, results, body []byte) {
		m.Exports = append(m.Exports, wasmbin.Export{Name: name, Kind: wasmbin.FunctionKind, Index: m.AddFunction(m.AddType(params, results), body)})
	}
	exported(regolink.ExportInput, []byte{i32}, []byte{i32}, new(wasmbin.Code).I32(0).Body())
	exported(regolink.ExportEval, []byte{i32, i32}, []byte{i64}, new(wasmbin.Code).I64(0).Body())
	exported(regolink.ExportLength, []byte{i32}, []byte{i32}, new(wasmbin.Code).I32(0).Body())
	m.Exports = append(m.Exports, wasmbin.Export{Name: regolink.ExportMemory, Kind: wasmbin.MemoryKind})
	return m
}

func parse(t *testing.T, module []byte) *wasmbin.Module {
	t.Helper()
	m, err := wasmbin.Parse(module)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestStubThenPolicy(t *testing.T) {
	base, err := regolink.Stub(asking().Encode())
	if err != nil {
		t.Fatal(err)
	}
	if m := parse(t, base); len(m.Imports) != 0 {
		t.Errorf("with the stub it still imports %+v", m.Imports)
	}
	linked, err := regolink.Link(base, policy().Encode(), []byte("info"))
	if err != nil {
		t.Fatal(err)
	}
	if len(linked.Imports) != 0 || len(linked.Memories) != 2 || len(linked.Tags) != 1 {
		t.Errorf("%d imports, %d memories, %d tags", len(linked.Imports), len(linked.Memories), len(linked.Tags))
	}
	for _, name := range []string{"ask", "tell"} {
		if _, ok := linked.Export(name, wasmbin.FunctionKind); !ok {
			t.Errorf("%s is no longer exported", name)
		}
	}
	again, err := regolink.Link(base, policy().Encode(), []byte("info"))
	if err != nil || !bytes.Equal(again.Encode(), linked.Encode()) {
		t.Errorf("a second link gives other bytes: %v", err)
	}
	if _, err := regolink.Link(linked.Encode(), policy().Encode(), nil); !errors.Is(err, regolink.ErrBase) {
		t.Errorf("a second policy: %v", err)
	}
}

// A guest that asks nothing stays as it is, and can't be given a policy.
func TestGuestsWithoutPolicies(t *testing.T) {
	lineage, err := wasm.Lineage()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := regolink.Stub(lineage); err != nil || !bytes.Equal(out, lineage) {
		t.Errorf("lineage.wasm changes: %v", err)
	}
	if _, err := regolink.Link(lineage, policy().Encode(), nil); !errors.Is(err, regolink.ErrBase) {
		t.Errorf("a policy in lineage.wasm: %v", err)
	}
}

func TestRefused(t *testing.T) {
	for name, change := range map[string]func(guest, policy *wasmbin.Module){
		"a guest without a memory":  func(g, _ *wasmbin.Module) { g.Exports = g.Exports[:len(g.Exports)-1] },
		"a guest with two memories": func(g, _ *wasmbin.Module) { g.Memories = append(g.Memories, wasmbin.Limits{}) },
		"a guest without built-ins": func(g, _ *wasmbin.Module) { g.Exports = g.Exports[1:] },
		"a guest that imports more": func(g, _ *wasmbin.Module) { g.Imports[0].Name = "other" },
		"a policy without a memory": func(_, p *wasmbin.Module) { p.Exports = p.Exports[:len(p.Exports)-1] },
		"a policy of other parameters": func(_, p *wasmbin.Module) {
			p.Exports[0].Index, p.Exports[1].Index = p.Exports[1].Index, p.Exports[0].Index
		},
		"a policy that imports more": func(_, p *wasmbin.Module) {
			p.Imports = append(p.Imports, wasmbin.Import{Module: "env", Name: "memory2", Kind: wasmbin.MemoryKind})
		},
	} {
		guest, rego := asking(), policy()
		change(guest, rego)
		base, err := regolink.Stub(guest.Encode())
		if err == nil {
			_, err = regolink.Link(base, rego.Encode(), nil)
		}
		if err == nil {
			t.Errorf("%s is linked", name)
		}
	}
	if _, err := regolink.Stub([]byte("no module")); !errors.Is(err, wasmbin.ErrMalformed) {
		t.Errorf("no module: %v", err)
	}
}
