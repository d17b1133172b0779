package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"

	"kest.example/kest/internal/wasmbin"
)

const i64Mul, i64And, i64Sub byte = 0x7e, 0x83, 0x7d

// program writes random functions: parameter 0 is an i32, locals 1 to 3 are
// addresses, 4 sums them up as they are narrowed, and 5 and on count loops.
type program struct {
	*wasmbin.Code
	random *rand.Rand
	depth  int
}

const (
	addressLocals, sum, counters = 3, 4, 5
	deepest                      = 4
)

func (p *program) statements(n int) {
	for range n {
		p.statement()
	}
}

func (p *program) condition() *wasmbin.Code {
	return p.Get(sum).I64(1<<p.random.IntN(4)).Op(i64And, wasmbin.OpI64Eqz)
}

func (p *program) statement() {
	local := uint32(1 + p.random.IntN(addressLocals))
	kind := p.random.IntN(12)
	if p.depth == deepest {
		kind = p.random.IntN(6)
	}
	p.depth++
	defer func() { p.depth-- }()
	switch kind {
	default:
		p.Get(sum).I64(31).Op(i64Mul).Get(local).Op(wasmbin.OpI32WrapI64, wasmbin.OpI64ExtendI32, wasmbin.OpI64Add).Set(sum)
	case 0:
		p.Get(local).I64(p.random.Int64N(1 << 34)).Op(wasmbin.OpI64Add).Set(local)
	case 1:
		p.Get(sum).Tee(local).Op(wasmbin.OpI32WrapI64, wasmbin.OpDrop)
	case 6, 7:
		p.Op(wasmbin.OpBlock, wasmbin.NoResult)
		p.statements(3)
		p.condition().With(wasmbin.OpBrIf, 0)
		p.statements(3)
		p.Op(wasmbin.OpEnd)
	case 8:
		p.condition().Op(wasmbin.OpIf, wasmbin.NoResult)
		p.statements(3)
		p.Op(wasmbin.OpEnd)
	case 9, 10:
		p.condition().Op(wasmbin.OpIf, wasmbin.NoResult)
		p.statements(3)
		p.Op(wasmbin.OpElse)
		p.statements(3)
		p.Op(wasmbin.OpEnd)
	case 11:
		counter := uint32(counters + p.depth)
		p.I64(3).Set(counter).Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult)
		p.statements(2)
		p.condition().With(wasmbin.OpBrIf, 1)
		p.statements(2)
		p.Get(counter).I64(1).Op(i64Sub).Tee(counter).Op(wasmbin.OpI64Eqz).With(wasmbin.OpBrIf, 1).With(wasmbin.OpBr, 0)
		p.Op(wasmbin.OpEnd, wasmbin.OpEnd)
		p.statements(2)
	}
}

// TestNarrow holds random functions against themselves narrowed.
func TestNarrow(t *testing.T) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer func() { _ = r.Close(ctx) }()
	m := &wasmbin.Module{}
	typ := m.AddType([]byte{wasmbin.I32}, []byte{wasmbin.I64})
	const count = 600
	changed := 0
	for i := range count {
		p := &program{Code: &wasmbin.Code{}, random: rand.New(rand.NewPCG(uint64(i), 1))}
		for l := range uint32(addressLocals) {
			p.Get(0).Op(wasmbin.OpI64ExtendI32).I64(1<<33 + int64(l)).Op(wasmbin.OpI64Add).Set(1 + l)
		}
		p.statements(8)
		body := p.Get(sum).Body(bytes.Repeat([]byte{wasmbin.I64}, counters+deepest)...)
		short, err := narrow(body, 1)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(short, body) {
			changed++
		}
		for n, b := range [][]byte{body, short} {
			m.Exports = append(m.Exports, wasmbin.Export{Name: fmt.Sprint(i, n), Kind: wasmbin.FunctionKind, Index: m.AddFunction(typ, b)})
		}
	}
	module, err := r.Instantiate(ctx, m.Encode())
	if err != nil {
		t.Fatal(err)
	}
	for i := range count {
		for _, argument := range []uint64{0, 1, 0xffffffff, 0x12345678} {
			want, err := module.ExportedFunction(fmt.Sprint(i, 0)).Call(ctx, argument)
			if err != nil {
				t.Fatal(err)
			}
			have, err := module.ExportedFunction(fmt.Sprint(i, 1)).Call(ctx, argument)
			if err != nil || have[0] != want[0] {
				t.Errorf("program %d of %d: %x, %v, want %x", i, argument, have, err, want)
			}
		}
	}
	if changed < count*9/10 {
		t.Errorf("only %d of %d programs were changed", changed, count)
	}
}

func TestNarrowKeepsOnlyWhatIsUsedAgain(t *testing.T) {
	once := new(wasmbin.Code).Get(1).Op(wasmbin.OpI32WrapI64, wasmbin.OpDrop).Get(2).Op(wasmbin.OpI32WrapI64, wasmbin.OpDrop).Body(wasmbin.I64, wasmbin.I64)
	if have, err := narrow(once, 1); err != nil || !bytes.Equal(have, once) {
		t.Errorf("%x became %x, %v", once, have, err)
	}
	twice := new(wasmbin.Code).Get(1).Op(wasmbin.OpI32WrapI64, wasmbin.OpDrop).Get(1).Op(wasmbin.OpI32WrapI64, wasmbin.OpDrop).Body(wasmbin.I64)
	want := new(wasmbin.Code).Get(1).Op(wasmbin.OpI32WrapI64).Tee(2).Op(wasmbin.OpDrop).Get(2).Op(wasmbin.OpDrop).Body(wasmbin.I64, wasmbin.I32)
	if have, err := narrow(twice, 1); err != nil || !bytes.Equal(have, want) {
		t.Errorf("%x became %x, want %x, %v", twice, have, want, err)
	}
	if _, err := narrow([]byte{0, 0xff}, 1); err == nil {
		t.Error("an unknown instruction is taken")
	}
}
