package main

import (
	"bytes"
	"testing"
)

// Each body is one local group's count (0) and instructions.
func TestAddresses(t *testing.T) {
	body := func(code ...byte) []byte { return append(append([]byte{0}, code...), opEnd) }
	local := []byte{opLocalGet, 1}
	plus := func(n ...byte) []byte {
		return bytes.Join([][]byte{{opI64ExtendI32U, opI64Const}, n, {opI64Add, opI32WrapI64}}, nil)
	}
	join := func(parts ...[]byte) []byte { return body(bytes.Join(parts, nil)...) }
	for name, c := range map[string]struct{ in, want []byte }{
		"a load":                 {join(local, plus(8), []byte{0x29, 3, 16}), join(local, []byte{0x29, 3, 24})},
		"a load, long offset":    {join(local, plus(0xc0, 0x00), []byte{0x29, 3, 0x40}), join(local, []byte{0x29, 3, 0x80, 0x01})},
		"a store of a local":     {join(local, plus(8), []byte{opLocalGet, 2, opI64Store, 3, 0}), join(local, []byte{opLocalGet, 2, opI64Store, 3, 8})},
		"a store of a constant":  {join(local, plus(8), []byte{opI64Const, 0, opI64Store, 3, 0}), join(local, []byte{opI64Const, 0, opI64Store, 3, 8})},
		"a store of a sum":       {join(local, plus(8), []byte{opLocalGet, 2, opLocalGet, 3, opI64Add, opI64Store, 3, 0}), join(local, []byte{opI32Const, 8, opI32Add, opLocalGet, 2, opLocalGet, 3, opI64Add, opI64Store, 3, 0})},
		"an address":             {join(local, plus(8), []byte{opLocalSet, 2}), join(local, []byte{opI32Const, 8, opI32Add, opLocalSet, 2})},
		"63 and 64":              {join(local, plus(0x3f), []byte{opLocalSet, 2}), join(local, []byte{opI32Const, 0x3f, opI32Add, opLocalSet, 2})},
		"a negative offset":      {join(local, plus(0x78), []byte{0x29, 3, 16}), join(local, plus(0x78), []byte{0x29, 3, 16})},
		"a large offset":         {join(local, plus(0x80, 0x80, 0x80, 0x80, 0x08), []byte{0x29, 3, 0}), join(local, plus(0x80, 0x80, 0x80, 0x80, 0x08), []byte{0x29, 3, 0})},
		"a condition":            {join(local, local, []byte{0x46, opI64ExtendI32U, opI64Eqz, opI32Eqz, opIf, 0x40, opEnd}), join(local, local, []byte{0x46, opIf, 0x40, opEnd})},
		"no comparison before":   {join(local, []byte{opI64ExtendI32U, opI64Eqz, opI32Eqz, opLocalSet, 2}), join(local, []byte{opI32Eqz, opI32Eqz, opLocalSet, 2})},
		"a constant":             {join([]byte{opI64Const, 0xc0, 0x00, opI32WrapI64}, []byte{opLocalSet, 1}), join([]byte{opI32Const, 0xc0, 0x00, opLocalSet, 1})},
		"a negative constant":    {join([]byte{opI64Const, 0x40, opI32WrapI64, opLocalSet, 1}), join([]byte{opI64Const, 0x40, opI32WrapI64, opLocalSet, 1})},
		"a constant of 64 bits":  {join([]byte{opI64Const, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, opI32WrapI64, opLocalSet, 1}), join([]byte{opI64Const, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, opI32WrapI64, opLocalSet, 1})},
		"what ends in a pattern": {join(local, []byte{opI64ExtendI32U, opI64Const, 8}), join(local, []byte{opI64ExtendI32U, opI64Const, 8})},
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
