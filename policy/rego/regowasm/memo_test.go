package regowasm

import (
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"kest.example/kest/internal/wasmbin"
)

const (
	memoFirst, memoLast = 5, 24
	rows, row           = 1 << 13, 256 // where the test's own memory of scopes is, a row each
)

// memoModule is the memo's functions, above a plain memory of scopes.
func memoModule(t *testing.T) []byte {
	t.Helper()
	m := &opaModule{Module: &wasmbin.Module{}, numbers: make(map[string]uint32), heap: 1024}
	m.Memories = []wasmbin.Limits{{Min: 16}}
	m.Elements = []wasmbin.Element{{Indexes: []uint32{memoLast, memoFirst, 7}}}
	scope := m.AddGlobal(0)
	at := func(c *wasmbin.Code) *wasmbin.Code {
		return c.With(wasmbin.OpGlobalGet, scope).I32(row).Op(wasmbin.OpI32Mul).Get(0).I32(2).Op(wasmbin.OpI32Shl, wasmbin.OpI32Add).I32(rows).Op(wasmbin.OpI32Add)
	}
	move := func(by int32) *wasmbin.Code {
		return new(wasmbin.Code).With(wasmbin.OpGlobalGet, scope).I32(by).Op(wasmbin.OpI32Add).With(wasmbin.OpGlobalSet, scope)
	}
	m.numbers["opa_memoize_get"] = m.add(1, true, load(at(new(wasmbin.Code)), 0).Body())
	m.numbers["opa_memoize_insert"] = m.add(2, false, store(at(new(wasmbin.Code)).Get(1), 0).Body())
	m.numbers["opa_memoize_push"] = m.add(0, false, move(1).
		With(wasmbin.OpGlobalGet, scope).I32(row).Op(wasmbin.OpI32Mul).I32(rows).Op(wasmbin.OpI32Add).I32(0).I32(row).Fill(0).Body())
	m.numbers["opa_memoize_pop"] = m.add(0, false, move(-1).Body())
	functions := m.addMemo()
	m.Elements = nil // they were numbers only
	for _, name := range []string{"opa_memoize_get", "opa_memoize_insert", "opa_memoize_init", "opa_memoize_push", "opa_memoize_pop"} {
		f, ok := functions.target(name)
		if !ok {
			t.Fatalf("%s stays what it is", name)
		}
		m.Exports = append(m.Exports, wasmbin.Export{Name: name, Kind: wasmbin.FunctionKind, Index: f})
	}
	m.Exports = append(m.Exports, wasmbin.Export{Name: "scope", Kind: wasmbin.GlobalKind, Index: scope})
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	return m.Encode()
}

// Whatever evaluations and scopes come after one another, a rule's value is
// found in the scope that it was put in, and nowhere else; also after an
// evaluation that ended in the middle of some.
func TestMemo(t *testing.T) {
	runtime := wazero.NewRuntime(t.Context())
	defer func() { _ = runtime.Close(t.Context()) }()
	module, err := runtime.Instantiate(t.Context(), memoModule(t))
	if err != nil {
		t.Fatal(err)
	}
	call := func(name string, params ...uint64) uint64 {
		t.Helper()
		result, err := module.ExportedFunction(name).Call(t.Context(), params...)
		if err != nil {
			t.Fatal(err)
		}
		if len(result) == 0 {
			return 0
		}
		return result[0]
	}
	random := rand.New(rand.NewPCG(1, 2))
	deepest := 0
	for range 200 {
		module.ExportedGlobal("scope").(api.MutableGlobal).Set(0) // as the statics are put back
		call("opa_memoize_init")
		scopes := []map[uint64]uint64{{}}
		for range random.IntN(300) {
			f := memoFirst + random.Uint64N(memoLast-memoFirst+1)
			scope := scopes[len(scopes)-1]
			switch random.IntN(8) {
			case 0:
				if len(scopes) < 10 {
					call("opa_memoize_push")
					scopes = append(scopes, map[uint64]uint64{})
					deepest = max(deepest, len(scopes))
				}
			case 1:
				if len(scopes) > 1 {
					call("opa_memoize_pop")
					scopes = scopes[:len(scopes)-1]
				}
			case 2, 3, 4:
				value := 1 + random.Uint64N(1<<31)
				call("opa_memoize_insert", f, value)
				scope[f] = value
			default:
				if got := call("opa_memoize_get", f); got != scope[f] {
					t.Fatalf("function %d in scope %d: %d, want %d", f, len(scopes), got, scope[f])
				}
			}
		}
	}
	if deepest < 10 {
		t.Fatalf("no more than %d scopes", deepest)
	}
	call("opa_memoize_init")
	for _, f := range []uint64{memoFirst - 1, memoLast + 1, 1 << 31, 1<<32 - 1} {
		if _, err := module.ExportedFunction("opa_memoize_get").Call(t.Context(), f); err == nil {
			t.Errorf("function %d has an entry", f)
		}
	}
}
