package main

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/tetratelabs/wazero"

	"kest.example/kest/internal/wasmbin"
)

// Each comparison of integers, on numbers around the ends of both kinds.
func TestConditions(t *testing.T) {
	numbers := []uint64{0, 1, 2, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 1}
	m := &wasmbin.Module{}
	for op := wasmbin.OpI32Eqz; op <= wasmbin.OpI64GeU; op++ {
		kind := wasmbin.I32
		if op >= wasmbin.OpI64Eqz {
			kind = wasmbin.I64
		}
		code := new(wasmbin.Code).Get(0)
		if op != wasmbin.OpI32Eqz && op != wasmbin.OpI64Eqz {
			code.Get(1)
		}
		body := code.Op(op, wasmbin.OpI32Eqz).Body()
		short, err := conditions(body)
		if err != nil || len(short) != len(body)-1 && op != wasmbin.OpI32Eqz && op != wasmbin.OpI64Eqz {
			t.Errorf("0x%02x: %x became %x (%v)", op, body, short, err)
		}
		for n, b := range [][]byte{body, short} {
			f := m.AddFunction(m.AddType([]byte{kind, kind}, []byte{wasmbin.I32}), b)
			m.Exports = append(m.Exports, wasmbin.Export{Name: fmt.Sprint(op, n), Kind: wasmbin.FunctionKind, Index: f})
		}
	}
	ctx := context.Background()
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer func() { _ = runtime.Close(ctx) }()
	module, err := runtime.Instantiate(ctx, m.Encode())
	if err != nil {
		t.Fatal(err)
	}
	for op := wasmbin.OpI32Eqz; op <= wasmbin.OpI64GeU; op++ {
		for _, x := range numbers {
			for _, y := range numbers {
				want, err := module.ExportedFunction(fmt.Sprint(op, 0)).Call(ctx, x, y)
				if err != nil {
					t.Fatal(err)
				}
				if have, err := module.ExportedFunction(fmt.Sprint(op, 1)).Call(ctx, x, y); err != nil || have[0] != want[0] {
					t.Errorf("0x%02x of %x and %x: %v, want %v (%v)", op, x, y, have, want, err)
				}
			}
		}
	}
	for _, op := range []byte{0x5b, 0x5d, 0x61, 0x66} { // of floats: not less is not the same as more or equal
		body := new(wasmbin.Code).Get(0).Get(1).Op(op, wasmbin.OpI32Eqz).Body()
		if have, err := conditions(body); err != nil || !bytes.Equal(have, body) {
			t.Errorf("%x became %x (%v)", body, have, err)
		}
	}
	if _, err := conditions([]byte{0, 0xff}); err == nil {
		t.Error("an unknown instruction is taken")
	}
}
