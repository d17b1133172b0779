package wasmbin

// Code writes instructions. Body and End give what was written.
type Code struct{ b []byte }

// Op adds instructions without immediates.
func (c *Code) Op(ops ...byte) *Code {
	c.b = append(c.b, ops...)
	return c
}

// With adds an instruction with an index.
func (c *Code) With(op byte, index uint32) *Code {
	c.b = AppendUint(append(c.b, op), index)
	return c
}

// I32 adds a constant.
func (c *Code) I32(v int32) *Code {
	c.b = AppendInt(append(c.b, OpI32Const), int64(v))
	return c
}

// I64 adds a constant.
func (c *Code) I64(v int64) *Code {
	c.b = AppendInt(append(c.b, OpI64Const), v)
	return c
}

// Raw adds what is encoded already.
func (c *Code) Raw(b []byte) *Code {
	c.b = append(c.b, b...)
	return c
}

// Uint adds a number that belongs to the instruction before.
func (c *Code) Uint(v uint32) *Code {
	c.b = AppendUint(c.b, v)
	return c
}

// Bytes returns what was written.
func (c *Code) Bytes() []byte { return c.b }

// Get reads a local; Set and Tee write one.
func (c *Code) Get(local uint32) *Code { return c.With(OpLocalGet, local) }

// Set writes a local.
func (c *Code) Set(local uint32) *Code { return c.With(OpLocalSet, local) }

// Tee writes a local and keeps the value.
func (c *Code) Tee(local uint32) *Code { return c.With(OpLocalTee, local) }

// Call calls a function.
func (c *Code) Call(function uint32) *Code { return c.With(OpCall, function) }

// Load8 reads an unsigned byte of memory 0.
func (c *Code) Load8() *Code { return c.Op(OpI32Load8U, 0, 0) }

// Copy copies from one memory to another; on the stack are the destination, the
// source and the length.
func (c *Code) Copy(destination, source uint32) *Code {
	c.b = AppendUint(AppendUint(AppendUint(append(c.b, OpMisc), MiscMemoryCopy), destination), source)
	return c
}

// Fill sets bytes of a memory; on the stack are the destination, the byte and the
// length.
func (c *Code) Fill(memory uint32) *Code {
	c.b = AppendUint(AppendUint(append(c.b, OpMisc), MiscMemoryFill), memory)
	return c
}

// Init copies from a data segment to a memory; on the stack are the destination,
// the offset in the segment and the length.
func (c *Code) Init(segment, memory uint32) *Code {
	c.b = AppendUint(AppendUint(AppendUint(append(c.b, OpMisc), miscMemoryInit), segment), memory)
	return c
}

// End ends the expression and returns it.
func (c *Code) End() []byte { return append(c.b, OpEnd) }

// Body ends the function and returns its body, with locals behind its parameters.
func (c *Code) Body(locals ...byte) []byte {
	body := AppendUint(nil, uint32(len(locals))) //nolint:gosec // a few
	for _, t := range locals {
		body = append(body, 1, t)
	}
	return append(body, c.End()...)
}
