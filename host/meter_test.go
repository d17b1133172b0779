package host

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"kest.example/kest/internal/wasmbin"
	"kest.example/kest/plugin/proxywasm"
)

// function of a hand-made module: it takes n i32 and, but for n < 0, returns one.
type function struct {
	name   string
	params int
	code   []byte
}

// assemble makes a module that imports every host function and exports its
// own functions and a memory.
func assemble(functions ...function) []byte {
	var types, imports, indexes, exports, code [][]byte
	for i, f := range hostFunctions() {
		typ := []byte{0x60}
		typ = appendBlock(typ, []byte(strings.NewReplacer("i", "\x7f", "I", "\x7e").Replace(f.params)))
		types = append(types, append(typ, 1, 0x7f))
		entry := appendBlock(appendBlock(nil, []byte(proxywasm.ImportModule)), []byte(f.name))
		imports = append(imports, appendUint(append(entry, 0), uint64(i)))
	}
	for i, f := range functions {
		results := []byte{1, 0x7f}
		if f.params < 0 {
			results = []byte{0}
		}
		params := appendBlock(nil, []byte(strings.Repeat("\x7f", max(f.params, 0))))
		types = append(types, append(append([]byte{0x60}, params...), results...))
		indexes = append(indexes, appendUint(nil, uint64(len(imports)+i)))
		exports = append(exports, appendUint(append(appendBlock(nil, []byte(f.name)), 0), uint64(len(imports)+i)))
		code = append(code, appendBlock(nil, append(append([]byte{0}, f.code...), opEnd)))
	}
	exports = append(exports, append(appendBlock(nil, []byte("memory")), 2, 0))
	module := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range []struct {
		id      byte
		entries [][]byte
	}{{1, types}, {2, imports}, {3, indexes}, {5, [][]byte{{0, 1}}}, {7, exports}, {10, code}} {
		body := appendUint(nil, uint64(len(s.entries)))
		for _, e := range s.entries {
			body = append(body, e...)
		}
		module = appendBlock(append(module, s.id), body)
	}
	return module
}

var version = function{proxywasm.Version, -1, nil}

// answers makes a guest whose request callback runs some code.
func answers(code ...byte) []byte {
	return assemble(version, function{proxywasm.OnRequestHeaders, 3, code})
}

func serve(t *testing.T, wasm []byte) int {
	t.Helper()
	f, err := New(context.Background(), wasm, nil, WithDeadline(300*time.Millisecond), WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	w := httptest.NewRecorder()
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	f.Handler(next).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Code
}

// A module that is not Go's and imports all of the ABI loads, and only 0 lets
// a request pass.
func TestUnknownActionsRefuse(t *testing.T) {
	for action, want := range map[byte]int{0: http.StatusTeapot, 1: 503, 2: 503, 3: 503, 4: 503, 0x7f: 503} {
		if got := serve(t, answers(opI32Const, action)); got != want {
			t.Errorf("action %d: %d", action, got)
		}
	}
}

func TestNoRequestCallbackPasses(t *testing.T) {
	if got := serve(t, assemble(version)); got != http.StatusTeapot {
		t.Error(got)
	}
}

// The meter stops loops and recursion alike.
func TestMeterStops(t *testing.T) {
	own := byte(len(hostFunctions())) // index of version
	for name, wasm := range map[string][]byte{
		"loop": answers(opLoop, blockEmpty, opBr, 0, opEnd, opUnreachable),
		// f(n) = n < 1 ? 0 : f(n-1) + f(n-1): 2^63 calls, and no loop
		"recursion": assemble(version,
			function{"f", 1, []byte{
				0x20, 0, opI32Eqz, opIf, 0x7f, opI32Const, 0, 0x05,
				0x20, 0, opI32Const, 1, opI32Sub, opCall, own + 1, 0x20, 0, opI32Const, 1, opI32Sub, opCall, own + 1, 0x6a, opEnd,
			}},
			function{proxywasm.OnRequestHeaders, 3, []byte{opI32Const, 63, opCall, own + 1}}),
		// f calls g, g calls h, and h calls f twice
		"a circle": assemble(version,
			function{"f", 1, []byte{
				0x20, 0, opI32Eqz, opIf, 0x7f, opI32Const, 0, 0x05, 0x20, 0, opI32Const, 1, opI32Sub, opCall, own + 2, opEnd,
			}},
			function{"g", 1, []byte{0x20, 0, opCall, own + 3}},
			function{"h", 1, []byte{0x20, 0, opCall, own + 1, 0x20, 0, opCall, own + 1, 0x6a}},
			function{proxywasm.OnRequestHeaders, 3, []byte{opI32Const, 63, opCall, own + 1}}),
		"a chain":          assemble(chain(own, 60)...),
		"a circle by name": byTable(),
	} {
		start := time.Now()
		if got := serve(t, wasm); got != 503 {
			t.Errorf("%s: %d", name, got)
		}
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("%s: stopped after %v", name, d)
		}
	}
}

// chain makes n functions that each call the next one twice.
func chain(own byte, n int) []function {
	list := []function{version}
	for i := range n - 1 {
		next := own + byte(i) + 2
		list = append(list, function{"f" + strings.Repeat("'", i), 1, []byte{0x20, 0, opCall, next, opCall, next}})
	}
	list = append(list, function{"last", 1, []byte{0x20, 0}})
	return append(list, function{proxywasm.OnRequestHeaders, 3, []byte{opI32Const, 0, opCall, own + 1}})
}

// byTable makes a guest whose function calls itself twice by a table.
func byTable() []byte {
	m := &wasmbin.Module{Memories: []wasmbin.Limits{{Min: 1}}, Tables: []wasmbin.Table{{Element: wasmbin.FuncRef, Limits: wasmbin.Limits{Min: 1}}}}
	i32 := []byte{wasmbin.I32}
	one := m.AddType(i32, i32)
	again := func(c *wasmbin.Code) *wasmbin.Code {
		return c.Get(0).I32(1).Op(wasmbin.OpI32Sub).I32(0).With(wasmbin.OpCallIndirect, one).Uint(0)
	}
	body := new(wasmbin.Code).Get(0).Op(wasmbin.OpI32Eqz, wasmbin.OpIf, wasmbin.I32).I32(0).Op(wasmbin.OpElse)
	f := m.AddFunction(one, again(again(body)).Op(wasmbin.OpI32Add, wasmbin.OpEnd).Body())
	ask := m.AddFunction(m.AddType([]byte{wasmbin.I32, wasmbin.I32, wasmbin.I32}, i32), new(wasmbin.Code).I32(63).Call(f).Body())
	abi := m.AddFunction(m.AddType(nil, nil), new(wasmbin.Code).Body())
	m.Elements = []wasmbin.Element{{Offset: new(wasmbin.Code).I32(0).End(), Indexes: []uint32{f}}}
	m.Exports = []wasmbin.Export{
		{Name: "memory", Kind: wasmbin.MemoryKind}, {Name: proxywasm.OnRequestHeaders, Index: ask}, {Name: proxywasm.Version, Index: abi},
	}
	return m.Encode()
}

// Most functions have no check in front; a circle has one, and what could call
// too often.
func TestEntries(t *testing.T) {
	calls := func(callees ...uint64) walker { return walker{callees: callees} }
	long := make([]uint64, mostCalls+1)
	for name, c := range map[string]struct {
		list []walker
		want []bool
	}{
		"a tree":                         {[]walker{calls(11, 12, 12), calls(12, 3), calls()}, []bool{false, false, false}},
		"itself":                         {[]walker{calls(10)}, []bool{true}},
		"a circle":                       {[]walker{calls(11), calls(12), calls(10)}, []bool{true, false, false}},
		"two circles with one in common": {[]walker{calls(11), calls(10, 12), calls(11)}, []bool{true, true, false}},
		"by a table":                     {[]walker{calls(11), {indirect: true}}, []bool{false, true}},
		"a loop first":                   {[]walker{{callees: []uint64{10}, indirect: true, loopFirst: true}}, []bool{false}},
		"too many calls":                 {[]walker{calls(11), calls(long...)}, []bool{false, true}},
		"too many together":              {[]walker{calls(11, 11, 11), calls(long[:mostCalls/2]...)}, []bool{true, false}},
	} {
		if have := entries(c.list, 10); !slices.Equal(have, c.want) {
			t.Errorf("%s: %v, want %v", name, have, c.want)
		}
	}
	chain := make([]walker, 3*deepest)
	for i := range chain {
		chain[i] = calls(uint64(i)+1, uint64(i)+1)
	}
	unchecked, longest := 0, 0
	for _, at := range entries(chain, 0) {
		if unchecked++; at {
			unchecked = 0
		}
		longest = max(longest, unchecked)
	}
	if longest < 3 || longest > 6 { // 2 to the 6th
		t.Errorf("%d functions in a row, which call each other twice, have no check", longest)
	}
}

func TestMeterRefuses(t *testing.T) {
	good := answers(opI32Const, 0)
	for name, wasm := range map[string][]byte{
		"nothing":             nil,
		"text":                []byte("not a module"),
		"cut off":             good[:len(good)-3],
		"a start function":    append(append([]byte{}, good...), sectionStart, 1, 0),
		"two code sections":   append(append([]byte{}, good...), sectionCode, 1, 0),
		"an own kest.stop":    assemble(version, function{stopGlobal, 0, []byte{opI32Const, 0}}),
		"an unknown opcode":   answers(0xf0),
		"a cut off immediate": answers(opI32Const),
	} {
		if _, err := meter(wasm); !errors.Is(err, errModule) && name != "a cut off immediate" {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := New(context.Background(), wasm, nil); !errors.Is(err, errModule) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(context.Background(), assemble(function{"f", 0, []byte{opI32Const, 0}}), nil); !errors.Is(err, errModule) {
		t.Error("a module of no known ABI:", err)
	}
}

// compiles reports whether wazero takes a module.
func compiles(t *testing.T, wasm []byte) error {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer func() { _ = r.Close(ctx) }()
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, r); err != nil {
		t.Fatal(err)
	}
	_, err := r.CompileModule(ctx, wasm)
	return err
}

// FuzzMeter wants a metered module to be as valid as the module was.
func FuzzMeter(f *testing.F) {
	f.Add(answers(opI32Const, 0))
	f.Add(answers(opLoop, blockEmpty, opBr, 0, opEnd, opUnreachable))
	f.Add(answers(0x20, 0, opBrTable, 1, 0, 0, opI32Const, 0))
	f.Add(answers(wasmbin.OpVector, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, wasmbin.OpVector, 21, 3, opDrop, opI32Const, 0))
	f.Add(answers(opI32Const, 0, opI32Const, 0, opI32Const, 0, wasmbin.OpMisc, 10, 0, 0, wasmbin.OpF64Const, 0, 0, 0, 0, 0, 0, 0, 0, opDrop, opI32Const, 0))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		metered, err := meter(wasm)
		if err != nil || compiles(t, wasm) != nil {
			return
		}
		if err := compiles(t, metered); err != nil && !strings.Contains(err.Error(), "memory") {
			t.Fatalf("valid before, not after: %v", err)
		}
	})
}

// Every instruction of the guest is one that the walker knows, and the guest
// stays valid.
func TestMeterGuest(t *testing.T) {
	metered, err := meter(GuestWasm)
	if err != nil {
		t.Fatal(err)
	}
	if err := compiles(t, metered); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes became %d", len(GuestWasm), len(metered))
}
