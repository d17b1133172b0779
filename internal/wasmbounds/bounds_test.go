package wasmbounds

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"kest.example/kest/internal/wasmbin"
)

// program writes random functions: parameter 0 and locals 1 to 3 are addresses,
// 4 sums up what is loaded, and 5 and on count loops.
type program struct {
	*wasmbin.Code
	random *rand.Rand
	depth  int
}

const (
	addresses, sum, counters = 4, 4, 5
	deepest                  = 4
)

func (p *program) statements(n int) {
	for range n {
		p.statement()
	}
}

func (p *program) address() *wasmbin.Code { return p.Get(uint32(p.random.IntN(addresses))) }

func (p *program) offset() uint32 { return uint32(p.random.IntN(40)) << (4 * p.random.IntN(3)) }

func (p *program) condition() *wasmbin.Code {
	return p.Get(sum).I32(1 << p.random.IntN(4)).Op(wasmbin.OpI32And)
}

func (p *program) statement() {
	kind := p.random.IntN(13)
	if p.depth == deepest {
		kind = p.random.IntN(7)
	}
	p.depth++
	defer func() { p.depth-- }()
	switch kind {
	default:
		p.Get(sum).I32(31).Op(wasmbin.OpI32Mul)
		p.address().With(wasmbin.OpI32Load, 0).Uint(p.offset()).Op(wasmbin.OpI32Add).Set(sum)
	case 0:
		p.address()
		p.condition().With(wasmbin.OpI32Store, 0).Uint(p.offset())
	case 1: // by what a local held before it is written
		p.address().I32(8).Tee(uint32(p.random.IntN(addresses))).With(wasmbin.OpI32Store, 0).Uint(p.offset())
	case 2:
		p.address().I32(p.random.Int32N(64)).Op(wasmbin.OpI32Add).Set(uint32(p.random.IntN(addresses)))
	case 3:
		p.Op(wasmbin.OpMemorySize, 0).Get(sum).Op(wasmbin.OpI32Add).Set(sum)
	case 7, 8:
		p.Op(wasmbin.OpBlock, wasmbin.NoResult)
		p.statements(3)
		p.condition().With(wasmbin.OpBrIf, 0)
		p.statements(3)
		p.Op(wasmbin.OpEnd)
	case 9:
		p.condition().Op(wasmbin.OpIf, wasmbin.NoResult)
		p.statements(3)
		p.Op(wasmbin.OpEnd)
	case 10, 11:
		p.condition().Op(wasmbin.OpIf, wasmbin.NoResult)
		p.statements(3)
		p.Op(wasmbin.OpElse)
		p.statements(3)
		p.Op(wasmbin.OpEnd)
	case 12:
		counter := uint32(counters + p.depth)
		p.I32(3).Set(counter).Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult)
		p.statements(2)
		p.condition().With(wasmbin.OpBrIf, 1)
		p.statements(2)
		p.Get(counter).I32(1).Op(wasmbin.OpI32Sub).Tee(counter).Op(wasmbin.OpI32Eqz).With(wasmbin.OpBrIf, 1).With(wasmbin.OpBr, 0)
		p.Op(wasmbin.OpEnd, wasmbin.OpEnd)
		p.statements(2)
	}
}

// run calls a function on a memory that is filled anew, and returns what it
// left there too.
func run(t *testing.T, module api.Module, name string, argument uint64) (result uint64, memory []byte, err error) {
	t.Helper()
	memory, _ = module.Memory().Read(0, Page)
	for i := range memory {
		memory[i] = byte(i * 7)
	}
	results, err := module.ExportedFunction(name).Call(t.Context(), argument)
	if err != nil {
		return 0, nil, err
	}
	return results[0], memory, nil
}

// Random functions do the same, by addresses in the middle of the memory and at
// its end, where most trap: one that didn't never does. They run in the compiler
// that all this is for.
func TestRandomFunctionsDoTheSame(t *testing.T) {
	m := &wasmbin.Module{
		Memories: []wasmbin.Limits{{Min: 1, Max: 1, HasMax: true}},
		Exports:  []wasmbin.Export{{Name: "memory", Kind: wasmbin.MemoryKind}},
	}
	typ := m.AddType([]byte{wasmbin.I32}, []byte{wasmbin.I32})
	const count = 400
	for i := range count {
		p := &program{Code: &wasmbin.Code{}, random: rand.New(rand.NewPCG(uint64(i), 1))}
		p.Get(0).I32(16).Op(wasmbin.OpI32Sub).Set(1).Get(0).I32(64).Op(wasmbin.OpI32Sub).Set(2).Get(0).I32(640).Op(wasmbin.OpI32Sub).Set(3)
		p.statements(8)
		body := p.Get(sum).Body(bytes.Repeat([]byte{wasmbin.I32}, counters+deepest)...)
		m.Exports = append(m.Exports, wasmbin.Export{Name: fmt.Sprint(i), Kind: wasmbin.FunctionKind, Index: m.AddFunction(typ, body)})
	}
	before, after := load(t, m.Encode()), load(t, Module(m.Encode()))
	ends, traps := 0, 0
	for i := range count {
		for _, argument := range []uint64{4000, Page - 1300, Page - 660, Page - 80, Page - 4} {
			want, memory, err := run(t, before, fmt.Sprint(i), argument)
			if err != nil {
				traps++
				continue
			}
			ends++
			memory = bytes.Clone(memory)
			have, left, err := run(t, after, fmt.Sprint(i), argument)
			if err != nil || have != want || !bytes.Equal(left, memory) {
				t.Errorf("program %d of %d: %x (%v), want %x; the same memory: %v", i, argument, have, err, want, bytes.Equal(left, memory))
			}
		}
	}
	if ends < count || traps < count {
		t.Errorf("%d runs came to an end and %d trapped", ends, traps)
	}
}

func load(t *testing.T, module []byte) api.Module {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
	t.Cleanup(func() { _ = r.Close(ctx) })
	m, err := r.Instantiate(ctx, module)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What is checked, in front of what.
func TestFurthest(t *testing.T) {
	const load, store = wasmbin.OpI32Load, wasmbin.OpI64Store
	get := func(c *wasmbin.Code, local, offset uint32) *wasmbin.Code {
		return c.Get(local).With(load, 2).Uint(offset).Op(wasmbin.OpDrop)
	}
	ahead := func(c *wasmbin.Code, local, last uint32) *wasmbin.Code {
		return c.Get(local).With(wasmbin.OpI32Load8U, 0).Uint(last).Op(wasmbin.OpDrop)
	}
	type code = *wasmbin.Code
	for name, of := range map[string]func(c code, want bool){
		"an object": func(c code, want bool) {
			c.Get(0)
			if want {
				ahead(c, 0, 23)
			}
			c.With(load, 2).Uint(0).Op(wasmbin.OpDrop)
			get(get(c, 0, 8), 0, 20)
		},
		"backwards": func(c code, _ bool) { get(get(c, 0, 8), 0, 0) },
		"a store": func(c code, want bool) {
			c.Get(0).I64(1)
			if want {
				ahead(c, 0, 15)
			}
			c.With(store, 3).Uint(0).Get(0).I64(1).With(store, 3).Uint(8)
		},
		"two of a branch, and one that stays": func(c code, want bool) {
			c.Get(0)
			if want {
				ahead(c, 0, 11)
			}
			c.With(load, 2).Uint(0).Op(wasmbin.OpIf, wasmbin.NoResult)
			get(c, 0, 4).Op(wasmbin.OpElse)
			get(c, 0, 8).Op(wasmbin.OpEnd)
		},
		"written between": func(c code, _ bool) {
			get(c, 0, 0).I32(0).Set(0)
			get(c, 0, 8)
		},
		"written while it is on the stack": func(c code, _ bool) {
			get(c, 0, 0).Get(0).I32(0).Set(0).With(load, 2).Uint(8).Op(wasmbin.OpDrop)
		},
		"written in a branch": func(c code, _ bool) {
			get(c, 0, 0).I32(1).Op(wasmbin.OpIf, wasmbin.NoResult).I32(0).Set(0).Op(wasmbin.OpEnd)
			get(c, 0, 8)
		},
		"in a block that may be left before": func(c code, _ bool) {
			c.Op(wasmbin.OpBlock, wasmbin.NoResult).I32(1).With(wasmbin.OpBrIf, 0)
			get(c, 0, 0).Op(wasmbin.OpEnd)
			get(c, 0, 8)
		},
		"a loop": func(c code, want bool) {
			get(c, 0, 0).Op(wasmbin.OpLoop, wasmbin.NoResult).Get(0)
			if want {
				ahead(c, 0, 19)
			}
			c.With(load, 2).Uint(8).Op(wasmbin.OpDrop, wasmbin.OpEnd)
			get(c, 0, 16)
		},
		"a loop in a block": func(c code, _ bool) {
			get(c, 0, 0).Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult)
			get(c, 0, 8).Op(wasmbin.OpEnd, wasmbin.OpEnd)
			get(c, 0, 16)
		},
		"a page ahead": func(c code, want bool) {
			c.Get(0)
			if want {
				ahead(c, 0, Page+3)
			}
			c.With(load, 2).Uint(0).Op(wasmbin.OpDrop)
			get(get(c, 0, Page), 0, Page+1)
		},
	} {
		body, want := new(wasmbin.Code), new(wasmbin.Code)
		of(body, false)
		of(want, true)
		have, err := function(body.Body(), 9)
		if err != nil || !bytes.Equal(have, want.Body()) {
			t.Errorf("%s: %x became %x, want %x (%v)", name, body.Body(), have, want.Body(), err)
		}
	}
}

// The module sees the memory that it asked for, and grows it as far.
func TestMemoryIsAsItWas(t *testing.T) {
	m := &wasmbin.Module{Memories: []wasmbin.Limits{{Min: 2, Max: 5, HasMax: true}}}
	size := m.AddFunction(m.AddType(nil, []byte{wasmbin.I32}), new(wasmbin.Code).Op(wasmbin.OpMemorySize, 0).Body())
	grow := m.AddFunction(m.AddType([]byte{wasmbin.I32}, []byte{wasmbin.I32}), new(wasmbin.Code).Get(0).Op(wasmbin.OpMemoryGrow, 0).Body())
	m.Exports = []wasmbin.Export{{Name: "size", Kind: wasmbin.FunctionKind, Index: size}, {Name: "grow", Kind: wasmbin.FunctionKind, Index: grow}}
	module := load(t, Module(m.Encode()))
	for i, step := range []struct {
		by   uint64
		was  int32
		size uint64
	}{{0, 2, 2}, {1, 2, 3}, {3, -1, 3}, {2, 3, 5}, {1, -1, 5}, {1 << 31, -1, 5}, {0, 5, 5}} {
		was, err := module.ExportedFunction("grow").Call(t.Context(), step.by)
		if err != nil || int32(was[0]) != step.was {
			t.Errorf("step %d: it was %d, want %d (%v)", i, int32(was[0]), step.was, err)
		}
		if now, err := module.ExportedFunction("size").Call(t.Context()); err != nil || now[0] != step.size {
			t.Errorf("step %d: the size is %d, want %d (%v)", i, now, step.size, err)
		}
	}
}

func TestModulesThatStayAsTheyAre(t *testing.T) {
	memory := func(limits ...wasmbin.Limits) []byte {
		m := &wasmbin.Module{Memories: limits}
		m.AddFunction(m.AddType(nil, nil), new(wasmbin.Code).Op(wasmbin.OpMemorySize, 0, wasmbin.OpDrop).Body())
		return m.Encode()
	}
	imports := &wasmbin.Module{
		Imports:  []wasmbin.Import{{Module: "m", Name: "n", Kind: wasmbin.MemoryKind, Memory: wasmbin.Limits{Min: 1}}},
		Memories: []wasmbin.Limits{{Min: 1}},
	}
	unknown := &wasmbin.Module{Memories: []wasmbin.Limits{{Min: 1}}}
	unknown.AddFunction(unknown.AddType(nil, nil), []byte{0, 0xff, wasmbin.OpEnd})
	for name, module := range map[string][]byte{
		"none":                   memory(),
		"two":                    memory(wasmbin.Limits{Min: 1}, wasmbin.Limits{Min: 1}),
		"as large as can be":     memory(wasmbin.Limits{Min: maxPages}),
		"up to as large as can":  memory(wasmbin.Limits{Min: 1, Max: maxPages, HasMax: true}),
		"imported":               imports.Encode(),
		"an unknown instruction": unknown.Encode(),
		"no module":              []byte("text"),
	} {
		if !bytes.Equal(Module(module), module) {
			t.Errorf("%s: it was rewritten", name)
		}
	}
	if one := memory(wasmbin.Limits{Min: 1}); bytes.Equal(Module(one), one) {
		t.Error("one memory: it was not rewritten")
	}
}
