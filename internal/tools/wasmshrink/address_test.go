package main

import (
	"bytes"
	"testing"

	"kest.example/kest/internal/wasmbin"
)

// Each body is one local group's count (0) and instructions.
func TestAddresses(t *testing.T) {
	body := func(code ...byte) []byte { return append(append([]byte{0}, code...), wasmbin.OpEnd) }
	local := []byte{wasmbin.OpLocalGet, 1}
	plus := func(n ...byte) []byte {
		return bytes.Join([][]byte{{wasmbin.OpI64ExtendI32, wasmbin.OpI64Const}, n, {wasmbin.OpI64Add, wasmbin.OpI32WrapI64}}, nil)
	}
	join := func(parts ...[]byte) []byte { return body(bytes.Join(parts, nil)...) }
	for name, c := range map[string]struct{ in, want []byte }{
		"a load":                 {join(local, plus(8), []byte{0x29, 3, 16}), join(local, []byte{0x29, 3, 24})},
		"a load, long offset":    {join(local, plus(0xc0, 0x00), []byte{0x29, 3, 0x40}), join(local, []byte{0x29, 3, 0x80, 0x01})},
		"a store of a local":     {join(local, plus(8), []byte{wasmbin.OpLocalGet, 2, wasmbin.OpI64Store, 3, 0}), join(local, []byte{wasmbin.OpLocalGet, 2, wasmbin.OpI64Store, 3, 8})},
		"a store of a constant":  {join(local, plus(8), []byte{wasmbin.OpI64Const, 0, wasmbin.OpI64Store, 3, 0}), join(local, []byte{wasmbin.OpI64Const, 0, wasmbin.OpI64Store, 3, 8})},
		"a store of a sum":       {join(local, plus(8), []byte{wasmbin.OpLocalGet, 2, wasmbin.OpLocalGet, 3, wasmbin.OpI64Add, wasmbin.OpI64Store, 3, 0}), join(local, []byte{wasmbin.OpLocalGet, 2, wasmbin.OpLocalGet, 3, wasmbin.OpI64Add, wasmbin.OpI64Store, 3, 8})},
		"a store of a load":      {join(local, plus(8), local, plus(16), []byte{0x29, 3, 1, wasmbin.OpI64Store, 3, 2}), join(local, local, []byte{0x29, 3, 17, wasmbin.OpI64Store, 3, 10})},
		"a store of a call":      {join(local, plus(8), []byte{wasmbin.OpCall, 2, wasmbin.OpI64Store, 3, 0}), join(local, []byte{wasmbin.OpI32Const, 8, wasmbin.OpI32Add, wasmbin.OpCall, 2, wasmbin.OpI64Store, 3, 0})},
		"a store as the value":   {join(local, local, plus(8), []byte{wasmbin.OpI64Store32, 2, 0}), join(local, local, []byte{wasmbin.OpI32Const, 8, wasmbin.OpI32Add, wasmbin.OpI64Store32, 2, 0})},
		"an address":             {join(local, plus(8), []byte{wasmbin.OpLocalSet, 2}), join(local, []byte{wasmbin.OpI32Const, 8, wasmbin.OpI32Add, wasmbin.OpLocalSet, 2})},
		"63 and 64":              {join(local, plus(0x3f), []byte{wasmbin.OpLocalSet, 2}), join(local, []byte{wasmbin.OpI32Const, 0x3f, wasmbin.OpI32Add, wasmbin.OpLocalSet, 2})},
		"a negative offset":      {join(local, plus(0x78), []byte{0x29, 3, 16}), join(local, plus(0x78), []byte{0x29, 3, 16})},
		"a large offset":         {join(local, plus(0x80, 0x80, 0x80, 0x80, 0x08), []byte{0x29, 3, 0}), join(local, plus(0x80, 0x80, 0x80, 0x80, 0x08), []byte{0x29, 3, 0})},
		"a condition":            {join(local, local, []byte{0x46, wasmbin.OpI64ExtendI32, wasmbin.OpI64Eqz, wasmbin.OpI32Eqz, wasmbin.OpIf, 0x40, wasmbin.OpEnd}), join(local, local, []byte{0x46, wasmbin.OpIf, 0x40, wasmbin.OpEnd})},
		"no comparison before":   {join(local, []byte{wasmbin.OpI64ExtendI32, wasmbin.OpI64Eqz, wasmbin.OpI32Eqz, wasmbin.OpLocalSet, 2}), join(local, []byte{wasmbin.OpI32Eqz, wasmbin.OpI32Eqz, wasmbin.OpLocalSet, 2})},
		"a constant":             {join([]byte{wasmbin.OpI64Const, 0xc0, 0x00, wasmbin.OpI32WrapI64}, []byte{wasmbin.OpLocalSet, 1}), join([]byte{wasmbin.OpI32Const, 0xc0, 0x00, wasmbin.OpLocalSet, 1})},
		"a negative constant":    {join([]byte{wasmbin.OpI64Const, 0x40, wasmbin.OpI32WrapI64, wasmbin.OpLocalSet, 1}), join([]byte{wasmbin.OpI64Const, 0x40, wasmbin.OpI32WrapI64, wasmbin.OpLocalSet, 1})},
		"a constant of 64 bits":  {join([]byte{wasmbin.OpI64Const, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, wasmbin.OpI32WrapI64, wasmbin.OpLocalSet, 1}), join([]byte{wasmbin.OpI64Const, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, wasmbin.OpI32WrapI64, wasmbin.OpLocalSet, 1})},
		"what ends in a pattern": {join(local, []byte{wasmbin.OpI64ExtendI32, wasmbin.OpI64Const, 8}), join(local, []byte{wasmbin.OpI64ExtendI32, wasmbin.OpI64Const, 8})},
	} {
		have, err := addresses(c.in)
		if err != nil || !bytes.Equal(have, c.want) {
			t.Errorf("%s: %x became %x, want %x (%v)", name, c.in, have, c.want, err)
		}
	}
	if _, err := addresses([]byte{0, 0xff}); err == nil {
		t.Error("an unknown instruction is taken")
	}
}
