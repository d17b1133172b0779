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
	more := make(map[int]uint64) // what is added to the offsets of accesses to come
	for i := 0; i < len(steps); i++ {
		rest := steps[i:]
		if short, skip := shorter(body, rest); skip > 0 {
			out = append(out, short...)
			i += skip - 1
			continue
		}
		if offset, ok := addressOffset(body, rest); ok {
			i += len(addressPattern) - 1
			access := accessAfter(steps[i+1:])
			if at := i + access; access > 0 && more[at]+offset+steps[at].Immediate < maxFrame {
				more[at] += offset
				continue
			}
			out = wasmbin.AppendInt(append(out, wasmbin.OpI32Const), int64(offset)) //nolint:gosec // below maxFrame
			out = append(out, wasmbin.OpI32Add)
			continue
		}
		out = appendAccess(out, body, steps[i], more[i])
	}
	return out, nil
}

// appendAccess copies an instruction, with more added to its offset.
func appendAccess(out, body []byte, s wasmbin.Instruction, more uint64) []byte {
	if more == 0 {
		return append(out, body[s.Start:s.End]...)
	}
	out = append(out, body[s.Start:s.Start+2]...) // opcode and alignment
	return binary.AppendUvarint(out, more+s.Immediate)
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
// the address on top of the stack: 1 for a load, and more for a store, behind
// what computes the value. It is 0 for none of these.
func accessAfter(steps []wasmbin.Instruction) int {
	above := 0 // operands on top of the address
	for i, s := range steps {
		takes, gives, ok := wasmbin.Arity(s.Op)
		switch {
		case wasmbin.Store(s.Op) && above == 1, wasmbin.Load(s.Op) && above == 0:
			return i + 1
		case !ok || takes > above:
			return 0
		}
		above += gives - takes
	}
	return 0
}
