package regowasm

import (
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"

	"kest.example/kest/internal/wasmbin"
)

const (
	memoFirst, memoLast = 5, 24
	memoTop             = 1 << 13 // where the test's memory for tables begins, all of it written to before
)

// memoModule is the memo's functions alone, above a malloc that never gives
// anything back.
func memoModule(t *testing.T) []byte {
	t.Helper()
	m := &opaModule{Module: &wasmbin.Module{}, numbers: make(map[string]uint32), heap: 1024}
	m.Memories = []wasmbin.Limits{{Min: 16}}
	m.Elements = []wasmbin.Element{{Indexes: []uint32{memoLast, memoFirst, 7}}}
	top := m.AddGlobal(memoTop)
	m.numbers["opa_malloc"] = m.add(1, true, new(wasmbin.Code).
		With(wasmbin.OpGlobalGet, top).
		With(wasmbin.OpGlobalGet, top).Get(0).Op(wasmbin.OpI32Add).With(wasmbin.OpGlobalSet, top).Body())
	functions := m.addMemo()
	m.Elements = nil // they were numbers only
	for _, name := range []string{"opa_memoize_get", "opa_memoize_insert", "opa_memoize_init", "opa_memoize_push", "opa_memoize_pop"} {
		f, ok := functions.target(name)
		if !ok {
			t.Fatalf("%s stays what it is", name)
		}
		m.Exports = append(m.Exports, wasmbin.Export{Name: name, Kind: wasmbin.FunctionKind, Index: f})
	}
	m.Exports = append(m.Exports,
		wasmbin.Export{Name: "memory", Kind: wasmbin.MemoryKind},
		wasmbin.Export{Name: "top", Kind: wasmbin.GlobalKind, Index: top})
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	return m.Encode()
}

// Whatever evaluations and scopes come after one another, a rule's value is
// found in the scope that it was put in, and nowhere else; also after an
// evaluation that ended in the middle. Tables of scopes that are over are used
// again.
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
	// Whatever a new table is made of held before, as what seems to be the next stamp.
	stamp := uint64(0)
	begin := func(name string) {
		stamp++
		for at, i := uint32(module.ExportedGlobal("top").Get()), uint32(0); i < 2*memoLast; i++ {
			module.Memory().WriteUint64Le(at+8*i, stamp)
		}
		call(name)
	}
	random := rand.New(rand.NewPCG(1, 2))
	deepest := 0
	for range 200 {
		begin("opa_memoize_init")
		scopes := []map[uint64]uint64{{}}
		for range random.IntN(300) {
			f := memoFirst + random.Uint64N(memoLast-memoFirst+1)
			scope := scopes[len(scopes)-1]
			switch random.IntN(8) {
			case 0:
				if len(scopes) < 10 {
					begin("opa_memoize_push")
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
	// In one evaluation, no more tables than scopes at once.
	begin("opa_memoize_init")
	before := module.ExportedGlobal("top").Get()
	for range 1000 {
		begin("opa_memoize_push")
		begin("opa_memoize_push")
		call("opa_memoize_pop")
		call("opa_memoize_pop")
	}
	if after := module.ExportedGlobal("top").Get(); after-before != 2*(memoHead+(memoLast-memoFirst+1)*memoEntry) {
		t.Errorf("2000 scopes, 2 at once, took %d bytes", after-before)
	}
	for _, f := range []uint64{memoFirst - 1, memoLast + 1, 1 << 31, 1<<32 - 1} {
		if _, err := module.ExportedFunction("opa_memoize_get").Call(t.Context(), f); err == nil {
			t.Errorf("function %d has an entry", f)
		}
	}
}
