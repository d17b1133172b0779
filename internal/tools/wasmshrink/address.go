package main

import (
	"encoding/binary"

	"kest.example/kest/internal/wasmbin"
)

// addressPattern is how Go adds an offset to an address of 32 bits: in 64 bits,
// most often to the stack pointer.
var addressPattern = []expected{
	{op: wasmbin.OpI64ExtendI32},
	{op: wasmbin.OpI64Const, any: true},
	{op: wasmbin.OpI64Add},
	{op: wasmbin.OpI32WrapI64},
}

// truthPattern is how Go makes a condition of what a comparison gave: it widens
// it, and compares it with 0 twice.
var truthPattern = []expected{
	{op: wasmbin.OpI64ExtendI32},
	{op: wasmbin.OpI64Eqz},
	{op: wasmbin.OpI32Eqz},
}

// addresses writes shorter what Go's compiler computes on 32 bits in 64.
//
// It adds in 32 bits, and where a load or a store is next, by the offset
// that it has anyway. Memory ends below 4 GiB, so that the one sum that could
// come out otherwise, over 2^32, is of no address: a load there traps now.
func addresses(body []byte) ([]byte, error) {
	locals, steps, err := wasmbin.Body(body)
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(body)), body[:locals]...)
	for len(steps) > 0 {
		n := 1
		if short, skip := shorter(body, steps); skip > 0 {
			out, steps = append(out, short...), steps[skip:]
			continue
		}
		offset, ok := addressOffset(body, steps)
		access := 0
		if ok {
			access = accessAfter(steps[4:])
		}
		switch {
		case !ok:
			out = append(out, body[steps[0].Start:steps[0].End]...)
		case access > 0 && offset+steps[3+access].Immediate < maxFrame:
			last := steps[3+access]
			out = append(out, body[steps[4].Start:last.Start]...)
			out = append(out, body[last.Start:last.Start+2]...) // opcode and alignment
			out = binary.AppendUvarint(out, offset+last.Immediate)
			n = 4 + access
		default:
			out = wasmbin.AppendInt(append(out, wasmbin.OpI32Const), int64(offset)) //nolint:gosec // below maxFrame
			out = append(out, wasmbin.OpI32Add)
			n = 4
		}
		steps = steps[n:]
	}
	return out, nil
}

// shorter rewrites a comparison that is made a condition, a widened number that
// is compared with 0, and a constant that is narrowed.
func shorter(body []byte, steps []wasmbin.Instruction) (short []byte, skip int) {
	switch first := steps[0]; {
	case first.Op >= wasmbin.OpI32Eqz && first.Op <= wasmbin.OpF64Ge && follows(steps[1:], truthPattern):
		return body[first.Start:first.End], 1 + len(truthPattern)
	case follows(steps, truthPattern[:2]):
		return []byte{wasmbin.OpI32Eqz}, 2
	case first.Op == wasmbin.OpI64Const && len(steps) > 1 && steps[1].Op == wasmbin.OpI32WrapI64 &&
		first.Immediate < maxFrame && body[first.End-1]&0x40 == 0:
		return append([]byte{wasmbin.OpI32Const}, body[first.Start+1:first.End]...), 2
	}
	return nil, 0
}

func follows(steps []wasmbin.Instruction, pattern []expected) bool {
	if len(steps) < len(pattern) {
		return false
	}
	for i, p := range pattern {
		if steps[i].Op != p.op {
			return false
		}
	}
	return true
}

// addressOffset returns what the pattern adds.
func addressOffset(body []byte, steps []wasmbin.Instruction) (offset uint64, ok bool) {
	if !follows(steps, addressPattern) {
		return 0, false
	}
	negative := body[steps[1].End-1]&0x40 != 0
	return steps[1].Immediate, !negative && steps[1].Immediate < maxFrame
}

// accessAfter returns how many instructions on the memory access is that takes
// the address: 1 for a load, 2 for a store of a local, a global or a constant;
// 0 for none of these.
func accessAfter(steps []wasmbin.Instruction) int {
	if len(steps) > 0 && steps[0].Op >= wasmbin.OpI32Load && steps[0].Op <= wasmbin.OpI64Load32U {
		return 1
	}
	if len(steps) < 2 || steps[1].Op <= wasmbin.OpI64Load32U || steps[1].Op > wasmbin.OpI64Store32 {
		return 0
	}
	switch steps[0].Op {
	case wasmbin.OpLocalGet, wasmbin.OpGlobalGet, wasmbin.OpI32Const, wasmbin.OpI64Const:
		return 2
	}
	return 0
}
