package main

import (
	"bytes"

	"kest.example/kest/internal/wasmbin"
)

// ones has a 1 in each byte, and high the highest bit of each.
const ones, high = 0x0101010101010101, -0x7f7f7f7f7f7f7f80

// The parameters of Go's memchr, and locals.
const (
	text   uint32 = iota // address
	char                 // to look for
	length               // of the text, in bytes
	every                // char in each byte
	word
)

// memchr finds a character in a text as Go's own function of that name does: it
// returns the address of the first, or 0. Go's reads 4 bytes at a time, this
// one 32, and the last few one by one.
//
// A byte of x is 0 where (x-ones)&^x has its highest bit; of several such, the
// lowest is surely one.
func memchr() []byte {
	c := new(wasmbin.Code)
	c.Get(char).I32(0xff).Op(wasmbin.OpI32And, wasmbin.OpI64ExtendI32).I64(ones).Op(wasmbin.OpI64Mul).Set(every)
	zeros := func(offset byte) { // the highest bit of each byte that is char, and other bits
		c.Get(text).Op(wasmbin.OpI64Load, 0, offset).Get(every).Op(wasmbin.OpI64Xor).Tee(word).
			I64(ones).Op(wasmbin.OpI64Sub).Get(word).I64(-1).Op(wasmbin.OpI64Xor, wasmbin.OpI64And)
	}
	next := func(n int32) {
		c.Get(text).I32(n).Op(wasmbin.OpI32Add).Set(text)
		c.Get(length).I32(n).Op(wasmbin.OpI32Sub).Set(length)
	}
	while := func(n int32) { // open until done: for as long as there are n bytes
		c.Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult)
		c.Get(length).I32(n).Op(wasmbin.OpI32LtU).With(wasmbin.OpBrIf, 1)
	}
	done := func() { c.With(wasmbin.OpBr, 0).Op(wasmbin.OpEnd, wasmbin.OpEnd) }

	while(32)
	zeros(24)
	for _, offset := range []byte{16, 8, 0} {
		zeros(offset)
		c.Op(wasmbin.OpI64Or)
	}
	c.I64(high).Op(wasmbin.OpI64And, wasmbin.OpI64Eqz, wasmbin.OpI32Eqz).With(wasmbin.OpBrIf, 1)
	next(32)
	done()

	while(8)
	zeros(0)
	c.I64(high).Op(wasmbin.OpI64And).Tee(word).Op(wasmbin.OpI64Eqz, wasmbin.OpI32Eqz, wasmbin.OpIf, wasmbin.NoResult)
	c.Get(word).Op(wasmbin.OpI64Ctz).I64(3).Op(wasmbin.OpI64ShrU, wasmbin.OpI32WrapI64).Get(text).Op(wasmbin.OpI32Add, wasmbin.OpReturn, wasmbin.OpEnd)
	next(8)
	done()

	while(1)
	c.Get(text).Load8().Get(char).Op(wasmbin.OpI32Eq, wasmbin.OpIf, wasmbin.NoResult).Get(text).Op(wasmbin.OpReturn, wasmbin.OpEnd)
	next(1)
	done()
	return c.I32(0).Body(wasmbin.I64, wasmbin.I64)
}

// The parameters of Go's memeqbody, and locals for the two addresses.
const (
	left uint32 = iota
	right
	size
	at
	against
)

// memeqbody says whether two texts of one size are the same, as Go's own
// function of that name does. What is left of 8 bytes is compared with a few of
// those before once more, and not one by one.
func memeqbody() []byte {
	c := new(wasmbin.Code)
	same := func(load, equal byte, offset func()) { // two numbers, at a distance behind both addresses
		for _, address := range []uint32{at, against} {
			c.Get(address)
			if offset != nil {
				offset()
				c.Op(wasmbin.OpI32Add)
			}
			c.Op(load, 0, 0)
		}
		c.Op(equal)
	}
	fromEnd := func(n int64) func() {
		return func() { c.Get(size).I64(n).Op(wasmbin.OpI64Sub, wasmbin.OpI32WrapI64) }
	}
	result := func() { c.Op(wasmbin.OpI64ExtendI32, wasmbin.OpReturn) }
	c.Get(left).Get(right).Op(wasmbin.OpI64Eq, wasmbin.OpIf, wasmbin.NoResult).I64(1).Op(wasmbin.OpReturn, wasmbin.OpEnd)
	c.Get(left).Op(wasmbin.OpI32WrapI64).Set(at).Get(right).Op(wasmbin.OpI32WrapI64).Set(against)

	c.Get(size).I64(8).Op(opI64GeU, wasmbin.OpIf, wasmbin.NoResult)
	c.Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult)
	c.Get(size).I64(8).Op(opI64LeU).With(wasmbin.OpBrIf, 1)
	same(wasmbin.OpI64Load, opI64Ne, nil)
	c.Op(wasmbin.OpIf, wasmbin.NoResult).I64(0).Op(wasmbin.OpReturn, wasmbin.OpEnd)
	c.Get(at).I32(8).Op(wasmbin.OpI32Add).Set(at).Get(against).I32(8).Op(wasmbin.OpI32Add).Set(against)
	c.Get(size).I64(8).Op(wasmbin.OpI64Sub).Set(size).With(wasmbin.OpBr, 0).Op(wasmbin.OpEnd, wasmbin.OpEnd)
	same(wasmbin.OpI64Load, wasmbin.OpI64Eq, fromEnd(8))
	result()
	c.Op(wasmbin.OpEnd)

	c.Get(size).I64(4).Op(opI64GeU, wasmbin.OpIf, wasmbin.NoResult)
	same(wasmbin.OpI32Load, wasmbin.OpI32Eq, nil)
	same(wasmbin.OpI32Load, wasmbin.OpI32Eq, fromEnd(4))
	c.Op(wasmbin.OpI32And)
	result()
	c.Op(wasmbin.OpEnd)

	c.Get(size).Op(wasmbin.OpI64Eqz, wasmbin.OpIf, wasmbin.NoResult).I64(1).Op(wasmbin.OpReturn, wasmbin.OpEnd)
	same(wasmbin.OpI32Load8U, wasmbin.OpI32Eq, nil)
	same(wasmbin.OpI32Load8U, wasmbin.OpI32Eq, func() { c.Get(size).I64(1).Op(wasmbin.OpI64ShrU, wasmbin.OpI32WrapI64) })
	same(wasmbin.OpI32Load8U, wasmbin.OpI32Eq, fromEnd(1))
	c.Op(wasmbin.OpI32And, wasmbin.OpI32And)
	return c.Op(wasmbin.OpI64ExtendI32).Body(wasmbin.I32, wasmbin.I32)
}

const opI64Ne, opI64LeU, opI64GeU byte = 0x52, 0x58, wasmbin.OpI64GeU

// replaced returns the body that stands for Go's own of that name, and ok.
func replaced(name string, typ wasmbin.FuncType) ([]byte, bool) {
	is := func(t byte) bool {
		return bytes.Equal(typ.Params, []byte{t, t, t}) && bytes.Equal(typ.Results, []byte{t})
	}
	switch {
	case name == "memchr" && is(wasmbin.I32):
		return memchr(), true
	case name == "memeqbody" && is(wasmbin.I64):
		return memeqbody(), true
	}
	return nil, false
}

// Memory instructions are calls out of the code in wazero and V8, which cost
// more than most texts are long. These functions stand for them, and use them
// for what is longer.
const (
	shortCopy = 32
	shortFill = 256
)

// copying stands for memory.copy: destination, source, size. All is loaded
// before anything is stored, since the two may overlap.
func copying() []byte {
	const (
		to uint32 = iota
		from
		size
		words // locals
	)
	c := new(wasmbin.Code)
	// distance of the i-th number of so many bytes: from the start, or from the end on
	at := func(address uint32, n, i, count int32) *wasmbin.Code {
		c.Get(address)
		if i >= count/2 {
			c.Get(size).Op(wasmbin.OpI32Add).I32((count - i) * n).Op(wasmbin.OpI32Sub)
			return c
		}
		if i > 0 {
			c.I32(i * n).Op(wasmbin.OpI32Add)
		}
		return c
	}
	numbers := func(n, count int32, load, store byte) {
		for i := range count {
			at(from, n, i, count).Op(load, 0, 0).Set(words + uint32(i))
		}
		for i := range count {
			at(to, n, i, count).Get(words+uint32(i)).Op(store, 0, 0)
		}
		c.Op(wasmbin.OpReturn)
	}
	atLeast := func(n int32) {
		c.Get(size).I32(n).Op(wasmbin.OpI32GeU, wasmbin.OpIf, wasmbin.NoResult)
	}
	atLeast(shortCopy + 1)
	c.Get(to).Get(from).Get(size).Copy(0, 0).Op(wasmbin.OpReturn, wasmbin.OpEnd)
	atLeast(16)
	numbers(8, 4, wasmbin.OpI64Load, wasmbin.OpI64Store)
	c.Op(wasmbin.OpEnd)
	atLeast(8)
	numbers(8, 2, wasmbin.OpI64Load, wasmbin.OpI64Store)
	c.Op(wasmbin.OpEnd)
	atLeast(4)
	numbers(4, 2, wasmbin.OpI64Load32U, wasmbin.OpI64Store32)
	c.Op(wasmbin.OpEnd)
	atLeast(2)
	numbers(2, 2, wasmbin.OpI64Load16U, wasmbin.OpI64Store16)
	c.Op(wasmbin.OpEnd)
	atLeast(1)
	c.Get(to).Get(from).Op(wasmbin.OpI32Load8U, 0, 0, opI32Store8, 0, 0).Op(wasmbin.OpEnd)
	return c.Body(wasmbin.I64, wasmbin.I64, wasmbin.I64, wasmbin.I64)
}

// filling stands for memory.fill: address, byte, size.
func filling() []byte {
	const (
		to uint32 = iota
		value
		size
		every // value in each byte
	)
	c := new(wasmbin.Code)
	next := func(n int32) {
		c.Get(to).I32(n).Op(wasmbin.OpI32Add).Set(to).Get(size).I32(n).Op(wasmbin.OpI32Sub).Set(size).With(wasmbin.OpBr, 0)
		c.Op(wasmbin.OpEnd, wasmbin.OpEnd)
	}
	while := func(n int32) {
		c.Op(wasmbin.OpBlock, wasmbin.NoResult, wasmbin.OpLoop, wasmbin.NoResult)
		c.Get(size).I32(n).Op(wasmbin.OpI32LtU).With(wasmbin.OpBrIf, 1)
	}
	c.Get(size).I32(shortFill).Op(wasmbin.OpI32GtU, wasmbin.OpIf, wasmbin.NoResult)
	c.Get(to).Get(value).Get(size).Op(wasmbin.OpMisc, byte(wasmbin.MiscMemoryFill), 0, wasmbin.OpReturn, wasmbin.OpEnd)
	c.Get(value).I32(0xff).Op(wasmbin.OpI32And, wasmbin.OpI64ExtendI32).I64(ones).Op(wasmbin.OpI64Mul).Set(every)
	while(32)
	for _, offset := range []byte{24, 16, 8, 0} {
		c.Get(to).Get(every).Op(wasmbin.OpI64Store, 0, offset)
	}
	next(32)
	while(8)
	c.Get(to).Get(every).Op(wasmbin.OpI64Store, 0, 0)
	next(8)
	while(1)
	c.Get(to).Get(every).Op(opI64Store8, 0, 0)
	next(1)
	return c.Body(wasmbin.I64)
}

const opI32Store8, opI64Store8 byte = 0x3a, 0x3c
